"""Score networks on lines: for a cell, and for weights from a file."""
