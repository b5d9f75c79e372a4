"""Read what is stored: studies, runs, scores."""
