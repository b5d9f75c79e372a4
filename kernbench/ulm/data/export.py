"""Export of data sets to the line files of SRML-1D, with the manifest that imports them again."""

import contextlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kernbench.errors import DataError
from kernbench.host.files import partial_folder
from kernbench.ulm.data.find import Content, DataSet
from kernbench.ulm.data.manifest import MANIFEST_NAMES, Manifest, ManifestLine, describe_file, write_manifest
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.scene import Scene
from kernbench.ulm.simulator.simulate import Progress, simulate_lines
from kernbench.ulm.srml1d.formats import LINE_FORMATS, RecordedLine, write_line


def export_set(
    data: DataSet, folder: Path, splits: Sequence[str] = (), form: str = "text", progress: Progress | None = None
) -> Path:
    """Write splits of a data set as line files RFDATA00001, ... with a manifest.

    Args:
        data: see `kernbench.ulm.data.find.find_set`.
        folder: new, or empty; made under another name and renamed: complete or not there.
        splits: which ones, numbered one after another; empty for all.
        form: "text" (published text lines) or "mat" (MATLAB v5).
        progress: called as progress(lines done, lines in all).

    Returns:
        The manifest.

    Raises:
        DataError: lines that are windows of 8446 samples, a split asked for twice, a folder that holds something or
            cannot be written.
    """
    if len(set(splits)) < len(splits):
        raise DataError(f"a split is asked for twice: {', '.join(splits)}")
    contents = [data.content(split) for split in splits or data.splits]
    total = sum(len(content.split.voltage) for content in contents)
    source = f"kernbench {importlib.metadata.version('kernbench')} from data set {data.digest}"
    entries: list[ManifestLine] = []
    with new_folder(folder) as partial:
        for content in contents:
            for position, line in enumerate(_recorded_lines(content, echoes=form == "mat")):
                path = partial / f"RFDATA{len(entries) + 1:05d}{LINE_FORMATS[form]}"
                write_line(path, line, f"{source}, {content.split.name} {position}")
                entries.append(describe_file(path, partial, content.split.name, position)[0])
                if progress is not None:
                    progress(len(entries), total)
        write_manifest(partial / MANIFEST_NAMES[0], Manifest(f"exported by {source}", tuple(entries)))
    return folder / MANIFEST_NAMES[0]


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to, renamed to its own name when all went well: complete or not there.

    Raises:
        DataError: the folder holds something or cannot be written.
    """
    folder = folder.resolve()  # so that `.` has a name
    try:
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder} is not a folder")
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(f"folder {folder} is not empty; give a new folder")
        if folder.exists() and folder.samefile(Path.cwd()):  # it cannot be replaced
            raise DataError(f"folder {folder} is the working folder; give a new folder")
        with partial_folder(folder) as partial:
            yield partial
            if folder.is_dir():
                folder.rmdir()
            partial.rename(folder)
    except OSError as error:
        raise DataError(f"folder {folder} cannot be written: {error.strerror}") from error


def _recorded_lines(content: Content, *, echoes: bool) -> Iterator[RecordedLine]:
    """Lines of a split as their files would hold them; a pressure field that is not known is simulated.

    With `echoes`, each line is simulated again for the pressures that only .mat files hold: of the echoes and of the
    pulse. They stay unknown where lines were imported or simulated with measured responses.
    """
    split = content.split
    if split.voltage.shape[1] != SAMPLES:
        raise DataError(
            f"split {split.name} has windows of {split.voltage.shape[1]} samples; the published formats hold whole "
            f"lines of {SAMPLES}; a study with data.window = 0 has such"
        )
    for row in range(len(split.voltage)):
        again = content.again(row) if echoes and content.again is not None else None
        pressure_pa, sent = float(split.pressure_pa[row]), content.pulse
        field = None
        if content.field_pa is not None:
            field = np.asarray(content.field_pa[row])
        elif sent is not None and not np.isnan(pressure_pa):
            empty = Scene([], [], [], pressure_pa)  # the field depends on the pulse only
            field = simulate_lines([empty], pulse=sent).pressure_field_pa[0].numpy()
        yield RecordedLine(
            voltage=np.asarray(split.voltage[row]),
            counts=np.asarray(split.counts[row]),
            field_pa=field,
            pressure_pa=pressure_pa,
            positions=None if content.positions is None else content.positions[row],
            echo_pa=None if again is None else again.echo_pa[0].numpy(),
            pulse_pa=None if again is None or sent is None else find_pulse(sent).pressure * pressure_pa,
            pulse=sent,
        )
