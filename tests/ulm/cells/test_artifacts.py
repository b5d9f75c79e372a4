import csv

import numpy as np
import pytest
import torch

from kernbench.networks.network import build
from kernbench.training.settings import Epoch
from kernbench.ulm.cells.artifact_reader import load_arrays
from kernbench.ulm.cells.artifacts import SHOWN_KERNELS, Example, kernels_of, write_all, write_curve, write_diverged

CURVE = [
    Epoch(0, 2.0, {"soft": 0.3, "hard": 1.0}, None, None, 5e-3, 1.0),
    Epoch(1, 1.5, {"soft": 0.2, "hard": 0.8}, 1.6, 0.25, 5e-4, 2.0),
]


def test_files_of_a_cell_can_be_read_without_pickle(tmp_path):
    torch.manual_seed(0)
    before = kernels_of(build("shallow", "discrete", 9, channels=5, depth=2))
    after = [kernel * np.arange(len(kernel))[:, None] for kernel in before]
    line = np.sin(np.arange(300, dtype=np.float32))
    labels = (np.arange(300) % 50 == 0).astype(np.float32)
    files, draw = write_all(tmp_path, before, after, Example(line, labels, line, 7, 0.2, 3), CURVE)
    assert {file.name for file in [*files, *draw()]} == {
        "cell.npz",
        "curve.csv",
        "curve.png",
        "kernel.png",
        "example.png",
    }
    with np.load(tmp_path / "cell.npz", allow_pickle=False) as stored:
        # layer 1 has 25 pairs: the 16 strongest trained kernels, and the same pairs before
        strongest = np.argsort(-np.square(after[1]).sum(axis=1), kind="stable")[:SHOWN_KERNELS]
        assert np.array_equal(stored["kernel_1"], after[1][strongest])
        assert np.array_equal(stored["kernel_start_1"], before[1][strongest])
        assert stored["spectrum_1"].shape == (3, len(stored["frequency"]))
        assert stored["kernel_0"].shape == (5, 9)
    assert (tmp_path / "kernel.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("family", ["discrete", "siren", "longconv"])
def test_what_is_kept_of_the_start_is_not_what_training_made_of_it(tmp_path, family):
    torch.manual_seed(0)
    network = build("shallow", family, 9, channels=5, depth=2, hyper={})
    before = kernels_of(network)
    wanted = [kernel.copy() for kernel in before]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2).add_(0.1)
    assert all(map(np.array_equal, before, wanted))
    line = np.zeros(60, np.float32)
    write_all(tmp_path, before, kernels_of(network), Example(line, line, line, 7, 0.2, 3), CURVE)
    assert len(load_arrays(tmp_path / "cell.npz").starts) == 2


def test_a_start_that_is_the_end_is_not_shown(tmp_path):
    kernels, line = [np.arange(9, dtype=np.float32)[None]], np.zeros(60, np.float32)
    write_all(tmp_path, kernels, kernels, Example(line, line, line, 7, 0.2, 3), CURVE)
    assert load_arrays(tmp_path / "cell.npz").starts == []


@pytest.mark.parametrize("side", ["centered", "causal", "anticausal"])
def test_the_side_of_the_kernels_comes_back(tmp_path, side):
    kernels, line = [np.ones((1, 9), np.float32)], np.zeros(60, np.float32)
    write_all(tmp_path, kernels, kernels, Example(line, line, line, 7, 0.2, 3), CURVE, side)
    assert load_arrays(tmp_path / "cell.npz").side == side


def test_a_curve_leaves_what_was_not_measured_empty(tmp_path):
    (path,) = write_curve(tmp_path, [])  # of a cell that diverged in its first epoch
    header = path.read_text()
    (path,) = write_curve(tmp_path, CURVE)
    assert path.read_text().startswith(header)
    assert header.strip() == "epoch,train_loss,soft,hard,val_loss,val_f1,rate,seconds"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["val_f1"] for row in rows] == ["", "0.25"]
    assert [float(rows[1][name]) for name in ("train_loss", "soft", "hard")] == [1.5, 0.2, 0.8]


def test_a_diverged_cell_leaves_its_curve_and_the_kernels_that_are_numbers(tmp_path):
    torch.manual_seed(0)
    before = kernels_of(build("shallow", "discrete", 9, channels=5, depth=1))
    after = [kernel * np.nan for kernel in before]
    for name, end, curve, left in (
        ("late", before, CURVE, {"curve.csv", "curve.png", "kernel.png"}),
        ("immediately", after, [], {"curve.csv", "kernel.png"}),
    ):
        (tmp_path / name).mkdir()
        files, draw = write_diverged(tmp_path / name, before, end, curve)
        files = [*files, *draw()]
        assert {file.name for file in files} == left
        assert all(file.stat().st_size for file in files)
    assert (tmp_path / "late" / "kernel.png").read_bytes() != (tmp_path / "immediately" / "kernel.png").read_bytes()
