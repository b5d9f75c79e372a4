"""Places of a page for numbers, as `docs/make_results.py` fills them."""


def place(words, shown=""):
    return f"<!-- data: k_sweep.v1.quick {words} -->{shown}<!-- / -->"
