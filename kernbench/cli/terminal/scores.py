"""Scores as tables on the terminal: what `kernbench evaluate` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kernbench.cli.terminal.console import print_table
from kernbench.errors import counted

if TYPE_CHECKING:
    from kernbench.ulm.evaluation.pair_card import MatchedCard
    from kernbench.ulm.evaluation.reproduction import Comparison, Published
    from kernbench.ulm.evaluation.scorecard import Scorecard
    from kernbench.ulm.scoring.by_line import Binned


def print_card(card: "Scorecard", lines: int) -> None:
    """F1 by tolerance, then by density and pressure."""
    from kernbench.ulm.evaluation.scorecard import BINNED_TOLERANCES
    from kernbench.ulm.scoring.floors import FLOORS_TEXT

    names = ("tolerance", "ns", "um two-way", "threshold", "F1", "median", "comb", "random", "skill", "oracle gap")
    rows = [
        (
            str(row.tolerance),
            f"{row.ns:.0f}",
            f"{row.um:.2f}",
            f"{row.threshold:.4g}",
            *(f"{value:.4f}" for value in (row.f1, row.median, row.comb, row.random)),
            f"{row.skill:+.3f}",
            f"{row.oracle_gap:.4f}",
        )
        for row in card.rows
    ]
    click.echo(f"thresholds: {card.evaluation.threshold_split}; tolerance in samples of 16 ns")
    print_table(f"F1, mean over {counted(lines, 'line')}", names, rows)
    click.echo(FLOORS_TEXT)
    shown = [f"F1, t = {tolerance}" for tolerance in BINNED_TOLERANCES if tolerance in card.evaluation.tolerances]
    for by, bins in (("bubbles", card.by_bubbles), ("pressure [kPa]", card.by_pressure)):
        rank = card.spearman[by.split()[0]]
        title = f"F1 by {by}; Spearman {', '.join(f'{value:+.3f}' for value in rank)}"
        print_table(title, (by, "lines", *shown), _filled_bins(bins))


def print_matched(card: "MatchedCard", lines: int) -> None:
    """One-to-one scores by tolerance."""
    from kernbench.ulm.evaluation.pair_card import table_columns

    choice = card.evaluation.choice
    click.echo(f"decoder {choice.decoder.name}, width {choice.decoder.width}; thresholds: {choice.split}")
    scores = "mean F1 and Jaccard, pooled precision and recall; RMSE in samples, um two-way"
    print_table(f"One to one, {counted(lines, 'line')}: {scores}", *table_columns(card))


def print_comparison(compared: "Comparison") -> None:
    """Published, measured and difference of one network at every tolerance."""
    evaluation = compared.evaluation
    rows = [
        ("published", *(f"{value:.4f}" for value in compared.published)),
        ("measured", *(f"{value:.4f}" for value in evaluation.mean_f1)),
        ("difference", *(f"{value:+.4f}" for value in compared.difference)),
        ("standard error", *(f"{value:.4f}" for value in compared.standard_error)),
    ]
    lines, chosen = evaluation.f1.shape[1], evaluation.threshold_split
    print_table(
        f"{compared.network.name}: mean F1 on {counted(lines, 'line')}; thresholds: {chosen}",
        ("tolerance", *map(str, evaluation.tolerances)),
        rows,
    )


def print_figure(figure: "dict[str, list[tuple[Binned, Binned]]]") -> None:
    """F1 of HS_001 by density and pressure, published and measured."""
    from kernbench.ulm.evaluation.scorecard import BINNED_TOLERANCES

    names = [f"{kind}, t = {tolerance}" for tolerance in BINNED_TOLERANCES for kind in ("published", "measured")]
    for by, bins in figure.items():
        rows = _filled_bins([each for pair in bins for each in pair])
        print_table(f"HS_001: F1 by {by}, as Figure 8", (by, "lines", *names), rows)


def print_verdict(comparisons: "Sequence[Comparison]", left_out: "Sequence[Published]") -> None:
    """How far everything is from the published values, in a few lines."""
    from kernbench.ulm.evaluation.reproduction import AGREEMENT, FULL

    for compared in comparisons:
        worst = int(abs(compared.difference).argmax())
        lines = compared.evaluation.f1.shape[1]
        share = abs(compared.difference[worst]) / compared.standard_error[worst]
        verdict = f"{'within' if compared.reproduced else 'beyond'} {AGREEMENT}"
        click.echo(
            f"{compared.network.name}: largest difference {compared.difference[worst]:+.4f} at tolerance "
            f"{compared.evaluation.tolerances[worst]}, "
            + (
                verdict
                if lines >= FULL and compared.network.stored
                else f"{share:.1f} standard errors of {counted(lines, 'line')}"
            )
        )
    for network in left_out:
        click.echo(f"{network.name} left out, its thresholds are not published: --model {network.name} chooses them")


def _filled_bins(bins: "Sequence[Binned]") -> list[tuple[str, ...]]:
    """Rows of bins with lines in them."""
    from kernbench.ulm.evaluation.scorecard import bin_rows

    return [
        (f"{low:g} to {high:g}", str(lines), *(f"{value:.4f}" for value in values))
        for low, high, lines, values in bin_rows(bins)
        if lines
    ]
