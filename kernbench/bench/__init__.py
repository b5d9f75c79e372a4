"""Side-by-side measurements: ours and peers in one process, interleaved; each function returns rows of a table."""
