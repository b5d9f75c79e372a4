"""Lines of the next epoch, made on the host while an accelerator works on this one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

Make = Callable[[int], Tensor]


class Prefetch:
    """Calls a function of a seed one seed ahead, in a thread; what it returns is the same as without.

    Args:
        make: seed -> signal on the host; must draw from nothing but its seed.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kernbench-prefetch")
        self._next: tuple[int, Future[Tensor]] | None = None

    def take(self, seed: int, following: int | None) -> Tensor:
        """What `make(seed)` gives; begins with `following` before it returns, if there is one.

        Raises:
            Exception: what `make` raised.
        """
        ahead, self._next = self._next, None
        result = ahead[1].result() if ahead is not None and ahead[0] == seed else self._make(seed)
        if following is not None:
            self._next = following, self._thread.submit(self._make, following)
        return result

    def close(self) -> None:
        """Drop what was begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
