"""Running out of memory is known from other errors, whatever raises it, and what held the memory is freed."""

import gc
import weakref

import pytest
import torch

from kernbench.errors import PluginError
from kernbench.host.memory import advice, is_out_of_memory, release

# as the libraries print them
SAID = [
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to",
    "CUDA error: out of memory",
    "cuFFT error: CUFFT_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "MKL FFT error: Intel oneMKL DFTI ERROR: Memory allocation failed",
]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA"), *map(RuntimeError, SAID)], ids=str)
def test_memory_that_ran_out_is_known_by_class_or_text(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError(SAID[0]), KeyboardInterrupt(), None])
def test_other_errors_are_not_memory(error):
    assert not is_out_of_memory(error)


def test_an_allocation_that_torch_refuses_is_memory():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**50, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


def test_what_a_plugin_error_hides_is_found():
    error = PluginError("family 'mine' cannot make its kernel")
    assert not is_out_of_memory(error)
    error.__cause__ = MemoryError()
    assert is_out_of_memory(error)


def test_the_advice_names_the_peak_and_what_is_left_to_do():
    said = advice(MemoryError("no room"), "cpu", recompute=False)
    assert said.startswith("MemoryError: no room; reached ")
    assert " GiB resident in the process on cpu; set training.recompute = true" in said
    assert "\n" not in said
    assert "recompute" not in advice(MemoryError("no room"), "cpu", recompute=True)


def test_what_the_frames_of_an_error_hold_is_freed():
    class Tensor:
        pass

    seen = []

    def step():
        large = Tensor()
        seen.append(weakref.ref(large))
        raise MemoryError

    def cell():
        try:
            step()
        except MemoryError as error:
            raise PluginError("it failed") from error

    with pytest.raises(PluginError) as caught:
        cell()
    gc.collect()
    assert seen[0]() is not None  # the traceback keeps it
    release(caught.value)
    assert seen[0]() is None


def test_what_a_function_of_the_traceback_closes_over_is_freed():
    """As `validate` of a cell, which closes over the lines; clearing a frame leaves what its function closes over."""
    seen = []

    def cell():
        tensor = torch.zeros(8)
        seen.append(weakref.ref(tensor))

        def validate():
            raise MemoryError(f"no room beside {len(tensor)} numbers")

        validate()

    try:  # `pytest.raises` would keep the traceback
        cell()
    except MemoryError as error:
        assert seen[0]() is not None
        release(error)
        assert seen[0]() is None
    assert seen
