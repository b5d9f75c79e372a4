"""What a baseline scored, one row for each tolerance, as a CSV file beside the study database; without torch."""

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any  # a column is text, int or float; so is a setting

from kernbench.errors import DataError, StorageError
from kernbench.host.files import write_whole
from kernbench.ulm.detectors.names import BLIND, METHODS
from kernbench.ulm.evaluation.noise import STREAM_BY_NAME, Noise, noise_stream

FOLDER = "baselines"  # within the artifacts of a storage
USUAL_SPLIT = "validation"
SCORED_LINES = "test"  # where the best comb and the best rate are chosen; no other method may see them
_KINDS: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: lambda text: float(text or "nan")}


@dataclasses.dataclass(frozen=True)
class DetectorRow:
    """Scores of one method at one tolerance on the test lines.

    Attributes:
        method: name in `METHODS`.
        tolerance_samples: samples.
        f1: mean over lines of the dilation metric.
        matched_f1: mean over lines of the one-to-one metric.
        matched_precision: share of all detections that have a partner.
        matched_recall: share of all truths that have a partner.
        rmse_samples: of the matched pairs; NaN without any.
        bias_samples: mean of detection minus truth of these pairs.
        threshold: on the score, for the dilation metric.
        matched_threshold: the same for the one-to-one metric.
        delay_samples: fitted delay.
        width_samples: fitted width of peak-nms; NaN for a blind method, whose every sample above threshold counts.
        setting: other fitted values, `name=value` pairs.
        parameters: trained numbers.
        threshold_split: where everything was fitted; "test" for a blind method, which is the floor of these very lines.
        fitted_f1: mean dilation F1 on that split at this tolerance.
        lines: number of test lines.
        fit_seconds: time to fit (for a linear filter, training included).
        line_ms: time to score one test line.
    """

    method: str
    tolerance_samples: int
    f1: float
    matched_f1: float
    matched_precision: float
    matched_recall: float
    rmse_samples: float
    bias_samples: float
    threshold: float
    matched_threshold: float
    delay_samples: int
    width_samples: float
    setting: str
    parameters: int
    threshold_split: str
    fitted_f1: float
    lines: int
    fit_seconds: float
    line_ms: float


@dataclasses.dataclass(frozen=True, order=True)
class Domain:
    """The lines that results belong to: those that everything was fitted on, and the test lines.

    Attributes:
        data_digest: of the data recipe.
        noise_percent: nominal level of all lines.
        test_noise_percent: that of the test lines.
        threshold_split: where everything is fitted.
        noise_stream: that the noise was drawn from, see `noise_stream`; 0 where no line is noisy.
    """

    data_digest: str
    noise_percent: float
    test_noise_percent: float
    threshold_split: str
    noise_stream: int

    @classmethod
    def of(cls, data_digest: str, data: Mapping[str, Any], threshold_split: str, protocol: int) -> "Domain":
        """From the settings of a study's `data` table, as one cell has them, and its protocol version."""
        noise = Noise(float(data.get("noise_percent", 0)), float(data.get("test_noise_percent", -1)))
        test = noise.level("test")
        stream = noise_stream(protocol) if noise.percent or test else 0
        return cls(data_digest, noise.percent, test, threshold_split, stream)

    def path(self, artifacts: Path) -> Path:
        """File of the results, `<artifacts>/baselines/<digest>-<noise>.csv`; what is unusual goes to the name, too."""
        parts = [self.data_digest, f"{self.noise_percent:g}"]
        if self.test_noise_percent != self.noise_percent:
            parts.append(f"test{self.test_noise_percent:g}")
        if self.threshold_split != USUAL_SPLIT:
            parts.append(self.threshold_split)
        if self.noise_stream >= STREAM_BY_NAME:  # files of the first stream have no mark
            parts.append(f"noise{self.noise_stream}")
        return artifacts / FOLDER / f"{'-'.join(parts)}.csv"


def write_rows(rows: Iterable[DetectorRow], path: Path) -> None:
    """Write rows in the order of `METHODS`, NaN as an empty cell, completely or not; folders are made.

    Raises:
        StorageError: the file cannot be written.
    """
    order = {name: place for place, name in enumerate(METHODS)}
    ordered = sorted(rows, key=lambda row: (order.get(row.method, len(order)), row.method, row.tolerance_samples))
    text = io.StringIO(newline="")
    heads, values = [field.name for field in dataclasses.fields(DetectorRow)], map(dataclasses.astuple, ordered)
    cells = (["" if isinstance(each, float) and math.isnan(each) else each for each in row] for row in values)
    csv.writer(text).writerows([heads, *cells])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.getvalue())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def stored_rows(path: Path) -> list[DetectorRow]:
    """Rows of a file, none where there is no file.

    Blind rows that were fitted on another split are those of an older definition of the floors. They are left out, so
    that they are computed again and never stand beside floors of today.

    Raises:
        DataError: it cannot be read, or is not such a file.
    """
    kinds = [(field.name, _KINDS[field.type]) for field in dataclasses.fields(DetectorRow)]
    try:
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [DetectorRow(**{name: kind(row[name]) for name, kind in kinds}) for row in reader]
            return [row for row in rows if row.method not in BLIND or row.threshold_split == SCORED_LINES]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is no file of baseline results: {error}") from error


def replaced(old: Iterable[DetectorRow], new: Sequence[DetectorRow]) -> list[DetectorRow]:
    """Old rows with those of the new rows' methods replaced."""
    again = {row.method for row in new}
    return [*(row for row in old if row.method not in again), *new]
