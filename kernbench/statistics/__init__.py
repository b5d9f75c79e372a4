"""Statistics of scores: what may be said about families from runs. Knows arrays (seeds, lines), not studies."""

from typing import TYPE_CHECKING

from kernbench.host.lazy import lazy_names

if TYPE_CHECKING:
    from kernbench.statistics.comparison import Comparison as Comparison
    from kernbench.statistics.comparison import adjusted as adjusted
    from kernbench.statistics.comparison import compare as compare

__all__ = ["Comparison", "adjusted", "compare"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "comparison"))
