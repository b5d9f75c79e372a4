"""`kernbench evaluate`: a published network on any data set, or every published network beside its published scores."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kernbench.matched_card import MatchedCard
    from kernbench.reproduction import Comparison, Published
    from kernbench.scorecard import Progress, Scorecard
    from kernbench.ulm.breakdown import Binned
    from kernbench.ulm.dataset import Split
    from kernbench.ulm.matched import PublishedPairs

THRESHOLD_LINES = 256  # for a published network whose thresholds are not published


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), help="State dict in the published layout, or its folder.")
@click.option("--data", help="Imported set (name or digest), digest of simulated lines, or folder with a manifest.")
@click.option("--split", default="test", help="Lines to score.", show_default=True)
@click.option("--thresholds", type=click.Path(path_type=Path), help="thresholds_optimal.npy, or its folder.")
@click.option("--threshold-split", help="Choose the thresholds on this split of the data set instead.")
@click.option("--noise", type=float, default=0.0, help="Noise, nominal percent of 9.65 a.u.", show_default=True)
@click.option(
    "--metric",
    type=click.Choice(["dilation", "matched", "both"]),
    default="both",
    help="As published, one-to-one, or both; --published has the first only.",
    show_default=True,
)
@click.option("--nms-width", type=click.IntRange(0), help="Of one-to-one peak-nms; else fitted with thresholds, or 0.")
@click.option("--published", type=click.Path(path_type=Path), help="Folder of SRML-1D: reproduce its scores.")
@click.option("--model", "models", multiple=True, help="With --published: only this one, e.g. HS_001; repeatable.")
@click.option("--lines", type=click.IntRange(1), help="Only the first lines.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of noise and matched lines.", show_default=True)
@click.option("--device", default="auto", help="auto, cpu or cuda[:i].", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for tables and per-line scores.")
def evaluate_command(
    weights: Path | None,
    data: str | None,
    split: str,
    thresholds: Path | None,
    threshold_split: str | None,
    noise: float,
    metric: str,
    nms_width: int | None,
    published: Path | None,
    models: tuple[str, ...],
    lines: int | None,
    seed: int,
    device: str,
    out: Path | None,
) -> None:
    """Score networks under the published protocol and one to one.

    Either one network on one data set (--weights, --data), or every network of SRML-1D on new lines with the published
    numbers of bubbles and pressures, beside the published scores (--published).

    Weights are read in the published layout only: a state dict of 86 tensors, read without running code. Thresholds
    come from a file (left out: the one beside the weights) or are chosen on a split of the data set.
    """
    from kernbench.device import choose_device

    single = {"--weights": weights, "--data": data, "--thresholds": thresholds, "--threshold-split": threshold_split}
    one_to_one = {"--nms-width": nms_width, "--metric": metric if metric == "matched" else None}
    if published is not None:
        if given := [name for name, value in (single | one_to_one).items() if value is not None]:
            raise click.UsageError(f"--published goes without {given[0]}")
        _check_out(out)
        _reproduce(published, models, lines, seed, choose_device(device), out)
        return
    if weights is None or data is None:
        raise click.UsageError("expected --weights and --data, or --published")
    if models:
        raise click.UsageError("--model goes with --published")
    if thresholds is not None and threshold_split is not None:
        raise click.UsageError("--thresholds and --threshold-split exclude each other")
    if threshold_split == "test":
        raise click.UsageError("--threshold-split test would fit the thresholds to the lines that they judge")
    if nms_width is not None and metric == "dilation":
        raise click.UsageError("--nms-width goes with --metric matched or both")
    _check_out(out)
    metrics = ("dilation", "matched") if metric == "both" else (metric,)
    where = choose_device(device)
    _evaluate(weights, data, split, thresholds, threshold_split, noise, metrics, nms_width, lines, seed, where, out)


def _evaluate(
    weights: Path,
    data: str,
    split: str,
    thresholds: Path | None,
    threshold_split: str | None,
    noise: float,
    metrics: Sequence[str],
    nms_width: int | None,
    lines: int | None,
    seed: int,
    device: str,
    out: Path | None,
) -> None:
    """One network on one data set."""
    from kernbench import matched_card, scorecard
    from kernbench.ulm.protocol import choose_thresholds
    from kernbench.ulm.sets import find_set
    from kernbench.ulm.srml1d import THRESHOLDS_NAME, load_network, load_thresholds, weights_path

    network = load_network(weights)
    found = find_set(data)
    content = found.content(split)
    scored = content.split if lines is None else scorecard.first_lines(content.split, lines)
    beside = weights_path(weights).parent
    if threshold_split is None and thresholds is None and not (beside / THRESHOLDS_NAME).is_file():
        raise click.UsageError(f"{beside} has no {THRESHOLDS_NAME}: give --thresholds or --threshold-split")
    if threshold_split is None:
        choice = load_thresholds(thresholds or beside, f"stored in {thresholds or beside}")
        pair_choice = matched_card.stored_pairs(choice, nms_width)
    else:
        fitted = found.load(threshold_split)
        with _bar(f"thresholds on {threshold_split} lines") as progress:
            output = scorecard.predict(network, scorecard.noisy(fitted, noise, seed), device=device, progress=progress)
        if "dilation" in metrics:
            choice = choose_thresholds(scorecard.score_output(output, fitted.counts), threshold_split)
        if "matched" in metrics:
            pair_choice = matched_card.choose_pairs(output, fitted, nms_width)
    with _bar(f"{split} lines") as progress:
        output = scorecard.predict(network, scorecard.noisy(scored, noise, seed), device=device, progress=progress)
    origin = f"data set {found.name} ({found.digest}; {found.origin})"
    noisy = f", noise {noise:g} %" if noise else ""
    click.echo(f"{weights} on {len(scored.bubbles)} {split} lines of {origin}{noisy}")
    facts = scorecard.facts(weights_path(weights), found.digest, scored, noise_percent=noise, seed=seed)
    facts |= {"device": device}
    if "dilation" in metrics:
        card = scorecard.scorecard(scorecard.evaluate_output(output, scored, choice), scored)
        _print_card(card, len(scored.bubbles))
        if out is not None:
            scorecard.save(card, out, facts)
    if "matched" in metrics:
        arrivals = matched_card.content_arrivals(content, scored)
        pairs = matched_card.matched_card(output, scored, pair_choice, arrivals)
        _print_matched(pairs, len(scored.bubbles))
        if out is not None:
            curve = matched_card.matched_curve(output, scored, pair_choice.decoder)
            matched_card.save_matched(pairs, curve, scored, out, facts)
    if out is not None:
        click.echo(f"per-line scores and tables: {out}")


def _reproduce(
    folder: Path, models: tuple[str, ...], lines: int | None, seed: int, device: str, out: Path | None
) -> None:
    """Every published network on matched lines."""
    from kernbench import reproduction
    from kernbench.ulm.matched import published_pairs

    networks = reproduction.published_networks(folder)
    chosen = reproduction.select(networks, models)
    pairs = published_pairs(folder)
    pairs = pairs if lines is None else pairs.first(lines)
    comparisons = []
    for network in chosen:
        matched, threshold_lines = _matched(network, pairs, seed, device)
        with _bar(network.name) as progress:
            compared = reproduction.compare(
                network, matched, threshold_lines, seed=seed, device=device, progress=progress
            )
        _print_comparison(compared)
        if network.name == "HS_001":
            _print_figure(reproduction.figure_bins(compared, pairs))
        comparisons.append(compared)
    _print_verdict(comparisons, [network for network in networks if not network.stored and network not in chosen])
    if out is not None:
        reproduction.save_comparisons(comparisons, out)
        click.echo(f"tables and per-line F1: {out}")


def _matched(network: "Published", pairs: "PublishedPairs", seed: int, device: str) -> "tuple[Split, Split | None]":
    """Matched lines, or for a network without stored thresholds new ones of its population, and lines for those."""
    from kernbench.ulm.dataset import Recipe, load_split
    from kernbench.ulm.matched import matched_lines

    with _bar(f"simulating {network.population} lines") as progress:
        if network.stored:
            return matched_lines(pairs, seed=seed, device=device, progress=progress)[0], None
        # Bubble numbers and pressures of the polydisperse test set are not published, so they are drawn anew.
        recipe = Recipe(
            {"train": THRESHOLD_LINES, "test": len(pairs.bubbles)}, population=network.population, seed=seed
        )
        train, test = (load_split(recipe, split, device=device, progress=progress) for split in ("train", "test"))
        return test, train


def _print_card(card: "Scorecard", lines: int) -> None:
    """F1 by tolerance, then by density and pressure."""
    from kernbench.scorecard import BINNED_TOLERANCES

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
    _print_table(f"F1, mean over {lines} lines", names, rows)
    shown = [f"F1, t = {tolerance}" for tolerance in BINNED_TOLERANCES if tolerance in card.evaluation.tolerances]
    for by, bins in (("bubbles", card.by_bubbles), ("pressure [kPa]", card.by_pressure)):
        rank = card.spearman[by.split()[0]]
        title = f"F1 by {by}; Spearman {', '.join(f'{value:+.3f}' for value in rank)}"
        _print_table(title, (by, "lines", *shown), _filled_bins(bins))


def _print_matched(card: "MatchedCard", lines: int) -> None:
    """One-to-one scores by tolerance."""
    from kernbench.matched_card import table_columns

    choice = card.evaluation.choice
    click.echo(f"decoder {choice.decoder.name}, width {choice.decoder.width}; thresholds: {choice.split}")
    title = f"One to one, {lines} lines: mean F1 and Jaccard, pooled precision and recall; RMSE in samples, um two-way"
    _print_table(title, *table_columns(card))


def _print_comparison(compared: "Comparison") -> None:
    """Published, measured and difference of one network at every tolerance."""
    evaluation = compared.evaluation
    rows = [
        ("published", *(f"{value:.4f}" for value in compared.published)),
        ("measured", *(f"{value:.4f}" for value in evaluation.mean_f1)),
        ("difference", *(f"{value:+.4f}" for value in compared.difference)),
        ("standard error", *(f"{value:.4f}" for value in compared.standard_error)),
    ]
    lines, chosen = evaluation.f1.shape[1], evaluation.threshold_split
    _print_table(
        f"{compared.network.name}: mean F1 on {lines} lines; thresholds: {chosen}",
        ("tolerance", *map(str, evaluation.tolerances)),
        rows,
    )


def _print_figure(figure: "dict[str, list[tuple[Binned, Binned]]]") -> None:
    """F1 of HS_001 by density and pressure, published and measured."""
    from kernbench.scorecard import BINNED_TOLERANCES

    names = [f"{kind}, t = {tolerance}" for tolerance in BINNED_TOLERANCES for kind in ("published", "measured")]
    for by, bins in figure.items():
        rows = _filled_bins([each for pair in bins for each in pair])
        _print_table(f"HS_001: F1 by {by}, as Figure 8", (by, "lines", *names), rows)


def _print_verdict(comparisons: "Sequence[Comparison]", left_out: "Sequence[Published]") -> None:
    """How far everything is from the published values, in a few lines."""
    from kernbench.reproduction import AGREEMENT, FULL

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
                else f"{share:.1f} standard errors of {lines} lines"
            )
        )
    for network in left_out:
        click.echo(f"{network.name} left out, its thresholds are not published: --model {network.name} chooses them")


def _filled_bins(bins: "Sequence[Binned]") -> list[tuple[str, ...]]:
    """Rows of bins with lines in them."""
    from kernbench.scorecard import bin_rows

    return [
        (f"{low:g} to {high:g}", str(lines), *(f"{value:.4f}" for value in values))
        for low, high, lines, values in bin_rows(bins)
        if lines
    ]


def _print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from kernbench.cli import console

    table = Table(title=Text(title), title_justify="left")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    console.stdout().print(table)


def _check_out(out: Path | None) -> None:
    """Refuse a folder that cannot be made before anything is computed."""
    import os

    from kernbench.errors import DataError

    if out is None:
        return
    nearest = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise DataError(f"folder {out} cannot be written; give another --out")


@contextmanager
def _bar(label: str) -> "Iterator[Progress]":
    """Progress on standard error of a terminal; nothing in a log."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not Console(stderr=True).is_terminal) as live:
        task = live.add_task(label, total=None)
        yield lambda done, total: live.update(task, completed=done, total=total)
