"""What was asked for: study files, settings, cells and their digest."""
