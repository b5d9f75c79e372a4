import pytest
import torch

from kernbench.errors import KernbenchError
from kernbench.host.device import choose_device, default_profile


@pytest.fixture(autouse=True)
def keep_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("2", 2), ("3,1", 3), ("0", 1), ("many", 1)])
def test_threads_are_one_unless_the_environment_says_more(monkeypatch, given, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    choose_device("cpu")
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "CPU"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(KernbenchError, match="expected auto, cpu or cuda"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_refused():
    with pytest.raises(KernbenchError, match="0 CUDA devices"):
        choose_device("cuda:3")
    assert choose_device("auto") == "cpu"


def test_the_published_scale_is_the_default_only_with_a_gpu():
    assert default_profile("cpu") == "quick"
    assert default_profile("cuda:0") == "thesis"


def test_a_gpu_is_asked_for_repeatable_float32(monkeypatch):
    """The device is not there; what is asked of torch's libraries is."""
    from kernbench.engine.work.environment import _tf32

    asked = torch.backends.cudnn
    for name, usual in (("allow_tf32", True), ("deterministic", False), ("benchmark", True)):
        monkeypatch.setattr(asked, name, usual)
    assert (_tf32("cuda:0"), _tf32("cpu")) == (True, False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == "cuda:1"
    assert (asked.allow_tf32, asked.deterministic, asked.benchmark) == (False, True, False)
    assert _tf32("cuda:1") is False
