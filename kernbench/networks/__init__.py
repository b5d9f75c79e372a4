"""Networks: layers in a row, what they cost, and their weights as files."""
