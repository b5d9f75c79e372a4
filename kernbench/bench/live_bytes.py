"""Bytes of tensors that live while something is computed, counted operation by operation."""

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class LiveBytes(TorchDispatchMode):
    """While entered, counts the storages that operations make, until they are freed.

    Tensors on "meta" have storages with a size and no memory, so a network of any size is counted in seconds. What an
    operation allocates and frees inside itself, such as the workspace of a library, is not seen.

    Attributes:
        now: bytes alive of what was made since the mode was entered.
        peak: the most that was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # Any: as torch calls it
        """Call the operation and count what it returns; torch calls this for each one."""
        found = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, found)
        return found

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata  # its address: unique while it lives
        if key not in self._known:
            self._known[key] = storage.nbytes()
            self.now += self._known[key]
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.now -= self._known.pop(key)
