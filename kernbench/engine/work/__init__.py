"""One worker: claim a cell, compute it, store it."""
