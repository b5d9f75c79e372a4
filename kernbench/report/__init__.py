"""The report: statistics, figures and one self-contained page, read from the database and its artifacts."""
