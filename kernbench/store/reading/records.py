"""What one cell left behind, as report and command line read it: plain records, no database, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernbench.study.reference import Reference

OK = "ok"
DIVERGED = "diverged"
PRUNED = "pruned"


@dataclass(frozen=True, eq=False)
class Scores:
    """Hits and misses of one split at the frozen thresholds.

    Attributes:
        tolerances: samples, (n_tol,).
        tp: hit truths of each line, (n_tol, N) integers.
        fp: false detected samples, (n_tol, N).
        fn: missed truths, (n_tol, N).
        thresholds: on the network's output, one per tolerance, (n_tol,).
    """

    tolerances: NDArray[np.int64]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LineInfo:
    """What is known of the test lines themselves, in the order of the scores.

    Attributes:
        facts: name of a `Fact` of the task -> its value for each line, (N,).
        floors: name of a `Floor` of the task -> its mean score on these lines at each tolerance, (n_tol,).
    """

    facts: Mapping[str, NDArray[Any]]  # whole numbers or not
    floors: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Curves:
    """Means over the test lines at every tolerance and threshold, thresholds rising.

    Attributes:
        thresholds: on the network's output, (n_thr,).
        precision: tolerances 0, 1, ..., (n_tol, n_thr).
        recall: same.
        f1: mean of the lines' F1, not the F1 of the two means, same.
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """One cell: finished (`ok`, `diverged`, `pruned`) or failed (`error`, `oom`, `timeout`, `killed`, `interrupted`).

    Attributes:
        study: Optuna study, "k_sweep.v1.quick/siren".
        base: study file, version and profile, "k_sweep.v1.quick"; runs of one base compare.
        family: kernel family.
        cell: id of the cell, sorted `name=value` pairs.
        params: the cell's axis values and its seed; draw and drawn hyper-parameters where the study is tuned.
        status: `ok` or the class of failure.
        digest: of the definition of the study, 12 hex digits.
        data_digest: of the data recipe.
        message: first line of the error, empty if all went well.
        tolerance: headline tolerance of the study [samples].
        threshold: on the network's output, at the headline tolerance.
        values: name of a `Column` of the task -> its number; None where it was not measured.
        seconds: wall time of training and evaluation, also of a training that another cell has done.
        trained_as: cell of the study whose training was taken over; empty for one that was trained itself.
        own_seconds: wall time without what was taken over; None where nothing was.
        epochs: trained.
        plugin: distribution and version of the family's plugin.
        kernbench_version: of the program that ran the cell.
        device: "cpu" or the accelerator.
        environment: what ran where, JSON.
        started: UTC, ISO 8601.
        scores: one entry per split.
        lines: the test lines, None where there are no scores.
        artifacts: file name -> path.
        references: published numbers that the study carries.
        matched: one-to-one scores of the test lines, column -> value at each tolerance; empty where not stored.
        curve: precision and recall of the test lines at all thresholds; None where not stored.
        question: what the study asks; empty where it was not stored.
        note: what the study says about published results that have no number; empty if nothing.
        settings_digest: of the definition without its kernel family, so that it is equal for all families of one
            comparison; empty where unknown.
        definition: everything that gives the cell its meaning, as the study stored it; empty where unknown.
        plugin_source: digest of the plugin's source code; empty where it was not stored.
        asked: cells of its study that were ever asked for and are meant, ended or not; 0 where unknown.
        missing: cells of all studies of its base that were asked for and have no record, by study: never started,
            waiting or running; shared by all cells of the base.
        lacking: artifacts that the database names and whose files are not there.
        plateau: whether training left it where it began; None without scores, and where it was not stored.
        layers: a row of facts for each layer of the network, input side first; empty where not stored.
        network: name, taps, channels, depth and field of the network where its study works them out; else empty.
        selected: which cells were read, "kernel_size = 65"; empty if all.
        database: what its database is called among several; empty where there is one.
    """

    study: str
    base: str
    family: str
    cell: str
    params: dict[str, float | int | str]
    status: str
    digest: str
    data_digest: str
    message: str
    tolerance: int
    threshold: float | None
    values: dict[str, float | None]
    seconds: float | None
    epochs: int | None
    plugin: str
    kernbench_version: str
    device: str
    environment: dict[str, Any]  # Any: JSON of versions, hardware, git state
    started: str
    scores: dict[str, Scores] = field(default_factory=dict)
    lines: LineInfo | None = None
    artifacts: dict[str, Path] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    matched: dict[str, list[float | None]] = field(default_factory=dict)
    curve: Curves | None = None
    question: str = ""
    note: str = ""
    settings_digest: str = ""
    definition: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    plugin_source: str = ""
    plateau: bool | None = None
    asked: int = 0
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacking: int = 0
    layers: tuple[dict[str, Any], ...] = ()  # Any: JSON of the task
    network: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON of the task
    selected: str = ""
    database: str = ""
    trained_as: str = ""
    own_seconds: float | None = None
