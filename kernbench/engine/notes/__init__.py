"""Notes for the dashboard."""
