"""The pretend accelerator has the manners of a GPU."""

import gc

import numpy as np
import pytest
import torch
from pretend_gpu import gpu
from pretend_tensor import PretendError
from pretending import pretending, values


@pytest.fixture(autouse=True)
def device():
    gc.collect()  # what a failed test has left would give its memory back in the middle of the next one
    with pretending() as there:
        yield there


def test_values_are_those_of_the_cpu_forward_and_backward():
    torch.manual_seed(0)
    signal, kernel = torch.randn(3, 2, 64), torch.randn(4, 2, 9)
    found = []
    for where in ("cpu", "gpu:0"):
        x, k = (each.clone().to(where).requires_grad_() for each in (signal, kernel))
        output = torch.nn.functional.conv1d(x, k).relu().square().mean()
        output.backward()
        assert {each.device.type for each in (output, x.grad, k.grad)} == {where[:3]}
        found.append([values(each.detach()) for each in (output, x.grad, k.grad)])
    assert all(map(torch.equal, *found))


def test_it_refuses_to_meet_the_cpu():
    there, here = torch.ones(3, device="gpu"), torch.ones(3)
    for meet in (lambda: there + here, lambda: torch.cat([there, here]), lambda: there[torch.tensor([0, 2])]):
        with pytest.raises(PretendError, match="expected all tensors on gpu:0"):
            meet()
    assert torch.equal(values(there + torch.tensor(2.0)), torch.full((3,), 3.0))  # a number may


def test_it_is_not_read_by_numpy():
    there = torch.ones(3, device="gpu")
    for read in (there.numpy, lambda: np.asarray(there), lambda: np.add(there, 1)):
        with pytest.raises(TypeError, match="numpy"):
            read()


def test_it_does_not_draw_from_a_generator_of_the_cpu():
    for draw in (torch.rand, torch.randn):
        with pytest.raises(PretendError, match="expected a generator of gpu:0"):
            draw(3, device="gpu", generator=torch.Generator())


def test_it_has_random_numbers_of_its_own():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = torch.rand(4, device="gpu")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(values(torch.rand(4, device="gpu")), values(first))


def test_what_the_host_waits_for_is_counted_and_what_it_hands_over_is_not():
    there = torch.tensor([1.0, 2.0], device="gpu")
    assert not gpu.to_host
    assert len(gpu.from_host) == 1
    seen = [
        there.cpu,
        lambda: there.sum().item(),
        there.tolist,
        lambda: bool((there > 0).all()),
        lambda: torch.empty(2).copy_(there),
        there.nonzero,
        lambda: there[there > 1],
        lambda: torch.equal(there, there),
        lambda: f"{float(there[0])}",
    ]
    for number, look in enumerate(seen, 1):
        look()
        assert len(gpu.to_host) == number, gpu.to_host
    assert all("test_pretend_device.py" in each for each in gpu.to_host)


def test_memory_is_counted_once_for_views_and_given_back():
    before = gpu.allocated
    there = torch.zeros(1000, device="gpu")
    view = there.view(10, 100).t()
    assert gpu.allocated == before + 4000
    del there
    assert gpu.allocated == before + 4000
    del view
    assert gpu.allocated == before
    assert gpu.peak >= before + 4000


def test_it_runs_out_of_memory():
    with pretending(memory=gpu.allocated + 5000):
        torch.zeros(1000, device="gpu")
        with pytest.raises(torch.OutOfMemoryError):
            torch.zeros(2000, device="gpu")


def test_without_double_precision_it_refuses_it():
    with pretending(float64=False):
        for make in (
            lambda: torch.zeros(3, dtype=torch.float64, device="gpu"),
            lambda: torch.ones(3).double().to("gpu"),
        ):
            with pytest.raises(PretendError, match="float64"):
                make()


def test_it_pins_memory_of_the_cpu_alone():
    assert torch.equal(torch.ones(3).pin_memory(), torch.ones(3))
    with pytest.raises(RuntimeError, match="only dense CPU tensors"):
        torch.ones(3, device="gpu").pin_memory()
    with pytest.raises(RuntimeError, match=r"[Pp]in"):
        torch.ones(3, device="gpu", pin_memory=True)


def test_changes_in_place_and_through_views_are_seen_and_versions_counted():
    there = torch.zeros(4, device="gpu")
    version = there._version
    there[1:3].add_(1)
    there.mul_(2)
    assert values(there).tolist() == [0, 2, 2, 0]
    assert there._version > version
