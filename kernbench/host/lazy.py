"""Public names of a package that are imported at their first use, so that importing the package stays light."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], folders: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: its full name, `__name__`.
        homes: public name -> module inside the package that defines it.
        folders: packages inside it that are attributes without an import of their own.

    Returns:
        The two functions; the first raises AttributeError for any other name.
    """

    def attribute(name: str) -> Any:
        if name in folders:
            return importlib.import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    def names() -> list[str]:
        return sorted({*homes, *folders})

    return attribute, names
