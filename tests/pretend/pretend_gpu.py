"""The pretend accelerator: how torch comes to know of `gpu:0`, what it has, and what it notes.

Torch learns of it once for the life of a process, and before the first backward pass there: tests that need it run in
a process of their own (`conftest.py` beside this file).
"""

import contextlib
import weakref

import torch
from torch.utils import backend_registration


class Claim:
    """Bytes of the pretend accelerator, given back when the last tensor that uses them goes."""

    def __init__(self, gpu, size):
        self._gpu, self._size = gpu, size
        gpu.allocated += size
        gpu.peak = max(gpu.peak, gpu.allocated)

    def __del__(self):
        self._gpu.allocated -= self._size


class Gpu:
    """The pretend accelerator, and the module `torch.gpu` that torch asks about it.

    Attributes:
        there: whether torch finds it; while it is false, kernbench sees a machine with a CPU alone.
        float64: whether it computes in double precision.
        memory: bytes that it has; None for no limit.
        allocated, peak: bytes in use, now and at most since `reset_peak_memory_stats`.
        to_host: what the host has waited for: "a copy in loop.py:199".
        from_host: what came from the host.
        waits: how often the host asked for all work to be done.
        emptied: how often it was asked to give back kept memory.
    """

    def __init__(self):
        self.there, self.float64, self.memory = False, True, None
        self.allocated = self.peak = self.waits = self.emptied = 0
        self.to_host, self.from_host = [], []
        self._claims = weakref.WeakValueDictionary()  # start of a storage -> its claim
        self._random = torch.Generator().manual_seed(0)

    def claim(self, held):
        """Memory for a tensor; that of the tensor whose storage it shares.

        Raises:
            torch.OutOfMemoryError: there is no room.
        """
        storage = held.untyped_storage()
        known = self._claims.get(storage.data_ptr())
        if known is not None or not storage.nbytes():
            return known
        if self.memory is not None and self.allocated + storage.nbytes() > self.memory:
            raise torch.OutOfMemoryError(
                f"gpu out of memory: {storage.nbytes()} bytes more, {self.allocated} of {self.memory} in use"
            )
        self._claims[storage.data_ptr()] = made = Claim(self, storage.nbytes())
        return made

    @contextlib.contextmanager
    def own_random_numbers(self):
        """Let torch draw from the accelerator's generator in place of the CPU's."""
        before = torch.get_rng_state()
        torch.set_rng_state(self._random.get_state())
        try:
            yield
        finally:
            self._random.set_state(torch.get_rng_state())
            torch.set_rng_state(before)

    # What torch and kernbench ask of `torch.gpu`, as of `torch.cuda`.

    def is_available(self):
        return self.there

    def is_initialized(self):
        return True

    def device_count(self):
        return 1

    def current_device(self):
        return 0

    def _is_in_bad_fork(self):
        return False

    def get_amp_supported_dtype(self):
        return [torch.float16, torch.bfloat16]

    def get_device_name(self, device=None):
        return "a pretend accelerator"

    def synchronize(self, device=None):
        self.waits += 1

    def empty_cache(self):
        self.emptied += 1

    def max_memory_allocated(self, device=None):
        return self.peak

    def reset_peak_memory_stats(self, device=None):
        self.peak = self.allocated

    def manual_seed_all(self, seed):
        self._random.manual_seed(seed)

    def get_rng_state(self, device="gpu"):
        return self._random.get_state()

    def set_rng_state(self, state, device="gpu"):
        self._random.set_state(state)


class _Hook(torch._C._acc.PrivateUse1Hooks):
    def is_available(self):
        return gpu.there

    def has_primary_context(self, _device):
        return True

    def is_built(self):
        return True


gpu = Gpu()


def register():
    """Let torch know of the accelerator; before the first backward pass of the process."""
    if torch._C._get_privateuse1_backend_name() != "gpu":
        backend_registration._setup_privateuseone_for_python_backend("gpu", gpu, _Hook())
