"""`kernbench detect`: a trained network on lines without labels; detections, counts and a picture."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli import completing
from kernbench.cli.names import one_option
from kernbench.cli.options import PATH, device_option, only_option, storage_option
from kernbench.cli.terminal.bars import bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernbench.study.selection import Selection
    from kernbench.ulm.evaluation.detections import Detected
    from kernbench.ulm.evaluation.trained import Trained
    from kernbench.ulm.pairing.decoders import Decoder
    from kernbench.ulm.srml1d.recordings import Recording


@click.command()
@click.argument("lines", nargs=-1, required=True, shell_complete=completing.file)
@click.option("--out", type=PATH, required=True, help="New folder for detections.csv, counts.csv and the picture.")
@click.option("--weights", type=PATH, help="weights.pt of a cell, or a published state dict or its folder.")
@one_option("--study", help="In place of --weights: the cell of this study in the database, by what follows.")
@one_option("--plugin", help="As of evaluate: family of the cell, or of the kernels in the weights.")
@click.option("--kernel-size", type=click.IntRange(1), help="With --study: as --only kernel_size=N.")
@only_option
@storage_option
@click.option("--network", help="Network of weights.pt where it is from a local file: FILE.py:NAME.")
@click.option(
    "--tolerance", type=click.IntRange(0), help="Samples: the threshold is the stored one for it.  [4, the headline]"
)
@click.option("--threshold", type=float, help="On the output, in place of the stored one.")
@click.option("--nms-width", type=click.IntRange(0), help="Least distance of detections, samples.  [stored, else 0]")
@click.option("--split", default="test", help="Of a data set: the lines.", show_default=True)
@click.option("--channel", type=click.IntRange(1), help="Only this channel of each file.  [all]")
@click.option("--rate", type=float, help="Sampling rate in MHz of files that do not name it.  [62.5]")
@click.option("--scale", type=float, default=1.0, help="Multiplies the lines.", show_default=True)
@device_option
def detect_command(
    lines: tuple[str, ...],
    out: Path,
    weights: Path | None,
    study: str | None,
    plugin: str | None,
    kernel_size: int | None,
    only: "Selection",
    storage: str | None,
    network: str | None,
    tolerance: int | None,
    threshold: float | None,
    nms_width: int | None,
    split: str,
    channel: int | None,
    rate: float | None,
    scale: float,
    device: str,
) -> None:
    """Detect bubbles on LINES with a trained network; labels are not needed, and not read.

    LINES are files, folders of files, or a data set (name or digest, whose labels are ignored). Files are MATLAB (RF.V
    and RF.fs, each element of RF a line), NumPy ((samples,) or (lines, samples)) or text (the published format, a
    column of voltages, or two of times in s and voltages). Other sampling rates are resampled to 62.5 MHz.

    The decoder and the threshold are those of the one-to-one metric that are stored with the weights. Nothing is
    written unless all of it can be.
    """
    from kernbench.cli.trained_cell import cell_or_file
    from kernbench.host.device import choose_device
    from kernbench.ulm.evaluation.detections import clean_training, detect, unusual_rms
    from kernbench.ulm.evaluation.trained import load_trained

    if tolerance is not None and threshold is not None:
        raise click.UsageError("--tolerance and --threshold exclude each other")
    if not 0 < abs(scale) < math.inf:
        raise click.UsageError(f"--scale expected a number that is not 0, got {scale:g}")
    if threshold is not None and math.isnan(threshold):
        raise click.UsageError("--threshold expected a number, got nan")
    where = choose_device(device)
    weights, plugin = cell_or_file(weights, study, plugin, kernel_size, only, storage)
    trained = load_trained(weights, plugin, network)
    level, decoder, origin = _level(trained, tolerance, threshold, nms_width)
    _check_out(out)
    recordings = _scaled(_read(lines, split, rate, channel), scale)
    with bar("lines") as progress:
        found = detect(trained, recordings, level, decoder, where, progress)
    click.echo(f"{weights} on {', '.join(lines)}")
    if trained.facts:
        click.echo(f"trained as {trained.label}")
    for note in dict.fromkeys(note for each in recordings for note in each.notes):
        click.echo(f"lines: {note}")
    if note := clean_training(trained):
        click.echo(f"note: {note}")
    if said := unusual_rms(found):
        _warn(said)
    click.echo(f"threshold {level:.4g}, {origin}; decoder {decoder.name}, width {decoder.width}")
    click.echo(_summary(found))
    facts: dict[str, object] = {"threshold": level, "threshold_origin": origin, "scale": scale, "device": where}
    facts |= {"decoder": decoder.name, "width": decoder.width}
    _save(found, trained, level, out, facts | {"lines": list(lines)})
    click.echo(f"detections, counts and picture: {out}")


def _level(
    trained: "Trained", tolerance: int | None, threshold: float | None, width: int | None
) -> "tuple[float, Decoder, str]":
    """Threshold and decoder, and where the threshold comes from."""
    from kernbench.ulm.evaluation.pair_card import stored_pairs
    from kernbench.ulm.pairing.decoders import Decoder
    from kernbench.ulm.scoring.protocol import HEADLINE_TOLERANCE, tolerance_index
    from kernbench.ulm.srml1d.networks import THRESHOLDS_NAME, load_thresholds

    pairs, beside = trained.pairs, trained.path.parent
    if pairs is None and threshold is None:
        if not (beside / THRESHOLDS_NAME).is_file():
            raise click.UsageError(f"{beside} has no {THRESHOLDS_NAME}: give --threshold")
        pairs = stored_pairs(load_thresholds(beside, f"stored in {beside}"), width)
    kept = Decoder() if pairs is None else pairs.decoder
    decoder = kept if width is None else Decoder(width=width)
    if threshold is not None:
        return threshold, decoder, "as given"
    assert pairs is not None  # else refused above
    meant = HEADLINE_TOLERANCE if tolerance is None else tolerance
    level = float(pairs.thresholds[tolerance_index(pairs.tolerances, meant)])
    chosen = f", chosen on {pairs.split} lines" if trained.pairs is not None else ""  # of published ones it is not said
    return level, decoder, f"stored for a tolerance of {meant} samples{chosen}"


def _read(lines: "Sequence[str]", split: str, rate: float | None, channel: int | None) -> "list[Recording]":
    """All lines in the order in which they were named; files of a folder by the numbers in their names."""
    from kernbench.ulm.data.find import find_set
    from kernbench.ulm.data.line_files import line_files
    from kernbench.ulm.evaluation.detections import recordings_of
    from kernbench.ulm.srml1d.rates import checked_rate
    from kernbench.ulm.srml1d.recordings import read_recordings

    rate_hz = None if rate is None else checked_rate(rate * 1e6, "--rate")
    found: list[Recording] = []
    for name in lines:
        paths = line_files(Path(name))
        if paths is None:
            found += recordings_of(find_set(name).load(split))
        for path in paths or []:
            found += read_recordings(path, rate_hz, channel)
    return found


def _scaled(recordings: "list[Recording]", scale: float) -> "list[Recording]":
    from dataclasses import replace

    return recordings if scale == 1 else [replace(each, voltage=each.voltage * scale) for each in recordings]


def _summary(found: "Sequence[Detected]") -> str:
    """Number of detections, in all and a line."""
    import numpy as np

    from kernbench.errors import counted

    numbers = [len(each.sample) for each in found]
    empty = numbers.count(0)
    none = f", {counted(empty, 'line')} without any" if empty else ""
    spread = f"median {np.median(numbers):g} a line ({min(numbers)} to {max(numbers)})"
    return f"{counted(sum(numbers), 'detection')} on {counted(len(found), 'line')}: {spread}{none}"


def _save(found: "Sequence[Detected]", trained: "Trained", level: float, out: Path, facts: dict[str, object]) -> None:
    """The folder, complete or not there; a picture that fails is a warning."""
    import importlib.metadata
    import json

    from kernbench.errors import only_warned
    from kernbench.host.files import sha256_of_file
    from kernbench.plotting.style import save_png
    from kernbench.ulm.data.export import new_folder
    from kernbench.ulm.evaluation.detection_figure import detection_figure
    from kernbench.ulm.evaluation.detections import counts_csv, detections_csv

    facts |= {"weights": str(trained.path), "weights_sha256": sha256_of_file(trained.path)}
    facts |= {name: trained.facts[name] for name in ("study", "cell") if trained.facts}
    facts |= {"kernbench": importlib.metadata.version("kernbench")}
    with new_folder(out) as folder:
        (folder / "detections.csv").write_text(detections_csv(found), encoding="utf-8")
        (folder / "counts.csv").write_text(counts_csv(found), encoding="utf-8")
        (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        with only_warned("no picture", _warn):
            save_png(detection_figure(found, level), folder / "detections.png", dpi=150)


def _warn(said: str) -> None:
    click.echo(f"kernbench: warning: {said}", err=True)


def _check_out(out: Path) -> None:
    """Refuse a folder that cannot be made before anything is computed."""
    from kernbench.errors import DataError
    from kernbench.host.cache_folder import check_writable

    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"--out {out} is there already; give a new folder")
    check_writable(out, DataError, "give another --out")
