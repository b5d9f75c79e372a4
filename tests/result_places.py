"""Places of a page for numbers, as `docs/make_results.py` fills them."""


def place(words, shown="", base="k_sweep.v1.quick"):
    return f"<!-- data: {base} {words} -->{shown}<!-- / -->"
