"""The queue: what waits, what is taken back, what is drawn."""
