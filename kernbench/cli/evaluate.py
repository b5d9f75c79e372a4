"""`kernbench evaluate`: a network, ours or published, on any data set; or published networks beside their scores."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.options import device_option
from kernbench.cli.terminal.bars import bar

if TYPE_CHECKING:
    from kernbench.ulm.data.published_pairs import PublishedPairs
    from kernbench.ulm.data.recipe import Split
    from kernbench.ulm.evaluation.noise import Noise
    from kernbench.ulm.evaluation.predict import Output
    from kernbench.ulm.evaluation.reproduction import Published
    from kernbench.ulm.evaluation.trained import Trained
    from kernbench.ulm.pairing.protocol import MatchedChoice
    from kernbench.ulm.scoring.protocol import Choice

THRESHOLD_LINES = 256  # for a published network whose thresholds are not published


@click.command()
@click.option(
    "--weights", type=click.Path(path_type=Path), help="weights.pt of a cell, or a published state dict or its folder."
)
@click.option("--plugin", help="Family that makes the kernels of weights.pt: NAME or FILE.py:NAME, of any version.")
@click.option("--network", help="Network of weights.pt where it is from a local file: FILE.py:NAME.")
@click.option("--data", help="Imported set (name or digest), digest of simulated lines, or folder with a manifest.")
@click.option("--split", default="test", help="Lines to score.", show_default=True)
@click.option(
    "--thresholds",
    type=click.Path(path_type=Path),
    help="Not those of the weights: thresholds_optimal.npy, its folder.",
)
@click.option("--threshold-split", help="Choose the thresholds on this split of the data set instead.")
@click.option("--noise", type=float, help="Nominal percent of 9.65 a.u.; left out, that of the cell, else none.")
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
@device_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder for tables and per-line scores.")
def evaluate_command(
    weights: Path | None,
    plugin: str | None,
    network: str | None,
    data: str | None,
    split: str,
    thresholds: Path | None,
    threshold_split: str | None,
    noise: float | None,
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

    Weights are those that a cell has left (`kernbench data weights` lists them), with their thresholds, or a state dict
    of 86 tensors in the published layout, with thresholds beside it. Nothing in either is run as code. Thresholds may
    come from another file, or be chosen on a split of the data set.
    """
    from kernbench.host.device import choose_device

    single = {"--weights": weights, "--data": data, "--thresholds": thresholds, "--threshold-split": threshold_split}
    numbers = {
        "--plugin": plugin,
        "--network": network,
        "--noise": noise,
        "--nms-width": nms_width,
        "--metric": metric if metric == "matched" else None,
    }
    if published is not None:
        if given := [name for name, value in (single | numbers).items() if value is not None]:
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
    how = (split, thresholds, threshold_split, noise, metrics, nms_width, lines, seed, where, out)
    _evaluate(weights, plugin, network, data, *how)


def _evaluate(
    weights: Path,
    plugin: str | None,
    network: str | None,
    data: str,
    split: str,
    thresholds: Path | None,
    threshold_split: str | None,
    noise: float | None,
    metrics: Sequence[str],
    nms_width: int | None,
    lines: int | None,
    seed: int,
    device: str,
    out: Path | None,
) -> None:
    """One network on one data set."""
    from kernbench.cli.terminal import scores
    from kernbench.ulm.data.find import find_set
    from kernbench.ulm.evaluation import pair_card, scorecard
    from kernbench.ulm.evaluation.trained import load_trained
    from kernbench.ulm.evaluation.workbench import Workbench

    trained = load_trained(weights, plugin, network)
    found = find_set(data)
    content = found.content(split)
    scored = content.split if lines is None else scorecard.first_lines(content.split, lines)
    added = _noise(trained, noise, seed, {split, threshold_split or split})

    def ready(each: "Split", label: str) -> "tuple[Workbench, Output]":
        bench = Workbench({each.name: each}, added, device, trained.batch)
        with bar(label) as progress:
            return bench, bench.output(trained.network, each.name, progress)

    if threshold_split is None:
        choice, pair_choice = _stored(trained, thresholds, nms_width)
    else:
        fitted = found.load(threshold_split)
        bench, output = ready(fitted, f"thresholds on {threshold_split} lines")
        if "dilation" in metrics:
            choice = bench.choose(output, threshold_split)
        if "matched" in metrics:
            pair_choice = pair_card.choose_pairs(output, fitted, nms_width)
    bench, output = ready(scored, f"{split} lines")
    origin = f"data set {found.name} ({found.digest}; {found.origin})"
    level = added.level(split)
    noisy = f", noise {level:g} %" if level else ""
    click.echo(f"{weights} on {len(scored.bubbles)} {split} lines of {origin}{noisy}")
    if trained.facts:
        click.echo(f"trained as {trained.label}")
    facts = scorecard.facts(trained, found.digest, scored, noise_percent=level, seed=added.seed)
    facts |= {"device": device}
    if "dilation" in metrics:
        card = scorecard.scorecard(bench.evaluate(output, split, choice), scored)
        scores.print_card(card, len(scored.bubbles))
        if out is not None:
            scorecard.save(card, scored, out, facts)
    if "matched" in metrics:
        arrivals = pair_card.content_arrivals(content, scored)
        pairs = pair_card.matched_card(output, scored, pair_choice, arrivals)
        scores.print_matched(pairs, len(scored.bubbles))
        if out is not None:
            curve = pair_card.matched_curve(output, scored, pair_choice.decoder)
            pair_card.save_matched(pairs, curve, scored, out, facts)
    if out is not None:
        click.echo(f"per-line scores and tables: {out}")


def _noise(trained: "Trained", percent: float | None, seed: int, splits: set[str]) -> "Noise":
    """Noise of the lines: as asked for; left out, that of the cell, sample by sample; else none."""
    from kernbench.errors import KernbenchWarning
    from kernbench.ulm.evaluation.noise import Noise

    if percent is not None:
        return Noise(percent, seed=seed)
    if lost := trained.noise_lost(splits):
        warnings.warn(lost, KernbenchWarning, stacklevel=2)
    return trained.noise or Noise(seed=seed)


def _stored(trained: "Trained", thresholds: Path | None, nms_width: int | None) -> "tuple[Choice, MatchedChoice]":
    """Frozen thresholds: from a file, from the weights of a cell, or from beside published weights."""
    from kernbench.ulm.evaluation import pair_card
    from kernbench.ulm.srml1d.networks import THRESHOLDS_NAME, load_thresholds

    if thresholds is None and trained.choice is not None and trained.pairs is not None:
        if nms_width not in (None, trained.pairs.decoder.width):
            raise click.UsageError(
                f"the thresholds in {trained.path} belong to --nms-width {trained.pairs.decoder.width}; "
                "another width needs --threshold-split"
            )
        return trained.choice, trained.pairs
    beside = trained.path.parent
    if thresholds is None and not (beside / THRESHOLDS_NAME).is_file():
        raise click.UsageError(f"{beside} has no {THRESHOLDS_NAME}: give --thresholds or --threshold-split")
    choice = load_thresholds(thresholds or beside, f"stored in {thresholds or beside}")
    return choice, pair_card.stored_pairs(choice, nms_width)


def _reproduce(
    folder: Path, models: tuple[str, ...], lines: int | None, seed: int, device: str, out: Path | None
) -> None:
    """Every published network on matched lines."""
    from kernbench.cli.terminal import scores
    from kernbench.ulm.data.published_pairs import published_pairs
    from kernbench.ulm.evaluation import reproduction

    networks = reproduction.published_networks(folder)
    chosen = reproduction.select(networks, models)
    pairs = published_pairs(folder)
    pairs = pairs if lines is None else pairs.first(lines)
    comparisons = []
    for network in chosen:
        matched, threshold_lines = _matched(network, pairs, seed, device)
        with bar(network.name) as progress:
            compared = reproduction.compare(
                network, matched, threshold_lines, seed=seed, device=device, progress=progress
            )
        scores.print_comparison(compared)
        if network.name == "HS_001":
            scores.print_figure(reproduction.figure_bins(compared, pairs))
        comparisons.append(compared)
    scores.print_verdict(comparisons, [network for network in networks if not network.stored and network not in chosen])
    if out is not None:
        reproduction.save_comparisons(comparisons, out)
        click.echo(f"tables and per-line F1: {out}")


def _matched(network: "Published", pairs: "PublishedPairs", seed: int, device: str) -> "tuple[Split, Split | None]":
    """Matched lines, or for a network without stored thresholds new ones of its population, and lines for those."""
    from kernbench.ulm.data.published_pairs import matched_lines
    from kernbench.ulm.data.recipe import Recipe, load_split

    with bar(f"simulating {network.population} lines") as progress:
        if network.stored:
            return matched_lines(pairs, seed=seed, device=device, progress=progress)[0], None
        # Bubble numbers and pressures of the polydisperse test set are not published, so they are drawn anew.
        recipe = Recipe(
            {"train": THRESHOLD_LINES, "test": len(pairs.bubbles)}, population=network.population, seed=seed
        )
        train, test = (load_split(recipe, split, device=device, progress=progress) for split in ("train", "test"))
        return test, train


def _check_out(out: Path | None) -> None:
    """Refuse a folder that cannot be made before anything is computed."""
    from kernbench.errors import DataError
    from kernbench.host.cache_folder import check_writable

    if out is not None:
        check_writable(out, DataError, "give another --out")
