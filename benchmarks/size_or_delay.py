"""What size_or_delay and size_or_delay_taps say: the tables and the figure of docs/size-or-delay.md.

    python benchmarks/size_or_delay.py sqlite:///size_or_delay.db

Every contrast is of trainings on the same test lines; intervals cover other seeds and other lines, p-values and
verdicts are corrected by Holm for all contrasts together.
"""

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import kernbench
from kernbench.plotting.style import RULE, letter, panels, save, shades, styled
from kernbench.report.result_cell import Cell
from kernbench.statistics.comparison import EQUIVALENCE, LEVEL, verdict_of
from kernbench.statistics.contrast import Estimate, contrast
from kernbench.statistics.means import mean_interval
from kernbench.statistics.multiplicity import holm

DOCS = Path(__file__).parents[1] / "docs"
FAMILIES, SIZES, DELAYS = ("discrete", "siren", "gaussian"), (17, 65, 257), (0, 43, 85)
REFERENCE = "discrete"

Point = tuple[str, int, int]  # family, kernel size, delay
Scores = dict[Point, NDArray[np.float64]]  # F1 of each seed and test line
Named = tuple[str, str, Estimate]  # family, contrast, estimate


def scores_of(results: Iterable[Cell]) -> tuple[Scores, dict[Point, tuple[float, float]]]:
    """F1 (seeds, lines) of each point; and its better blind floor and its parameters."""
    rows: dict[Point, dict[int, NDArray[np.float64]]] = {}
    facts: dict[Point, tuple[float, float]] = {}
    for cell in results:
        if cell.status != "ok":
            print(f"left out: {cell!r}")
            continue
        point = cell.family, int(cell.params["kernel_size"]), int(cell.params["delay"])
        rows.setdefault(point, {})[cell.seed or 0] = cell.f1()
        facts[point] = max(cell.floors().values()), float(cell.values["n_params"] or 0)
    return {point: np.stack([found[seed] for seed in sorted(found)]) for point, found in rows.items()}, facts


def contrasts(scores: Scores) -> list[Named]:
    """What was asked before the runs: rescue by delay, length after it, and families at each point."""
    found: list[Named] = []

    def add(family: str, name: str, plus: Sequence[Point], minus: Sequence[Point]) -> None:
        if all(point in scores and len(scores[point]) > 1 for point in (*plus, *minus)):
            weights = [1] * len(plus) + [-1] * len(minus)
            found.append((family, name, contrast([scores[point] for point in (*plus, *minus)], weights)))

    for family in FAMILIES:
        for size in SIZES:
            for delay in DELAYS[1:]:
                add(family, f"K = {size}: delay {delay} - delay 0", [(family, size, delay)], [(family, size, 0)])
        for delay in DELAYS:
            for size in (17, 257):
                add(family, f"delay {delay}: K = {size} - K = 65", [(family, size, delay)], [(family, 65, delay)])
        add(
            family,
            "gain of K = 17 - gain of K = 257, by delay 85",
            [(family, 17, 85), (family, 257, 0)],
            [(family, 17, 0), (family, 257, 85)],
        )
        if family != REFERENCE:
            for size in SIZES:
                for delay in DELAYS:
                    name = f"K = {size}, delay {delay}: {family} - {REFERENCE}"
                    add(family, name, [(family, size, delay)], [(REFERENCE, size, delay)])
    return found


def contrast_rows(found: Sequence[Named]) -> list[list[str]]:
    """Differences with intervals, p-values of all together, verdicts."""
    differs = holm([each.p_value() for _, _, each in found])
    same = holm([max(each.tail(EQUIVALENCE), 1 - each.tail(-EQUIVALENCE)) for _, _, each in found])
    rows = []
    for (family, name, each), p_value, p_same in zip(found, differs, same, strict=True):
        low, high = each.interval(LEVEL)
        verdict = verdict_of(each.value, float(p_value), float(p_same), LEVEL)
        word = {"better": "higher", "worse": "lower"}.get(verdict, verdict)
        rows.append([family, name, f"{each.value:+.3f}", f"{low:+.3f}", f"{high:+.3f}", f"{p_value:.2g}", word])
    return rows


def summary_rows(scores: Scores, facts: dict[Point, tuple[float, float]]) -> list[list[str]]:
    """Mean F1 with its interval, floor and skill of each point."""
    rows = []
    for point in sorted(scores, key=lambda each: (FAMILIES.index(each[0]), each[1:])):
        interval, (floor, parameters) = mean_interval(scores[point], None, bounds=(0, 1)), facts[point]
        skill = (interval.mean - floor) / (1 - floor)
        numbers = [f"{each:.3f}" for each in (interval.mean, interval.low, interval.high, floor, skill)]
        rows.append([*map(str, point), str(len(scores[point])), *numbers, f"{parameters:.0f}"])
    return rows


@styled
def figure(scores: Scores, facts: dict[Point, tuple[float, float]]) -> Figure:
    """F1 against the delay: a panel a family, a line a kernel size, single seeds as dots."""
    drawn, axes = panels(1, len(FAMILIES), height=2.7, sharey="row")
    for place, (panel, family) in enumerate(zip(axes[0], FAMILIES, strict=True)):
        for shift, (size, colour) in enumerate(zip(SIZES, shades(len(SIZES)), strict=True)):
            known = [delay for delay in DELAYS if (family, size, delay) in scores]
            tables = [scores[family, size, delay] for delay in known]
            at = np.array(known) + 2.5 * (shift - 1)
            ends = [mean_interval(table, None, bounds=(0, 1)) for table in tables]
            means = [each.mean for each in ends]
            spread = [[each.mean - each.low for each in ends], [each.high - each.mean for each in ends]]
            panel.errorbar(at, means, spread, color=colour, marker="o", markersize=3, capsize=2, label=f"K = {size}")
            for x, table in zip(at, tables, strict=True):
                panel.plot([x + 1.2] * len(table), table.mean(axis=1), ".", color=colour, markersize=2.5, alpha=0.6)
        floors = [max(facts[point][0] for point in facts if point[2] == delay) for delay in DELAYS]
        panel.plot(DELAYS, floors, color=RULE, linestyle="--", linewidth=1, label="blind floor")
        panel.set_xticks(DELAYS)
        panel.set_xlabel("delay of the labels [samples]")
        letter(panel, place, family)
    axes[0, 0].set_ylabel("mean F1")
    axes[0, 0].set_ylim(0, 1)
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def write(name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to docs/data, and print it."""
    with (DOCS / "data" / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print("| " + " | ".join(header) + " |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main() -> None:
    """Tables and figure of the database that is named."""
    scores, facts = scores_of(kernbench.results(sys.argv[1]))
    head = ["family", "kernel_size", "delay", "seeds", "f1", "low", "high", "floor", "skill", "parameters"]
    write("quick_size_or_delay_summary.csv", head, summary_rows(scores, facts))
    head = ["family", "contrast", "difference", "low", "high", "p_holm", "verdict"]
    write("quick_size_or_delay_contrasts.csv", head, contrast_rows(contrasts(scores)))
    save(figure(scores, facts), DOCS / "img" / "size_or_delay")


if __name__ == "__main__":
    main()
