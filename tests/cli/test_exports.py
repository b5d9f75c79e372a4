"""`kernbench data export-kernels` and `export-onnx`: files that other programs read, and what is refused."""

import json

import numpy as np
import pytest
import torch

from kernbench.networks.weights import WEIGHTS
from kernbench.store.reading.runs import load_runs
from kernbench.ulm.evaluation.trained import load_trained

CELL = ("--study", "mine", "--plugin", "siren", "--kernel-size", "9")


@pytest.fixture
def weights(trained_bench):
    runs = load_runs("sqlite:///kernbench.db")
    return next(run for run in runs if run.family == "siren" and run.params["kernel_size"] == 9).artifacts[WEIGHTS]


def test_kernels_are_arrays_that_convolve_as_the_network_does(trained_bench, weights):
    done = trained_bench.run("data", "export-kernels", *CELL, "--out", "found/kernels.npz")
    assert done.code == 0, done
    assert done.out == "found/kernels.npz: kernels of 2 layers of mine.v1.smoke/siren kernel_size=9,seed=0\n"
    trained = load_trained(weights)
    with np.load(trained_bench.folder / "found" / "kernels.npz", allow_pickle=False) as stored:
        found = {name: stored[name] for name in stored.files}
    assert (str(found["family"]), str(found["side"]), int(found["layers"])) == ("siren", "centered", 2)
    assert json.loads(str(found["hyper"])) == trained.facts["family"]["hyper"]
    assert found["lags_1"].tolist() == list(range(-4, 5))
    assert (int(found["tiles_1"]), float(found["rate_hz_1"]), float(found["rate_hz"])) == (1, 62.5e6, 62.5e6)
    lines = torch.randn(2, 1, 60)
    for number, layer in enumerate(trained.network.kernel_layers(), 1):
        lines = lines if number == 1 else torch.randn(2, found["values_2"].shape[1], 60)
        taps = torch.from_numpy(found[f"values_{number}"])
        bias = torch.from_numpy(found[f"bias_{number}"])
        wanted = torch.nn.functional.conv1d(
            lines, taps, bias, dilation=int(found[f"dilation_{number}"]), groups=int(found[f"groups_{number}"])
        )
        with torch.no_grad():
            torch.testing.assert_close(layer(lines), wanted, rtol=1e-4, atol=1e-5)


def test_an_onnx_file_gives_the_scores_of_its_network(trained_bench, weights):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    done = trained_bench.run("data", "export-onnx", *CELL, "--out", "net.onnx")
    assert done.code == 0, done
    assert "onnxruntime gives its scores to" in done.out
    session = onnxruntime.InferenceSession(str(trained_bench.folder / "net.onnx"), providers=["CPUExecutionProvider"])
    lines = np.random.default_rng(3).normal(size=(5, 1, 333)).astype(np.float32)
    (found,) = session.run(["scores"], {"lines": lines})
    with torch.no_grad():
        wanted = load_trained(weights).network(torch.from_numpy(lines)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_an_onnx_file_that_gives_other_scores_is_not_written(trained_bench, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from kernbench.ulm.evaluation import onnx_export

    class Wrong(onnx_export.Merged):
        def forward(self, signal):
            return super().forward(signal) + 1e-2

    monkeypatch.setattr(onnx_export, "Merged", Wrong)
    done = trained_bench.run("data", "export-onnx", *CELL, "--out", "net.onnx")
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert "gives other scores than its network" in done.err
    assert not (trained_bench.folder / "net.onnx").exists()


def test_missing_packages_are_named(trained_bench, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    done = trained_bench.run("data", "export-onnx", *CELL, "--out", "net.onnx")
    assert (done.code, done.err) == (2, 'kernbench: ONNX files need onnx: pip install "kernbench[onnx]"\n')


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("export-kernels", *CELL, "--out", "a.txt"), "expected a name that ends in .npz"),
        (("export-onnx", *CELL, "--out", "a.txt"), "expected a name that ends in .onnx"),
        (("export-kernels", "--out", "a.npz"), "expected --weights or --study"),
        (("export-kernels", "--study", "mine", "--out", "a.npz"), "expected one cell, got 4 cells"),
    ],
)
def test_what_cannot_be_meant_is_one_line(trained_bench, words, line):
    done = trained_bench.run("data", *words)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert line in done.err
