"""The detectors themselves, one method a file."""
