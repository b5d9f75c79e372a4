"""Python's garbage collector, kept from walking over objects that stay: modules and records, hundreds of thousands."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def put_off() -> Iterator[None]:
    """No collection inside, for making many objects that stay: it would walk over all of them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def set_aside() -> Iterator[None]:
    """Collections inside leave out what there is at the beginning; nothing is done where the program does that."""
    if gc.get_freeze_count():  # there is one such set in a process: giving back ours would give back its own
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
