"""How near networks come to what noise and overlap allow: the Cramer-Rao bound of the arrival of every bubble."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kernbench.errors import DataError
from kernbench.report.analyses.analysis import Analysis, Row, Rows, Shown, Value
from kernbench.report.analyses.by_layer import grouped, median_text, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kernbench.report.analyses.trained_cells import TrainedCell
    from kernbench.ulm.evaluation.predict import Output
    from kernbench.ulm.evaluation.trained import Trained
    from kernbench.ulm.limit.attained import Attained
    from kernbench.ulm.limit.of_lines import Limits

SPLIT = "test"
IN_WORDS = {"below_1": "below 1", "from_1_to_4": "1 to 4", "above_4": "above 4"}  # samples
STRATA = tuple(IN_WORDS)

LIMIT = {
    "noise_percent": "nominal level of noise on the test lines",
    "assumed_percent": "level that the bound is for: 1 where the lines are clean, which have no bound",
    "tolerance": "largest distance of a pair [samples]",
    "lines": "the first test lines",
    "bubbles": "labelled in them, those left out whose echo runs past the end of the window",
    "median_bound": "of their arrival [samples]",
    **{f"share_{name}": f"of the bubbles, with a bound of {words} samples" for name, words in IN_WORDS.items()},
    **{
        f"recall_{name}": f"of the bubbles with a bound of {IN_WORDS[name]} samples: share that is detected"
        for name in STRATA
    },
    "isolated": "bubbles with no other one within 16 samples and a bound of at most 1 sample",
    "pairs": "isolated bubbles that are detected",
    "rmse": "of these pairs, against arrivals that are not rounded [samples]",
    "bias": "mean of detection minus arrival of these pairs [samples]",
    "bound": "root of the mean squared bound of the same bubbles [samples]",
    "multiple": "rmse over bound",
}

IS_NOT = (
    "The bound is for unbiased estimators that know the number of bubbles, their radii and every constant. It is no "
    "ceiling of F1 or recall: networks are biased, they know how dense bubbles are, and a detection within the "
    "tolerance counts however it came about."
)


def measure(cell: "TrainedCell") -> Rows:
    """Detections of a cell on its first test lines against the bounds of their bubbles, which are kept in the cache.

    Raises:
        DataError: lines at another rate than that of training, or that are not in the cache.
    """
    from kernbench.ulm.limit.attained import assumed_percent, attained  # noqa: PLC0415  # torch
    from kernbench.ulm.pairing.decoders import decode  # noqa: PLC0415
    from kernbench.ulm.pairing.subsample import between_samples  # noqa: PLC0415

    trained, tolerance = cell.trained, cell.run.tolerance
    noise, pairs = trained.noise, trained.pairs
    assert noise is not None  # a network of ours has been scored
    assert pairs is not None
    if trained.factor(SPLIT) != 1:
        raise DataError(f"its test lines are at {trained.test_rate:g} MHz; the bound is for lines at 62.5 MHz")
    output, limits = _output(trained), _limits(cell)
    threshold = float(pairs.thresholds[pairs.tolerances.tolist().index(tolerance)])
    found = between_samples(output, decode(output, threshold, pairs.decoder))
    percent = noise.level(SPLIT)
    result = attained(found, limits, assumed_percent(percent), tolerance, output.shape[1])
    return {"limit": [_row(result, limits, percent, tolerance)]}


def _output(trained: "Trained") -> "Output":
    """Output of a network on the scored samples of its first test lines, (N, samples - delay)."""
    from kernbench.ulm.evaluation.lines_of_cell import lines_of_cell  # noqa: PLC0415  # torch
    from kernbench.ulm.evaluation.scorecard import first_lines  # noqa: PLC0415
    from kernbench.ulm.evaluation.workbench import Workbench  # noqa: PLC0415
    from kernbench.ulm.limit.of_lines import LINES  # noqa: PLC0415

    lines = first_lines(lines_of_cell(trained, SPLIT).load(SPLIT), LINES)
    assert trained.noise is not None
    bench = Workbench(
        {SPLIT: lines}, trained.noise, batch=trained.batch, delay=trained.delay, template=trained.template
    )
    return bench.output(trained.network, SPLIT)


def _limits(cell: "TrainedCell") -> "Limits":
    """Bounds of the bubbles of these lines; the first cell with such lines may compute them for minutes."""
    from kernbench.ulm.cells.definition import recipe_of  # noqa: PLC0415  # torch
    from kernbench.ulm.limit.of_lines import limits_of  # noqa: PLC0415

    recipe, digest = recipe_of(cell.run.definition, SPLIT, cell.run.params), cell.trained.facts["data"][SPLIT]
    if recipe.digest() != digest:
        raise DataError(f"its test lines, {digest}, are not those of its study, {recipe.digest()}; run the cell again")
    return limits_of(recipe, SPLIT)


def _row(result: "Attained", limits: "Limits", percent: float, tolerance: int) -> Row:
    row: dict[str, Value] = {
        "noise_percent": percent,
        "assumed_percent": result.percent,
        "tolerance": tolerance,
        "lines": limits.lines,
        "bubbles": result.bubbles,
        "median_bound": result.median_bound,
        "isolated": result.isolated,
        "pairs": result.pairs,
        "rmse": result.rmse,
        "bias": result.bias,
        "bound": result.bound,
        "multiple": result.multiple,
    }
    row |= {f"share_{name}": share for name, share in zip(STRATA, result.shares, strict=True)}
    return row | {f"recall_{name}": recall for name, recall in zip(STRATA, result.recalls, strict=True)}


def show(rows: Rows) -> Iterable[Shown]:
    """Medians over cells, a row for each family, kernel size and level of noise."""
    groups = grouped(rows["limit"], "family", "kernel_size", "assumed_percent")
    yield Shown(
        "Root mean squared error (RMSE) of isolated bubbles, more than 16 samples from any other and with a bound of "
        "at most 1 sample, as a multiple of the Cramer-Rao bound of the very same bubbles. Arrivals are not rounded; "
        "detections are at the top of the parabola through a peak. Medians over cells, lowest and highest in "
        f"brackets.{_clean(rows['limit'])}",
        ["family", "K", "noise", "RMSE [samples]", "bias", "bound", "multiple", "pairs", "of isolated"],
        [
            [
                *(family, size, f"{float(percent):g} %"),
                *(median_text(each, name) for name in ("rmse", "bias", "bound", "multiple")),
                *(_count(each, name) for name in ("pairs", "isolated")),
            ]
            for (family, size, percent), each in groups
        ],
    )
    yield Shown(
        f"Recall of all bubbles by the bound of their arrival, at a tolerance of {_tolerances(rows['limit'])} samples. "
        f"An unbiased estimator cannot localize those above 4 samples: the last column is their share. {IS_NOT}",
        ["family", "K", "noise", "below 1 sample", "1 to 4", "above 4", "median bound", "share above 4"],
        [
            [
                *(family, size, f"{float(percent):g} %"),
                *(median_text(each, f"recall_{name}", percent=True) for name in STRATA),
                median_text(each, "median_bound"),
                median_text(each, "share_above_4", percent=True),
            ]
            for (family, size, percent), each in groups
        ],
    )


def _count(rows: Sequence[Row], name: str) -> str:
    return f"{np.median(numbers(rows, name)):,.0f}"


def _clean(rows: Sequence[Row]) -> str:
    clean = any(row["noise_percent"] == 0 for row in rows)
    return " Lines without noise have no bound: where noise is 0 the bound is for 1 %." if clean else ""


def _tolerances(rows: Sequence[Row]) -> str:
    return " or ".join(f"{value:g}" for value in sorted(set(numbers(rows, "tolerance"))))


def draw(rows: Rows) -> "Figure | None":
    """Recall by stratum, a panel for each family, a line for each kernel size."""
    if not any(numbers(rows["limit"], f"recall_{name}") for name in STRATA):
        return None
    from kernbench.report.analyses.limit_figure import limit_figure  # noqa: PLC0415  # matplotlib takes a second

    return limit_figure(rows["limit"], {f"recall_{name}": words for name, words in IN_WORDS.items()})


LIMIT_ANALYSIS = Analysis(
    name="limit",
    heading="How near the networks come to the bound",
    summary="Errors and recall against the Cramer-Rao bound of the arrival of each bubble.",
    tables={"limit": LIMIT},
    measure=measure,
    show=show,
    draw=draw,
    caption="Share of the bubbles that are detected, by the bound of their arrival; medians over cells. The bound is "
    "for unbiased estimators and no ceiling of recall.",
)
