"""Peers of the convolution that need not be here: packages that may be missing, and libraries of a GPU."""

import sys

import pytest
import torch
from torch.nn.functional import conv1d

from kernbench.bench import convolution
from kernbench.bench.peers import other_peers
from kernbench.bench.timing import added_peak
from kernbench.conv import convolve

PACKAGE = "from torch.nn.functional import conv1d as fft_conv1d\n"


@pytest.fixture
def julius(tmp_path, monkeypatch):
    """A package of that name that convolves directly."""
    (tmp_path / "julius").mkdir()
    (tmp_path / "julius" / "__init__.py").touch()
    (tmp_path / "julius" / "fftconv.py").write_text(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == "julius"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "julius"]:
        del sys.modules[name]


@pytest.fixture
def no_julius(monkeypatch):
    monkeypatch.setattr("kernbench.bench.peers.find_spec", lambda _name: None)


def times(sizes):
    return convolution.time_table(sizes, channels=2, batch=1, samples=100, turns=1, progress=lambda _text: None)


def test_without_the_package_no_table_names_it(no_julius, monkeypatch):
    monkeypatch.setattr(convolution, "fresh_peak", lambda *_: 1.0)
    memory = convolution.memory_table([9], channels=2, progress=lambda _text: None)
    assert not [head for head in (*times([9]).columns, *memory.columns) if "julius" in head]


def test_with_it_it_has_a_time_and_a_ratio_and_none_for_the_size_that_it_cannot(julius):
    table = times([1, 9])
    assert all(len(row) == len(table.columns) for row in table.rows)
    (none, time), (neither, ratio) = table.column("julius [ms]"), table.column("julius / auto")
    assert (none, neither) == (None, None)
    assert ratio == pytest.approx(time / table.column("auto [ms]")[1])


def test_its_memory_is_measured_beside_the_others(julius, monkeypatch):
    monkeypatch.setattr(convolution, "fresh_peak", lambda _target, name, *_: 3.0 if name == "julius" else 2.0)
    table = convolution.memory_table([1, 9], channels=2, progress=lambda _text: None)
    assert table.column("julius [MiB]") == [None, 3.0]
    assert table.column("julius / auto") == [None, 1.5]


def test_what_a_pass_calls_is_the_package(julius):
    import julius.fftconv as package

    given = []
    package.fft_conv1d = lambda signal, kernel: given.append(kernel.shape) or conv1d(signal, kernel)
    convolution.layer("julius", 2, 9, 1, 100)()
    assert given == [(2, 2, 9)]


def test_the_package_computes_what_we_compute():
    fftconv = pytest.importorskip("julius.fftconv")
    signal, kernel = torch.randn(2, 3, 90), torch.randn(4, 3, 17)
    torch.testing.assert_close(fftconv.fft_conv1d(signal, kernel), convolve(signal, kernel), rtol=1e-4, atol=1e-4)


def test_the_library_of_a_gpu_takes_part_on_a_gpu_alone(no_julius):
    assert other_peers("cpu") == []
    assert other_peers("cuda:1") == ["cudnn"]


def test_cudnn_is_asked_for_its_fastest_methods_and_asked_as_before_afterwards():
    before, found = torch.backends.cudnn.benchmark, []
    convolution.peer_pass("cudnn", lambda convolution: found.append((convolution, torch.backends.cudnn.benchmark)))()
    assert found == [(conv1d, True)]
    assert torch.backends.cudnn.benchmark is before


def test_memory_on_a_gpu_is_that_of_a_second_pass_in_this_process(monkeypatch):
    """The allocator's counters are replaced: there is no such device here."""
    passes, peak = [], iter((5 * 2**20, 8 * 2**20))
    monkeypatch.setattr(convolution, "layer", lambda *_: lambda: passes.append(1))
    monkeypatch.setattr("kernbench.bench.timing.reset_peak_memory", lambda _device: None)
    monkeypatch.setattr("kernbench.bench.timing.peak_memory", lambda _device: next(peak))
    assert convolution._peak("direct", 2, 9, 1, 100, "cuda:0") == 3
    assert len(passes) == 2


def test_added_memory_is_what_a_call_adds():
    assert added_peak(lambda: torch.ones(16 * 2**20), "cpu") > 60 * 2**20
    assert added_peak(lambda: None, "cpu") < 2**20
