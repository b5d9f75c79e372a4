"""A file of the user's as a module: its digest, and its import without a __pycache__ beside it."""

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any


class _LeavesNothing(SourceFileLoader):
    """Imports a user's file without a __pycache__ beside it."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:  # Any: whatever holds bytes
        """Keep nothing."""


def file_digest(path: Path) -> str:
    """The first 12 hex digits of the SHA-256 of a file, which tell its versions apart."""
    from kernbench.host.files import sha256_of_file  # noqa: PLC0415  # a list of plugins needs no hashes

    return sha256_of_file(path, 12)


def import_file(path: Path, name: str) -> ModuleType:
    """The module that a file makes, run now.

    Args:
        path: the file.
        name: of the module, among all modules.

    Returns:
        The module; whatever its code raises is raised.
    """
    loader = _LeavesNothing(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and torch look their module up there
    loader.exec_module(module)
    return module
