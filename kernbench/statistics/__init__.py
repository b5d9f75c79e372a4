"""Statistics of scores: what may be said about families from runs. Knows arrays (seeds, lines), not studies."""

from kernbench.statistics.comparison import Comparison, adjusted, compare

__all__ = ["Comparison", "adjusted", "compare"]


def __dir__() -> list[str]:
    """Public names alone, not the modules that are imported to make them."""
    return list(__all__)
