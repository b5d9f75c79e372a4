"""What a process has once and plugins may change: folder, torch's defaults, CSV, warnings, signals, random numbers.

A cell must not depend on which plugins were imported before it. So the code of a plugin runs inside `kept`, which puts
back what it changed and says what that was.
"""

import contextlib
import csv
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_NOT_LOADED = object()  # torch or numpy, before something imports it

_by_import: dict[str, list[str]] = {}


@dataclass(frozen=True)
class _Part:
    """One thing that a process has once.

    Attributes:
        name: for messages.
        read: its value; _NOT_LOADED while the package that has it is not loaded.
        write: puts a value back.
        initial: its value just after that package has been loaded.
        wanted: what to put back, of the values before and now; the one before if left out.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    initial: Callable[[], Any] | None = None
    wanted: Callable[[Any, Any], Any] = lambda old, _now: old


@contextmanager
def kept(*, randomness: bool = False, quick: bool = False) -> Iterator[list[str]]:
    """Put back what the code inside changes of the process, also where it raises.

    Args:
        randomness: the states of the generators of torch, numpy and `random`, too: not for code that is to draw.
        quick: only what can be read in microseconds: working folder, torch's default dtype,
            device and threads, and the limit of CSV fields.

    Returns:
        A context manager; it gives a list that holds the names of what was changed, once the code has ended.
    """
    parts = _QUICK if quick else [*_QUICK, *_SLOWER, *(_RANDOM if randomness else ())]
    before = [part.read() for part in parts]
    changed: list[str] = []
    try:
        yield changed
    finally:
        for part, old in zip(parts, before, strict=True):
            if _put_back(part, old):
                changed.append(part.name)


@contextmanager
def plain_torch() -> Iterator[None]:
    """Float32 on the CPU whatever the defaults of the process are, for what is read from files."""
    import torch  # noqa: PLC0415  # for those who have it loaded already

    with kept(quick=True):
        torch.set_default_dtype(torch.float32)
        _to_device(torch.device("cpu"))
        yield


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Keep the state of the process while a plugin is imported, and remember what it changed.

    Args:
        name: for `changed_by_import`.
    """
    changed: list[str] = []
    try:
        with kept(randomness=True) as changed:
            yield
    finally:
        _by_import.setdefault(name, []).extend(changed)  # once imported it changes nothing when it is asked for again


def changed_by_import(*names: str) -> list[str]:
    """What imports under these names have changed, each once; see `importing`."""
    return list(dict.fromkeys(what for name in names for what in _by_import.get(name, ())))


def _put_back(part: _Part, old: Any) -> bool:
    """Whether a part had another value, which it has no more."""
    now = part.read()
    if old is _NOT_LOADED and now is not _NOT_LOADED:
        if part.initial is None:  # what it was at first is not known
            return False
        old = part.initial()
    wanted = part.wanted(old, now)
    if now is wanted or now == wanted:
        return False
    part.write(wanted)
    return True


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # a text is enough
    except OSError:  # it has been removed
        return ""


def _to_folder(path: str) -> None:
    with contextlib.suppress(OSError):
        os.chdir(path)


def _of(module: str, read: Callable[[Any], Any]) -> Callable[[], Any]:
    """Reads a value of a package only where that is loaded: reading must not load torch."""

    def value() -> Any:
        loaded = sys.modules.get(module)
        return _NOT_LOADED if loaded is None else read(loaded)

    return value


def _torch() -> Any:
    return sys.modules["torch"]


def _device(torch: Any) -> Any:
    return torch.get_default_device()


def _to_device(device: Any) -> None:
    _torch().set_default_device(None if device.type == "cpu" else device)  # without one there is no mode to pay for


def _filters() -> tuple[Any, ...]:
    return (warnings.showwarning, *warnings.filters)


def _wanted_filters(old: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those from before, and new ones of one message, module or class: so torch and numpy quiet their own."""
    new = [each for each in now[1:] if each not in old and _is_narrow(*each)]
    return (old[0], *new, *old[1:])


def _is_narrow(_action: str, message: object, category: type, module: object, _line: int) -> bool:
    return message is not None or module is not None or category.__module__ not in ("builtins", "kernbench.errors")


def _to_filters(wanted: tuple[Any, ...]) -> None:
    warnings.resetwarnings()  # notes that the filters are others, which a plain assignment does not
    warnings.showwarning = wanted[0]
    warnings.filters[:] = wanted[1:]  # type: ignore[index]  # a list, whatever the stubs promise


def _handlers() -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():  # only that one can set any
        return {}
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _to_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:  # None: not set from Python
            signal.signal(number, handler)


def _numpy_state(module: Any) -> Any:
    name, keys, *rest = module.get_state()
    return name, tuple(keys.tolist()), *rest


def _to_numpy_state(state: Any) -> None:
    sys.modules["numpy.random"].set_state(state)


def _torch_state(torch: Any) -> Any:
    there = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [bytes(state.numpy()) for state in (torch.get_rng_state(), *there)]


def _to_torch_state(states: Sequence[bytes]) -> None:
    torch = _torch()
    here, *there = [torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states]
    torch.set_rng_state(here)
    if there:
        torch.cuda.set_rng_state_all(there)


_QUICK = (
    _Part("working folder", _folder, _to_folder),
    _Part(
        "default dtype",
        _of("torch", lambda torch: torch.get_default_dtype()),
        lambda dtype: _torch().set_default_dtype(dtype),
        lambda: _torch().float32,
    ),
    _Part(
        "number of threads",
        _of("torch", lambda torch: torch.get_num_threads()),
        lambda number: _torch().set_num_threads(number),
    ),
    _Part("default device", _of("torch", _device), _to_device, lambda: _torch().device("cpu")),
    _Part("limit of CSV fields", csv.field_size_limit, csv.field_size_limit),
)
_SLOWER = (
    _Part("warnings filters", _filters, _to_filters, wanted=_wanted_filters),
    _Part("signal handlers", _handlers, _to_handlers),
)
_RANDOM = (
    _Part("state of Python's random numbers", random.getstate, random.setstate),
    _Part(
        "state of numpy's random numbers",
        _of("numpy.random", _numpy_state),
        _to_numpy_state,
    ),
    _Part("state of torch's random numbers", _of("torch", _torch_state), _to_torch_state),
)
