"""Split manifests: which line file is which line of which split, by name and content, never by directory order."""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from kernbench.errors import DataError, close_match, first_line
from kernbench.host.files import json_digest, sha256_of, write_whole
from kernbench.ulm.data.line_files import SPLIT_FOLDERS, listed, numbered, split_folder
from kernbench.ulm.data.recipe import SPLITS
from kernbench.ulm.line import SAMPLE_RATE_HZ
from kernbench.ulm.srml1d.formats import LINE_FORMATS, parse_line, read_bytes
from kernbench.ulm.srml1d.rates import checked_rate, is_native
from kernbench.ulm.srml1d.text import parse_text_header

MANIFEST_NAMES = ("manifest.json", "manifest.csv")
MANIFEST_VERSION = 1
LONGEST_NAME = 1024
_SAID = re.compile(r"# (rule|rate_hz|channel): (.*)\n")  # at the top of a CSV


@dataclass(frozen=True)
class ManifestLine:
    """One line of a data set.

    Attributes:
        file: path below the folder of the data set, with forward slashes.
        sha256: of the content, 64 hexadecimal digits.
        split: train, validation or test.
        position: place in its split, from 0.
        bubbles: number of bubbles, as the file says.
        pressure_kpa: amplitude of the pulse, as the file says; None where it does not.
    """

    file: str
    sha256: str
    split: str
    position: int
    bubbles: int
    pressure_kpa: float | None


_KEYS = [field.name for field in fields(ManifestLine)]


@dataclass(frozen=True)
class Manifest:
    """The lines of a data set and the rule that put them into splits.

    Attributes:
        rule: in words, such as "number in the file name: train 1-1024".
        lines: sorted by split (train, validation, test) and position.
        rate_hz: sampling rate of the files where it is another than 62.5 MHz, to which they are resampled.
        channel: of files with several, from 1, the one that is the line.
    """

    rule: str
    lines: tuple[ManifestLine, ...]
    rate_hz: float | None = None
    channel: int | None = None

    def split(self, name: str) -> list[ManifestLine]:
        """Lines of one split in order."""
        return [line for line in self.lines if line.split == name]

    @property
    def splits(self) -> list[str]:
        """Splits that have lines."""
        return [split for split in SPLITS if self.split(split)]

    def digest(self) -> str:
        """Name of the data set: 12 hexadecimal digits of contents, order and how they are read, file names left out."""
        facts = {"version": MANIFEST_VERSION} | {
            split: [line.sha256 for line in self.split(split)] for split in self.splits
        }
        return json_digest(facts | self.how)

    @property
    def how(self) -> dict[str, Any]:  # JSON
        """How the files are read where it is not as usual: rate_hz, channel."""
        given = {"rate_hz": self.rate_hz, "channel": self.channel}
        return {name: value for name, value in given.items() if value is not None}


def read_manifest(path: Path) -> Manifest:
    """A manifest from JSON or CSV.

    Raises:
        DataError: it cannot be read, a key is missing or unknown, or two lines claim one place, file or content.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a byte order mark in front
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise DataError(f"manifest {path} cannot be read: {reason}") from error
    rule, rows, how = _read_csv(text, path) if path.suffix.lower() == ".csv" else _read_json(text, path)
    lines = [_line(row, f"manifest {path}, entry {number}") for number, row in enumerate(rows, 1)]
    return replace(_checked(rule, lines, f"manifest {path}"), **_checked_how(how, f"manifest {path}"))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as JSON, or as CSV where the name ends in .csv.

    Raises:
        DataError: the file cannot be written; one that was there is still intact then.
    """
    text = _csv_text(manifest) if path.suffix.lower() == ".csv" else _json_text(manifest)
    try:
        write_whole(path, text)
    except OSError as error:
        raise DataError(f"manifest {path} cannot be written: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise DataError(f"manifest {path}: a file name is not UTF-8; rename it, or write .json") from error


def find_manifest(folder: Path) -> Path:
    """The manifest in a folder of line files.

    Raises:
        DataError: there is none; the order of a directory is undefined and never used.
    """
    there = {path.name for path in listed(folder)}
    if found := [folder / name for name in MANIFEST_NAMES if name in there]:
        return found[0]
    raise DataError(
        f"folder {folder} has no {' or '.join(MANIFEST_NAMES)}: lines are put into splits by a manifest only, never by "
        f"the order of a directory; `kernbench data manifest {folder} --train 1-1024 ...` writes one"
    )


def manifest_by_number(
    folder: Path,
    ranges: Mapping[str, tuple[int, int]] | None = None,
    form: str = "text",
    rate_hz: float | None = None,
    channel: int | None = None,
) -> Manifest:
    """A manifest by the last number in the file name, as SRML-1D numbers its lines: RFDATA00001.txt is number 1.

    Args:
        folder: of the line files, or of the folders TRAINING, VALIDATION and TESTING, which have those of a split each.
        ranges: split -> first and last number, both included; left out, all lines of those three folders.
        form: "text" or "mat".
        rate_hz: sampling rate of text files; MATLAB files name their own.
        channel: of MATLAB files with several, from 1.

    Raises:
        DataError: a number of the ranges has no file or several, a file's header cannot be read, files of several
            rates, or neither ranges nor folders of splits.
    """
    homes = {split: split_folder(folder, name) for split, name in SPLIT_FOLDERS.items()}
    chosen: Mapping[str, tuple[int, int] | None] = ranges or {
        split: None for split, home in homes.items() if home is not None
    }
    if not chosen:
        raise DataError(
            f"{folder} has no folders {', '.join(SPLIT_FOLDERS.values())}; say which files are of which split: "
            "--train 1-1024 and so on"
        )
    lines: list[ManifestLine] = []
    rates: dict[float, str] = {}
    for split, wanted in chosen.items():
        for position, path in enumerate(numbered(homes[split] or folder, wanted, LINE_FORMATS[form], split)):
            line, rate = describe_file(path, folder, split, position, rate_hz, channel)
            lines.append(line)
            rates.setdefault(rate, path.name)
    if len(rates) > 1:
        (one, first), (other, second), *_ = rates.items()
        got = f"{one / 1e6:g} MHz ({first}) and {other / 1e6:g} MHz ({second})"
        raise DataError(f"{folder}: expected files of one sampling rate, got {got}")
    by_number = (f"{split} {pair[0]}-{pair[1]}" for split, pair in chosen.items() if pair is not None)
    rule = f"number in the file name: {', '.join(by_number)}" if ranges else "folders TRAINING, VALIDATION, TESTING"
    own = next((rate for rate in rates if not is_native(rate)), None)
    return replace(_checked(rule, lines, f"folder {folder}"), rate_hz=own, channel=channel)


def describe_file(
    path: Path, folder: Path, split: str, position: int, rate_hz: float | None = None, channel: int | None = None
) -> tuple[ManifestLine, float]:
    """Entry of one line file, and its sampling rate [Hz].

    Raises:
        DataError: the file (of text, its header) is malformed.
    """
    content = read_bytes(path)
    if path.suffix.lower() == ".txt":
        bubbles, pressure = parse_text_header(content, path.name)
        rate = rate_hz or SAMPLE_RATE_HZ
    else:
        line = parse_line(content, path.name, rate_hz, channel)
        bubbles, pressure, rate = line.bubbles, line.pressure_pa, line.rate_hz
    name = path.relative_to(folder).as_posix()
    kpa = None if math.isnan(pressure) else round(pressure / 1e3, 6)
    return ManifestLine(name, sha256_of(content), split, position, bubbles, kpa), rate


def _checked(rule: str, lines: Sequence[ManifestLine], where: str) -> Manifest:
    """The manifest in order, without gaps or repetitions."""
    if not lines:
        raise DataError(f"{where} has no lines")
    for field, kind in (("file", "file"), ("sha256", "content")):
        # The same line in two splits would leak; twice in one split it would count double.
        value, times = Counter(getattr(line, field) for line in lines).most_common(1)[0]
        if times > 1:
            raise DataError(f"{where}: {kind} {value} is listed twice")
    for split in SPLITS:
        places = sorted(line.position for line in lines if line.split == split)
        if places != list(range(len(places))):
            wrong = next(number for number, place in enumerate(places) if number != place)
            raise DataError(f"{where}: the positions of {split} must be 0 to {len(places) - 1}, each once; see {wrong}")
    return Manifest(rule, tuple(sorted(lines, key=lambda line: (SPLITS.index(line.split), line.position))))


def _line(row: Mapping[str, Any], where: str) -> ManifestLine:
    """One entry, checked and in its types."""
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a table with {', '.join(_KEYS)}")
    if unknown := [key for key in row if key not in _KEYS]:
        raise DataError(f"{where}: unknown key {unknown[0]!r}{close_match(str(unknown[0]), _KEYS)}")
    if absent := [key for key in _KEYS if key not in row or (row[key] in (None, "") and key != "pressure_kpa")]:
        raise DataError(f"{where}: {absent[0]} is missing")
    for key in ("file", "sha256", "split"):
        if not isinstance(row[key], str):
            raise DataError(f"{where}: {key} must be text, got {row[key]!r:.40}")
    try:
        numbers = {"position": _whole(row["position"]), "bubbles": _whole(row["bubbles"])}
        pressure = _pressure(row["pressure_kpa"])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: position and bubbles must be integers >= 0, pressure_kpa a number") from error
    line = ManifestLine(row["file"], row["sha256"].lower(), row["split"], **numbers, pressure_kpa=pressure)
    if line.split not in SPLITS:
        raise DataError(f"{where}: split expected {', '.join(SPLITS)}, got {line.split!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", line.sha256):
        raise DataError(f"{where}: sha256 expected 64 hexadecimal digits, got {line.sha256!r:.40}")
    inside = PurePosixPath(line.file)
    if inside.is_absolute() or ".." in inside.parts or "\\" in line.file:
        raise DataError(f"{where}: file must be a path below the folder, got {line.file!r}")
    if len(line.file) > LONGEST_NAME:
        raise DataError(f"{where}: file has {len(line.file)} characters, no file has such a name: {line.file!r:.60}...")
    return line


def _whole(value: object) -> int:
    """A number 0 or more as JSON or CSV hold it; int() would take 0.7 and true, too."""
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}", str(value), re.ASCII):
        raise ValueError(value)
    return int(str(value))


def _pressure(value: Any) -> float | None:  # number or text
    if value in (None, ""):
        return None
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def _checked_how(how: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Rate and channel of a manifest, in their types."""
    checked: dict[str, Any] = {}
    try:
        if how.get("rate_hz") is not None:
            checked["rate_hz"] = float(how["rate_hz"])
        if how.get("channel") is not None:
            checked["channel"] = _whole(how["channel"])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: rate_hz must be a number [Hz], channel an integer >= 1") from error
    if "rate_hz" in checked:
        checked_rate(checked["rate_hz"], f"{where}: rate_hz")
    if checked.get("channel") == 0:
        raise DataError(f"{where}: channel must be an integer >= 1, got 0")
    return checked


def _read_json(text: str, path: Path) -> tuple[str, list[Any], Mapping[str, Any]]:
    try:
        content = json.loads(text)
        rows = content["lines"]
        rule, version = content["rule"], content["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"manifest {path} is not JSON with version, rule and lines: {first_line(error)}") from error
    if version != MANIFEST_VERSION or not isinstance(rows, list):
        raise DataError(
            f"manifest {path}: expected version {MANIFEST_VERSION} and a list of lines, got {version!r:.40}"
        )
    if not isinstance(rule, str):
        raise DataError(f"manifest {path}: rule must be text, got {rule!r:.40}")
    return rule, rows, content


def _read_csv(text: str, path: Path) -> tuple[str, list[dict[str, Any]], Mapping[str, Any]]:
    said = {}
    while found := _SAID.match(text):  # comments at the top
        said[found[1]] = found[2].strip()
        text = text[found.end() :]
    try:
        return said.get("rule", ""), list(csv.DictReader(io.StringIO(text))), said
    except csv.Error as error:
        raise DataError(f"manifest {path} is not CSV: {error}") from error


def _json_text(manifest: Manifest) -> str:
    rows = ",\n  ".join(json.dumps(asdict(line)) for line in manifest.lines)
    how = "".join(f' "{name}": {json.dumps(value)},\n' for name, value in manifest.how.items())
    return (
        f'{{"version": {MANIFEST_VERSION},\n "rule": {json.dumps(manifest.rule)},\n{how} "lines": [\n  {rows}\n ]\n}}\n'
    )


def _csv_text(manifest: Manifest) -> str:
    out = io.StringIO()
    out.writelines(f"# {name}: {value}\n" for name, value in ({"rule": manifest.rule} | manifest.how).items())
    writer = csv.DictWriter(out, _KEYS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in manifest.lines)
    return out.getvalue()
