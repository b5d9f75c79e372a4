"""Synthetic runs: a factory with plausible numbers, artifacts and failures; nothing is trained."""

import dataclasses
import importlib.util
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from html_page import Page

from kernbench.report.page import html
from kernbench.store.reading.records import Curves, LineInfo, Run, Scores
from kernbench.training.settings import Epoch
from kernbench.ulm.cells import artifacts as cell_artifacts

DOCS = Path(__file__).parents[2] / "docs"
TOLERANCES = np.arange(10)
ENVIRONMENT = {"python": "3.11.9", "packages": {"torch": "2.13.0", "numpy": "2.4.0"}, "cpu": "Test CPU", "threads": 1}


def make_scores(rng, lines, quality, difficulty):
    """Counts of `lines` lines whose F1 at tolerance 4 is near `quality`."""
    truths = rng.integers(5, 250, lines)
    share = np.clip(quality * (1 - 0.25 * difficulty) + rng.normal(0, 0.02, lines), 0.01, 0.99)
    growth = (1 - np.exp(-(TOLERANCES + 0.7) / 1.6))[:, None] / (1 - np.exp(-4.7 / 1.6))
    tp = np.minimum(np.rint(truths * share * growth).astype(int), truths)
    fp = np.rint(truths * (1 - np.minimum(share * growth, 1))).astype(int)
    return Scores(TOLERANCES, tp, fp, truths - tp, np.full(10, 0.2))


def make_curves(seed=0, lines=20):
    """Means over lines of guarded scores: hits get rarer and false alarms much rarer as the threshold rises."""
    rng = np.random.default_rng(seed)
    thresholds = np.linspace(0.05, 0.95, 10)
    truths = rng.integers(5, 60, lines)
    reach = 1 - np.exp(-(TOLERANCES + 0.7) / 1.6)
    share = reach[:, None] * (1 - thresholds**2) * rng.uniform(0.9, 1, (10, 10))
    tp = np.rint(truths * share[..., None]).astype(int)
    fp = np.rint(truths * 3 * (1 - thresholds[:, None]) ** 3 * (1.2 - reach[:, None, None])).astype(int)
    tp[:, -1], fp[:, -1] = 0, 0  # nothing above the last threshold
    precision = np.where(tp, tp / np.maximum(tp + fp, 1), 0.001)
    recall = np.where(tp, tp / truths, 0.001)
    f1 = 2 * precision * recall / (precision + recall)
    return Curves(thresholds, *(each.mean(axis=2) for each in (precision, recall, f1)))


def write_artifacts(folder, kernel_size, rng):
    """cell.npz and curve.csv as a cell leaves them; without its pictures, which take long and which no page shows."""
    lags = np.arange(kernel_size) - kernel_size // 2
    burst = np.exp(-((np.arange(150) - 83) ** 2) / 800) * np.cos(2 * np.pi * 1.7 / 62.5 * np.arange(150))
    start, kernels = [], []
    for _ in range(2):
        width, frequency, phase = (rng.uniform(*ends, (16, 1)) for ends in ((4, 12), (0.01, 0.06), (0, 6)))
        start.append(rng.normal(0, 0.05, (16, kernel_size)))
        kernels.append(0.2 * np.exp(-(lags**2) / (2 * width**2)) * np.cos(2 * np.pi * frequency * lags + phase))
    counts = rng.poisson(0.06, 2048)
    output = np.convolve(counts, [0.2, 0.5, 0.2], "same") + rng.normal(0, 0.03, 2048)
    example = cell_artifacts.Example(
        np.convolve(counts, burst)[:2048], counts, output, start=3000, threshold=0.2, line=0
    )
    losses = 0.6 + 2 * np.exp(-np.arange(30) / 8)
    curve = [
        Epoch(
            e, loss, {"soft": 0.4 * loss, "hard": 0.4}, *((loss + 0.1, 1.4 - loss) if e % 2 else (None, None)), 5e-3, e
        )
        for e, loss in enumerate(losses.tolist())
    ]
    with mock.patch.object(cell_artifacts, "_pictures", return_value=[]):
        return {path.name: path for path in cell_artifacts.write_all(folder, start, kernels, example, curve)[0]}


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    """Writes a report to `tmp_path` and reads its page; figures of comparisons, which take long, only if `drawn`."""

    def make(runs, drawn=False):
        with monkeypatch.context() as patch:
            if not drawn:
                patch.setattr(html, "study_pictures", lambda *_: {})
            page = html.write_report(runs, tmp_path)
        return Page(page.read_text(encoding="utf-8"), tmp_path)

    return make


@pytest.fixture(scope="session")
def script():
    spec = importlib.util.spec_from_file_location("make_results", DOCS / "make_results.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)  # as `python docs/make_results.py` has it
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def curves():
    """Factory of curves; those of different seeds differ."""
    return make_curves


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Factory of runs with about the F1 asked for; further fields of Run by name."""

    def make(
        family="siren",
        kernel_size=65,
        seed=0,
        quality=0.8,
        status="ok",
        lines=64,
        artifacts=False,
        params=None,
        base="k_sweep.v1.quick",
        **fields,
    ):
        params = {"kernel_size": kernel_size, "seed": seed} if params is None else params
        cell = ",".join(f"{name}={params[name]}" for name in sorted(params))
        shared = np.random.default_rng(99)
        bubbles, pressure = shared.integers(10, 1000, lines), shared.uniform(5e3, 250e3, lines)
        difficulty = bubbles / 1000 - 0.3 * (pressure / 250e3)
        rng = np.random.default_rng([seed, kernel_size or 1, len(family)])
        scores, info, files = {}, None, {}
        if status == "ok":
            scores = {
                "validation": make_scores(rng, 32, quality, difficulty[:32].mean()),
                "test": make_scores(rng, lines, quality, difficulty),
            }
            comb = 1 - 0.88 * np.exp(-TOLERANCES / 5.0)
            info = LineInfo({"bubbles": bubbles, "pressure_pa": pressure}, {"comb": comb, "random": 0.75 * comb})
        if artifacts:
            folder = tmp_path_factory.mktemp("cell")
            files = write_artifacts(folder, kernel_size or 65, rng)
        run = Run(
            study=f"{base}/{family}",
            base=base,
            family=family,
            cell=cell,
            params=params,
            status=status,
            digest="0123456789ab",
            data_digest="ba9876543210",
            message="" if status == "ok" else f"it was {status}",
            tolerance=4,
            threshold=0.2 if status == "ok" else None,
            values={
                "n_params": 4321,
                "params_kernel": 4000,
                "flops": 2.5e8 * (kernel_size or 65),
                "latency_ms": 12.5,
                "peak_memory_mb": 210.0,
            },
            seconds=47.0 + seed,
            epochs=60,
            plugin="kernbench 0.1.0",
            kernbench_version="0.1.0",
            device="cpu",
            environment=ENVIRONMENT,
            started="2026-07-01T12:00:00+00:00",
            scores=scores,
            lines=info,
            artifacts=files,
        )
        return dataclasses.replace(run, **fields)

    return make


@pytest.fixture(scope="session")
def sweep(make_run):
    """Two families over four kernel sizes, one cell diverged, one failed."""
    quality = {"siren": (0.2, 0.73, 0.70, 0.66), "discrete": (0.22, 0.80, 0.79, 0.75)}
    runs = [
        make_run(family, size, quality=quality[family][place])
        for family in quality
        for place, size in enumerate((17, 65, 129, 257))
    ]
    return [*runs, make_run("gaussian", 17, status="diverged"), make_run("gaussian", 65, status="oom")]
