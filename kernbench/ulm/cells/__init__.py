"""A cell of this task: from definition to outcome, its files and their pictures."""
