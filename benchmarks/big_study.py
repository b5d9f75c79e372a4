"""Time of kernbench's commands on a study of 2,000 finished cells, on SQLite or PostgreSQL.

    python benchmarks/big_study.py FOLDER                    makes the study in FOLDER/kernbench.db and measures it
    python benchmarks/big_study.py FOLDER --test-lines 960   the same with complete test sets of the publication
    python benchmarks/big_study.py FOLDER --storage URL      copies it to URL, an empty database, and measures that

The scores of the cells are invented, with the numbers of lines and tolerances of the quick profile. The cells are
stored as a worker stores them: trial, attributes, learning curve, run, scores on every line, curves, and the artifacts
that the report reads. Wall time is what a user waits for, CPU time what the same command takes on a machine that does
nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from kernbench.engine.fleet import runner
from kernbench.engine.work import environment
from kernbench.host.files import json_digest
from kernbench.registry import find
from kernbench.store.database.opening import open_storage
from kernbench.store.database.url import side_folder
from kernbench.store.maintenance.copying import copy_studies
from kernbench.store.tables import result_tables
from kernbench.store.tables.result_tables import RunRow, ScoreRow
from kernbench.study.cell import SplitFacts
from kernbench.study.task import load as load_task_study
from kernbench.training.settings import Epoch
from kernbench.ulm.cells import definition
from kernbench.ulm.cells.artifacts import write_curve
from kernbench.ulm.scoring.loss import TERMS

SIZES, SEEDS, EPOCHS = 100, 20, 20
LINES, TOLERANCES, THRESHOLDS = {"validation": 64, "test": 128}, 10, 44
STUDY = "version = 1\nseeds = {seeds}\n[axes]\nkernel_size = {sizes}\n"


def make(folder: Path) -> None:
    """The study and its cells, in FOLDER/kernbench.db."""
    sizes = [2 * n + 3 for n in range(SIZES)]
    path = folder / "big.toml"
    path.write_text(STUDY.format(seeds=SEEDS, sizes=sizes), encoding="utf-8")
    url, found = f"sqlite:///{folder}/kernbench.db", find("discrete")
    study = load_task_study(str(path), found.family, "quick")
    storage = open_storage(url)
    result_tables.create_tables(storage.engine)
    opened = runner._create(study, storage)
    artifacts = side_folder(url, "artifacts")
    artifacts.mkdir()
    side_folder(url, "checkpoints").mkdir()
    data, machine = definition.data_digest(study.definition), environment.environment("cpu")
    result_tables.write_environment(storage.engine, json_digest(machine), machine)
    rng = np.random.default_rng(0)
    for split, lines in LINES.items():
        facts = SplitFacts(
            lines={
                "bubbles": rng.integers(10, 500, lines).tolist(),
                "pressure_pa": rng.uniform(5e3, 2.5e5, lines).tolist(),
            },
            floors={
                "comb": np.linspace(0, 0.5, TOLERANCES).tolist(),
                "random": np.linspace(0, 0.3, TOLERANCES).tolist(),
            },
        )
        result_tables.write_split(storage.engine, data, split, facts)
    for number, (cell, params) in enumerate(study.cells().items()):
        add(opened, storage, artifacts, study, cell, params, number, data, json_digest(machine), found.label, rng)
    storage.engine.dispose()


def add(opened, storage, artifacts, study, cell, params, number, data, machine, plugin, rng) -> None:
    """One finished cell."""
    quality = float(np.clip(0.9 - 8 / params["kernel_size"] + rng.normal(0, 0.02), 0.05, 0.95))
    counts = {split: drawn(rng, quality, lines) for split, lines in LINES.items()}
    columns = {"study": study.key, "cell": cell}
    rows = [
        ScoreRow(**columns, split=split, signal=i, tolerance=t, tp=int(tp[t, i]), fp=int(fp[t, i]), fn=int(fn[t, i]))
        for split, (tp, fp, fn) in counts.items()
        for t in range(TOLERANCES)
        for i in range(LINES[split])
    ]
    curve = {
        name: rng.uniform(0, 1, (TOLERANCES, THRESHOLDS)).round(6).tolist() for name in ("precision", "recall", "f1")
    }
    run = RunRow(
        **columns,
        trial=number,
        status="ok",
        message="",
        family=study.family.name,
        params=dict(params),
        plugin=plugin,
        kernbench_version="0",
        digest=study.digest,
        data_digest=data,
        environment=machine,
        seeds={"order": number},
        device="cpu",
        threads=1,
        tolerance=4,
        thresholds={split: np.linspace(0.2, 0.8, TOLERANCES).tolist() for split in LINES},
        started="2026-01-01T00:00:00+00:00",
        seconds=60.0,
        attempts=1,
        epochs=EPOCHS,
        n_params=1000 * params["kernel_size"],
        params_kernel=900 * params["kernel_size"],
        flops=1e6 * params["kernel_size"],
        latency_ms=1.5,
        peak_memory_mb=300.0,
        details={"curve": curve | {"thresholds": np.linspace(0, 1, THRESHOLDS).tolist()}},
    )
    result_tables.write_run(storage.engine, run, rows)
    losses = np.exp(-np.arange(EPOCHS) / 8) + rng.normal(0, 0.01, EPOCHS)
    opened.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            value=quality,
            params=dict(params),
            distributions={
                "kernel_size": optuna.distributions.IntDistribution(1, 65535),
                "seed": optuna.distributions.IntDistribution(0, 2**32 - 1),
            },
            user_attrs={
                "cell": cell,
                "status": "ok",
                "family": study.family.name,
                "digest": study.digest,
                "f1_val": quality,
            },
            system_attrs=dict(stored(artifacts, name, params, losses, rng) for name in ("curve.csv", "cell.npz")),
            intermediate_values=dict(enumerate((1 - losses).tolist())),
        )
    )


def drawn(rng, quality, lines):
    """Counts whose F1 grows with the tolerance, (n_tol, N) each."""
    truths = rng.integers(5, 250, lines)
    share = np.clip(quality + rng.normal(0, 0.05, lines), 0.01, 0.99) * (
        1 - np.exp(-(np.arange(TOLERANCES)[:, None] + 1) / 2)
    )
    tp = np.rint(truths * share).astype(int)
    return tp, np.rint(truths * (1 - share)).astype(int), truths - tp


def stored(artifacts, name, params, losses, rng):
    """Write a file to the artifact store; its name and entry, as a trial has them."""
    file = artifacts / str(uuid.uuid4())
    if name == "curve.csv":
        epochs = [
            Epoch(n, loss, dict.fromkeys(TERMS, loss), loss, loss, loss, loss)
            for n, loss in enumerate(losses.tolist(), start=1)
        ]
        write_curve(artifacts, epochs)[0].rename(file)
    else:
        kernels = rng.normal(0, 0.1, (16, params["kernel_size"])).astype(np.float32)
        spectrum = np.abs(np.fft.rfft(kernels, 256)[:3]).astype(np.float32)
        arrays = {f"{part}_{layer}": kernels for part in ("kernel", "kernel_start") for layer in range(4)}
        arrays |= {f"spectrum_{layer}": spectrum for layer in range(4)}
        line = rng.normal(0, 1, 1024).astype(np.float32)
        arrays |= {f"example_{part}": line for part in ("voltage", "counts", "prediction")}
        arrays |= {"frequency": np.linspace(0, 0.5, 129), "example_start": np.asarray(0), "rate_hz": np.asarray(62.5e6)}
        with file.open("wb") as writing:
            np.savez_compressed(writing, allow_pickle=False, **arrays)
    entry = {"artifact_id": file.name, "filename": name, "mimetype": "application/octet-stream", "encoding": None}
    return f"artifacts:{file.name}", json.dumps(entry)


def measure(folder: Path, url: str) -> None:
    """Each command once, in a process of its own."""
    study = ["--study", str(folder / "big.toml"), "--plugin", "discrete", "--profile", "quick", "--device", "cpu"]
    commands = {
        "status": ["status"],
        "run --dry-run": ["run", *study, "--dry-run"],
        "run --workers 0": ["run", *study, "--workers", "0"],
        "worker": ["worker", "--study", "big", "--device", "cpu"],
        "report": ["report", "--out", str(folder / "report")],
        "storage check": ["storage", "check"],
    }
    for name, words in commands.items():
        start = time.perf_counter()
        with (folder / "output").open("w") as output:
            child = subprocess.Popen(  # noqa: S603  # the words above
                [sys.executable, "-m", "kernbench", *words, "--storage", url], cwd=folder, stdout=output, stderr=output
            )
            _, status, usage = os.wait4(child.pid, 0)
        wall, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
        print(
            f"{name:16} exit {os.waitstatus_to_exitcode(status)}  wall {wall:6.1f} s  CPU {cpu:6.1f} s  "
            f"{usage.ru_maxrss / 1024:6.0f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--storage", help="URL of an empty database to copy the study to")
    parser.add_argument("--test-lines", type=int, default=LINES["test"], help="of a study that is made  [%(default)s]")
    arguments = parser.parse_args()
    LINES["test"] = arguments.test_lines
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder}/kernbench.db"
    os.chdir(folder)
    if not (folder / "kernbench.db").exists():
        start = time.process_time()
        make(folder)
        print(f"made {SIZES * SEEDS} cells in {time.process_time() - start:.0f} s CPU", flush=True)
    if arguments.storage:
        start, clock = time.perf_counter(), time.process_time()
        copy_studies(url, arguments.storage, [], print)
        print(
            f"storage copy: wall {time.perf_counter() - start:.1f} s, CPU {time.process_time() - clock:.1f} s",
            flush=True,
        )
    measure(folder, arguments.storage or url)


if __name__ == "__main__":
    main()
