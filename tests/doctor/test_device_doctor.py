"""Devices that are absent, compute wrongly or never the same: each is a line with what to do."""

import itertools

import pytest
import torch

from kernbench.bench.timing import Timing
from kernbench.conv.backends import BACKENDS
from kernbench.doctor import machine, simulator, speed, works
from kernbench.ulm.simulator.simulate import BubbleTrace


@pytest.fixture(autouse=True)
def keep_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def faulty(monkeypatch):
    """Puts a fault into the output of one backend, as a device would."""
    usual = works.convolve

    def put(name, fault):
        def convolve(signal, kernel, dilation, groups, backend):
            output = usual(signal, kernel, dilation, groups, backend)
            return fault(output) if backend == name else output

        monkeypatch.setattr(works, "convolve", convolve)

    return put


def broken(_output):
    raise RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR\nsecond line")


def test_this_processor_agrees_with_float64_on_every_backend(examined):
    found = examined("backends", "training", "simulator")
    assert [*found] == [*(f"backend {name}" for name in BACKENDS), "constants", "training", "simulator"]
    assert {each.status for each in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda output: output * 1.001, "in the "),
        (lambda output: output * float("nan"), "inf from float64"),
        (broken, "CUFFT_INTERNAL_ERROR"),
    ],
)
def test_a_backend_that_is_wrong_is_one_line_and_the_others_go_on(failed, faulty, fault, said):
    faulty("fft", fault)
    found, advice = failed("backends", check="backend fft")
    assert said in found
    assert "--device cpu" in advice


def test_a_wrong_backend_of_another_package_concerns_no_cell(failed, faulty):
    faulty("fft_conv", broken)
    assert "cells do not need it" in failed("backends", check="backend fft_conv")[1]


def test_a_wrong_gradient_is_named(failed, faulty):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(_context, output):
            return output.clone()

        @staticmethod
        def backward(_context, gradient):
            return 1.01 * gradient

    faulty("direct", Wrong.apply)
    assert "gradient of the" in failed("backends", check="backend direct")[0]


def test_training_that_loses_otherwise(failed, monkeypatch):
    monkeypatch.setattr("kernbench.doctor.training.trained", lambda *given: [torch.full((5,), float(len(given)))])
    found, advice = failed("training", check="training")
    assert "20 steps" in found
    assert "do not trust scores of this device" in advice


def test_training_without_the_bundled_plugins_is_skipped(examined, monkeypatch):
    from kernbench.registry import installed

    monkeypatch.setenv("KERNBENCH_LOAD_PLUGINS", "")
    installed.cache_clear()
    try:
        found = examined("training")["training"]
    finally:
        installed.cache_clear()
    assert (found.status, "KERNBENCH_LOAD_PLUGINS" in found.advice) == ("skip", True)


def test_bubbles_that_move_otherwise(failed, monkeypatch):
    usual = simulator.simulate_bubbles

    def louder(*arguments, **options):
        trace = vars(usual(*arguments, **options))
        rest = trace["radius_m"][:, :1]
        return BubbleTrace(**{**trace, "radius_m": rest + 1.01 * (trace["radius_m"] - rest)})

    monkeypatch.setattr(simulator, "simulate_bubbles", louder)
    found, advice = failed("simulator", check="simulator")
    assert "scipy's solver" in found
    assert "do not simulate on this device" in advice


def test_what_is_not_the_same_twice_is_named(failed, faulty):
    count = itertools.count(1)
    faulty("auto", lambda output: output + 1e-7 * next(count))
    found, advice = failed("repeats", check="repeats")
    assert found == "not the same bits twice: backend auto"
    assert "several seeds" in advice


def test_another_package_need_not_repeat(examined, faulty):
    count = itertools.count(1)
    faulty("fft_conv", lambda output: output + 1e-7 * next(count))
    assert examined("repeats")["repeats"].status == "note"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_absent_is_explained_and_what_needs_it_is_skipped(examined):
    found = examined("machine", "backends", "training", "cache", device="cuda:3")
    assert found["device"].status == "fail"
    assert "0 CUDA devices" in found["device"].found
    assert "--device cpu" in found["device"].advice
    statuses = {name: found[name].status for name in ("processor", "backends", "training", "cache")}
    assert statuses == {"processor": "ok", "backends": "skip", "training": "skip", "cache": "ok"}


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA")
def test_a_driver_beside_a_torch_without_cuda_is_a_note_with_the_command(examined, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "DRIVER", tmp_path)
    found = examined("machine", device="auto")["device"]
    assert found.status == "note"
    assert "pip install --force-reinstall torch==" in found.advice


def test_more_threads_than_cores(examined, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = examined("machine")["processor"]
    assert (found.status, "set OMP_NUM_THREADS to 1 or less" in found.advice) == ("note", True)


@pytest.mark.parametrize(("used", "status"), [(0.1, "ok"), (0.04, "note")])
def test_a_busy_processor_is_a_note(examined, monkeypatch, used, status):
    monkeypatch.setattr(speed, "timed", lambda _device: {"a layer": Timing(0.1, used)})
    found = examined("speed")["speed"]
    assert found.status == status
    assert found.found.startswith("a layer 100 ms, one thread")


@pytest.mark.parametrize(("device_s", "said", "status"), [(0.01, "10.0 times", "ok"), (0.2, "0.5 times", "note")])
def test_the_speed_of_another_device_stands_beside_that_of_the_processor(monkeypatch, device_s, said, status):
    times = {"cuda:0": Timing(device_s, device_s), "cpu": Timing(0.1, 0.1)}
    monkeypatch.setattr(speed, "timed", lambda device: {"a layer": times[device]})
    (found,) = speed._speed("cuda:0")
    assert (found.status, said in found.found) == (status, True)
