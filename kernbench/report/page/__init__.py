"""The page and the CSV tables."""
