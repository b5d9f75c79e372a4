"""`kernbench evaluate`: a network, ours or published, on any data set; or published networks beside their scores."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernbench.cli import completing
from kernbench.cli.names import one_option
from kernbench.cli.options import PATH, device_option, only_option, storage_option
from kernbench.cli.terminal.bars import bar
from kernbench.errors import counted
from kernbench.study.settings import TEST_KERNELS

if TYPE_CHECKING:
    from kernbench.study.selection import Selection
    from kernbench.ulm.data.published_pairs import PublishedPairs
    from kernbench.ulm.data.recipe import Split
    from kernbench.ulm.evaluation.noise import Noise
    from kernbench.ulm.evaluation.predict import Output
    from kernbench.ulm.evaluation.reproduction import Published
    from kernbench.ulm.evaluation.trained import Trained
    from kernbench.ulm.evaluation.workbench import Workbench
    from kernbench.ulm.pairing.points import Points
    from kernbench.ulm.pairing.protocol import MatchedChoice
    from kernbench.ulm.scoring.protocol import Choice

# What only one network on one data set has.
ALONE = (
    *("weights", "study", "kernel_size", "data", "thresholds", "threshold_split", "plugin", "network", "noise"),
    *("nms_width", "rate", "kernels"),
)
THRESHOLD_LINES = 256  # for a published network whose thresholds are not published


@click.command()
@click.option("--weights", type=PATH, help="weights.pt of a cell, or a published state dict or its folder.")
@one_option("--study", help="In place of --weights: the cell of this study in the database, by what follows.")
@one_option(
    "--plugin",
    help="NAME or FILE.py:NAME. With --study its family; with --weights that of the kernels, of any version.",
)
@click.option("--kernel-size", type=click.IntRange(1), help="With --study: as --only kernel_size=N.")
@only_option
@storage_option
@click.option(
    "--network",
    shell_complete=completing.file,
    help="Network of weights.pt where it is from a local file: FILE.py:NAME.",
)
@click.option(
    "--data",
    help="Imported set (name or digest), digest of simulated lines, or folder with a manifest.  [with --study its own]",
)
@click.option("--split", default="test", help="Lines to score.", show_default=True)
@click.option("--thresholds", type=PATH, help="Not those of the weights: thresholds_optimal.npy, its folder.")
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
@click.option("--rate", type=float, help="Score at 31.25, 62.5 or 125 MHz.  [the cell's own, else 62.5: as trained]")
@click.option(
    "--kernels",
    type=click.Choice(TEST_KERNELS),
    help="At another rate: of the family, asked at its lags; or taps, resampled by a filter.  [the cell's own, else "
    "evaluated]",
)
@click.option("--published", type=PATH, help="Folder of SRML-1D: reproduce its scores.")
@click.option("--model", "models", multiple=True, help="With --published: only this one, e.g. HS_001; repeatable.")
@click.option("--lines", type=click.IntRange(1), help="Only the first lines.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of noise and matched lines.", show_default=True)
@device_option
@click.option("--out", type=PATH, help="Folder for tables and per-line scores.")
def evaluate_command(
    weights: Path | None,
    study: str | None,
    plugin: str | None,
    kernel_size: int | None,
    only: "Selection",
    storage: str | None,
    network: str | None,
    data: str | None,
    split: str,
    thresholds: Path | None,
    threshold_split: str | None,
    noise: float | None,
    metric: str,
    nms_width: int | None,
    rate: float | None,
    kernels: str | None,
    published: Path | None,
    models: tuple[str, ...],
    lines: int | None,
    seed: int,
    device: str,
    out: Path | None,
) -> None:
    """Score networks under the published protocol and one to one.

    Either one network on one data set (--weights and --data, or --study, with the lines of the study unless --data
    names others), or every network of SRML-1D on new lines with the published numbers of bubbles and pressures, beside
    the published scores (--published).

    --study k_sweep --plugin siren --kernel-size 65 finds the weights of that cell; of a tuned study, those of the draw
    that was best on the validation lines.

    Weights are those that a cell has left (`kernbench data weights` lists them), with their thresholds, or a state dict
    of 86 tensors in the published layout, with thresholds beside it. Nothing in either is run as code. Thresholds may
    come from another file, or be chosen on a split of the data set.

    At another --rate nothing is trained again: lines are resampled, kernels have the same physical lags, evaluated or
    resampled (--kernels), and tolerances stay what they are in time; thresholds are those of the training rate. Labels
    fall on the nearest sample.
    """
    from kernbench.cli.terminal import folding, rates, scores
    from kernbench.cli.trained_cell import cell_or_file
    from kernbench.host.device import choose_device
    from kernbench.ulm.data.find import find_set
    from kernbench.ulm.evaluation import pair_card, scorecard
    from kernbench.ulm.evaluation.lines_of_cell import lines_of_cell
    from kernbench.ulm.evaluation.rates import rate_factor
    from kernbench.ulm.evaluation.trained import load_trained

    _check_together(click.get_current_context().params)
    factor = None if rate is None else rate_factor(rate, "--rate")
    _check_out(out)
    if published is not None:
        _reproduce(published, models, lines, seed, choose_device(device), out)
        return
    where = choose_device(device)
    weights, plugin = cell_or_file(weights, study, plugin, kernel_size, only, storage)
    trained, factor = rates.asked(load_trained(weights, plugin, network), split, factor, kernels)
    changes = rates.changes_at(trained.network, factor, resampled=trained.resampled)
    found = lines_of_cell(trained, split) if data is None else find_set(data)
    content = found.content(split)
    scored = content.split if lines is None else scorecard.first_lines(content.split, lines)
    added = _noise(trained, noise, seed, {split, threshold_split or split})
    if threshold_split is None:
        choice, pairs = _stored(trained, thresholds, nms_width)
    else:
        fitted = (lines_of_cell(trained, threshold_split) if data is None else found).load(threshold_split)
        bench, output = _predicted(trained, fitted, added, where, f"thresholds on {threshold_split} lines")
        choice = bench.choose(output, threshold_split) if metric != "matched" else None
        pairs = (
            pair_card.choose_pairs(output, bench.at_its_rate(threshold_split), nms_width)
            if metric != "dilation"
            else None
        )
    bench, output = _predicted(trained, scored, added, where, f"{split} lines", factor)
    level = added.level(split)
    named = found.name if found.name == found.digest else f"{found.name} ({found.digest})"
    origin = f"data set {named}, {found.origin}" + (f", noise {level:g} %" if level else "")
    click.echo(f"{weights} on {counted(len(scored.bubbles), f'{split} line')} of {origin}")
    if trained.facts:
        click.echo(f"trained as {trained.label}{_delayed(trained.delay)}")
    facts = scorecard.facts(trained, found.digest, scored, noise_percent=level, seed=added.seed) | {"device": where}
    facts |= rates.said(changes, factor, resampled=trained.resampled) | folding.folding_said(trained.network)
    lines_there = bench.at_its_rate(split)
    if choice is not None and metric != "matched":
        card = scorecard.scorecard(bench.evaluate(output, split, choice), lines_there, factor)
        scores.print_card(card, len(scored.bubbles))
        if out is not None:
            scorecard.save(card, scored, out, facts)
    if pairs is not None and metric != "dilation":
        arrivals = pair_card.content_arrivals(content, scored, trained.delay, factor)
        _score_pairs(output, lines_there, arrivals, pairs, factor, out, facts)
    if out is not None:
        click.echo(f"per-line scores and tables: {out}")


def _delayed(delay: int) -> str:
    """What the delay of a network means for its scores; nothing without one."""
    if not delay:
        return ""
    return (
        f"; labels come {counted(delay, 'sample')} after their bubbles: outputs before that, and the bubbles of as "
        "many samples at the end of a line, are not scored"
    )


def _check_together(given: Mapping[str, Any]) -> None:
    """Refuse options that exclude or need each other.

    Args:
        given: name of a parameter -> its value.
    """
    if given["published"] is not None:
        alone = [name for name in ALONE if given[name] is not None]
        alone += ["metric"] if given["metric"] == "matched" else []
        if alone:
            raise click.UsageError(f"--published goes without --{alone[0].replace('_', '-')}")
        return
    split, width = given["threshold_split"], given["nms_width"]
    of_cell = given["study"] is not None
    lacking = not of_cell and (given["weights"] is None or given["data"] is None)
    refusals = {
        "--weights and --study exclude each other": of_cell and given["weights"] is not None,
        "--kernel-size and --only go with --study": not of_cell and bool(given["kernel_size"] or given["only"]),
        "expected --weights and --data, or --study, or --published": lacking,
        "--model goes with --published": bool(given["models"]),
        "--thresholds and --threshold-split exclude each other": None not in (given["thresholds"], split),
        "--threshold-split test would fit the thresholds to the lines that they judge": split == "test",
        "--nms-width goes with --metric matched or both": width is not None and given["metric"] == "dilation",
    }
    for said, wrong in refusals.items():
        if wrong:
            raise click.UsageError(said)


def _predicted(
    trained: "Trained", lines: "Split", added: "Noise", device: str, label: str, factor: float = 1.0
) -> "tuple[Workbench, Output]":
    from kernbench.ulm.evaluation.workbench import Workbench

    batch = trained.batch if factor == 1 else None  # of lines of another length
    bench = Workbench(
        {lines.name: lines},
        added,
        device,
        batch,
        {lines.name: factor},
        trained.delay,
        trained.template,
        trained.resampled,
    )
    with bar(label) as progress:
        return bench, bench.output(trained.network, lines.name, progress)


def _score_pairs(
    output: "Output",
    lines: "Split",
    arrivals: "Points | None",
    pairs: "MatchedChoice",
    factor: float,
    out: Path | None,
    facts: "Mapping[str, Any]",
) -> None:
    """One-to-one scores, shown and saved."""
    from kernbench.cli.terminal import scores
    from kernbench.ulm.evaluation import pair_card

    card = pair_card.matched_card(output, lines, pairs, arrivals, factor)
    scores.print_matched(card, len(lines.bubbles))
    if out is not None:
        curve = pair_card.matched_curve(output, lines, pairs.decoder, factor)
        pair_card.save_matched(card, curve, lines, out, facts)


def _noise(trained: "Trained", percent: float | None, seed: int, splits: set[str]) -> "Noise":
    """Noise of the lines: as asked for; left out, that of the cell, sample by sample; else none."""
    from kernbench.errors import KernbenchWarning
    from kernbench.ulm.evaluation.noise import Noise

    if percent is not None:
        return Noise(percent, seed=seed)
    if lost := trained.noise_lost(splits):
        warnings.warn(lost, KernbenchWarning, stacklevel=2)
    return trained.noise or Noise(seed=seed)


def _stored(
    trained: "Trained", thresholds: Path | None, nms_width: int | None
) -> "tuple[Choice | None, MatchedChoice | None]":
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
        # Bubble numbers and pressures of the polydisperse test set are not published, so they are drawn.
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
