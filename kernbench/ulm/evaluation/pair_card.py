"""A network's output under the one-to-one metric: scores by tolerance, errors of position, average precision."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernbench.ulm.data.find import Content
from kernbench.ulm.data.recipe import Split
from kernbench.ulm.evaluation.card_files import line_table, write_files
from kernbench.ulm.evaluation.predict import Output
from kernbench.ulm.evaluation.rates import moved_decoder, moved_pairs, moved_points
from kernbench.ulm.pairing.decoders import Decoder
from kernbench.ulm.pairing.localization import position_error
from kernbench.ulm.pairing.points import Points, arrival_points, label_points
from kernbench.ulm.pairing.protocol import (
    WIDTHS,
    MatchedChoice,
    MatchedEvaluation,
    choose_matched,
    evaluate_matched,
    pair_table,
)
from kernbench.ulm.scoring.curves import Average, Curve, precision_recall, score_quantiles
from kernbench.ulm.scoring.exact import exact_scores
from kernbench.ulm.scoring.protocol import Choice
from kernbench.ulm.scoring.rates import moved_samples, moved_tolerances
from kernbench.ulm.simulator.scene import Scene

CURVE_TOLERANCES = tuple(range(6))
AVERAGE: Average = "macro-exact"  # of the curves, as the mean F1 of this metric


@dataclass(frozen=True)
class MatchedRow:
    """One line of the table of one-to-one scores by tolerance.

    Attributes:
        tolerance: samples.
        threshold: frozen.
        f1: mean over lines that are not empty.
        precision: of the counts pooled over lines.
        recall: of the pooled counts.
        jaccard: mean over lines that are not empty.
        rmse_samples: of the matched pairs, against labels, which are integers; NaN without pairs.
        rmse_um: the same as two-way depth.
        bias_samples: mean of detection minus label.
        arrival_recall: share of the bubbles with a detection within the tolerance of the arrival, which is not rounded;
            NaN where the positions are not known.
        arrival_rmse_samples: of those pairs.
        arrival_rmse_um: the same as two-way depth.
    """

    tolerance: int
    threshold: float
    f1: float
    precision: float
    recall: float
    jaccard: float
    rmse_samples: float
    rmse_um: float
    bias_samples: float
    arrival_recall: float
    arrival_rmse_samples: float
    arrival_rmse_um: float


@dataclass(frozen=True, eq=False)
class MatchedCard:
    """One-to-one scores of one network on one split.

    Attributes:
        evaluation: pairs of each line and tolerance at the frozen decoder and thresholds, against labels.
        rows: the table.
        arrivals: whether the errors against arrivals are known.
    """

    evaluation: MatchedEvaluation
    rows: list[MatchedRow]
    arrivals: bool


def choose_pairs(output: Output, split: Split, width: int | None) -> MatchedChoice:
    """Thresholds, and the width of `peak-nms` if none is given, chosen on a split."""
    widths = WIDTHS if width is None else None
    return choose_matched(output, label_points(split.counts), split.name, Decoder(width=width or 0), widths)


def stored_pairs(choice: Choice, width: int | None) -> MatchedChoice:
    """Stored thresholds with `peak-nms` of a width, 0 if none is given: they were chosen for the dilation metric."""
    unknown = np.full(len(choice.thresholds), math.nan)
    return MatchedChoice(choice.split, choice.tolerances, choice.thresholds, unknown, Decoder(width=width or 0))


def content_arrivals(content: Content, split: Split, delay: int = 0, factor: float = 1.0) -> Points | None:
    """Arrivals of the scored bubbles in samples of the lines, not rounded, or None where positions are not known.

    Args:
        content: of a data set.
        split: its lines, or the first of them, at the training rate.
        delay: of the labels [samples], see `kernbench.ulm.scoring.delay`.
        factor: rate at which the lines are scored over that of training.
    """
    if content.positions is None:
        return None
    lines, samples = split.counts.shape
    scenes = [Scene(z, x, radius, 0.0) for z, x, radius in (each.T for each in content.positions[:lines])]
    arrivals = arrival_points(scenes)
    sample = arrivals.sample - split.starts[arrivals.line]
    label = np.floor(sample + 0.5)
    # scored samples are counted from the delay, which has to be a whole number of them
    place = sample + delay - int(moved_samples(delay, factor)) / factor
    return Points(arrivals.line, place, lines)[(label >= 0) & (label < samples - delay)]


def matched_card(
    output: Output, split: Split, choice: MatchedChoice, arrivals: Points | None = None, factor: float = 1.0
) -> MatchedCard:
    """Table of one-to-one scores against the labels, and of errors against labels and arrivals.

    Args:
        output: of the network, (N, L).
        split: the lines, at the rate of the output.
        choice: frozen decoder and thresholds.
        arrivals: of the same lines at the training rate, see `content_arrivals`.
        factor: rate of the lines over that of training; tolerances and errors are in samples of the latter.

    Raises:
        DataError: NaN in the output.
    """
    moved = moved_pairs(choice, factor)
    evaluation = evaluate_matched(output, label_points(split.counts), moved)
    exact = evaluate_matched(output, moved_points(arrivals, factor), moved) if arrivals is not None else None
    evaluation = dataclasses.replace(evaluation, choice=choice)
    rows = [_row(evaluation, exact, place, factor) for place in range(len(choice.tolerances))]
    return MatchedCard(evaluation, rows, exact is not None)


def matched_curve(output: Output, split: Split, decoder: Decoder, factor: float = 1.0) -> Curve:
    """Precision and recall at `CURVE_TOLERANCES` and 201 thresholds between the scores; see `matched_card`."""
    levels = score_quantiles(output).tolist()
    tolerances = moved_tolerances(CURVE_TOLERANCES, factor).tolist()
    table = pair_table(output, label_points(split.counts), moved_decoder(decoder, factor), tolerances, levels)
    return precision_recall(table.tp, table.fn, table.fp, levels, AVERAGE)


def save_matched(card: MatchedCard, curve: Curve, split: Split, folder: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write `matched_table.csv`, `matched_lines.csv`, `matched_curves.csv`, `matched_scores.npz`, `matched_facts.json`.

    Args:
        card: the scores.
        curve: of `matched_curve`; its average precision and break-even are saved beside it.
        split: the lines.
        folder: made if it is not there.
        facts: where they come from, JSON.

    Returns:
        The files.

    Raises:
        DataError: the folder cannot be written.
    """
    evaluation, choice = card.evaluation, card.evaluation.choice
    summaries = zip(CURVE_TOLERANCES, curve.average_precision.tolist(), curve.break_even.tolist(), strict=True)
    columns = [field.name for field in dataclasses.fields(MatchedRow)]
    tables = {
        "matched_table.csv": (columns, map(dataclasses.astuple, card.rows)),
        "matched_lines.csv": line_table(choice.tolerances.tolist(), split.bubbles, split.pressure_pa, evaluation.f1),
        "matched_curves.csv": (["tolerance", "average_precision", "break_even"], summaries),
    }
    scores = (
        {name: getattr(evaluation, name) for name in ("tp", "fn", "fp", "f1")}
        | {"tolerances": choice.tolerances, "thresholds": choice.thresholds}
        | {"curve_tolerances": np.array(CURVE_TOLERANCES)}
        | {f"curve_{name}": getattr(curve, name) for name in ("thresholds", "precision", "recall")}
    )
    origin = {"threshold_split": choice.split, "decoder": choice.decoder.name, "width": choice.decoder.width}
    content = dict(facts) | origin | {"curve_average": curve.average}
    return write_files(folder, tables, {"matched_scores.npz": scores}, {"matched_facts.json": content})


def table_columns(card: MatchedCard) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Names and cells of the table for people; errors against arrivals only where they are known."""
    names = ["tolerance", "threshold", "F1", "precision", "recall", "Jaccard", "RMSE", "um"]
    names += ["arrival RMSE", "arrival um"] * card.arrivals
    rows = []
    for row in card.rows:
        shares = (f"{value:.4f}" for value in (row.f1, row.precision, row.recall, row.jaccard))
        errors = [f"{row.rmse_samples:.3f}", f"{row.rmse_um:.2f}"]
        errors += [f"{row.arrival_rmse_samples:.3f}", f"{row.arrival_rmse_um:.2f}"] * card.arrivals
        rows.append((str(row.tolerance), f"{row.threshold:.4g}", *shares, *errors))
    return names, rows


def _row(evaluation: MatchedEvaluation, exact: MatchedEvaluation | None, place: int, factor: float) -> MatchedRow:
    summary = evaluation.summary
    counts = (each[place] for each in (evaluation.tp, evaluation.fn, evaluation.fp))
    jaccard = exact_scores(*counts).jaccard
    known = jaccard[~np.isnan(jaccard)]
    error = position_error(evaluation.pairs[place])
    arrival = position_error(exact.pairs[place]) if exact is not None else None
    return MatchedRow(
        tolerance=int(evaluation.choice.tolerances[place]),
        threshold=float(evaluation.choice.thresholds[place]),
        f1=float(summary.mean[place]),
        precision=float(summary.micro_precision[place]),
        recall=float(summary.micro_recall[place]),
        jaccard=float(known.mean()) if len(known) else math.nan,
        rmse_samples=error.samples.rmse / factor,
        rmse_um=error.um.rmse / factor,
        bias_samples=error.samples.bias / factor,
        arrival_recall=arrival.recall if arrival else math.nan,
        arrival_rmse_samples=arrival.samples.rmse / factor if arrival else math.nan,
        arrival_rmse_um=arrival.um.rmse / factor if arrival else math.nan,
    )
