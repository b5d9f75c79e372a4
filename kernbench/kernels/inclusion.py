"""A family that another one contains, as its plugin declares it (no torch)."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kernbench.errors import PluginError
from kernbench.host.process_state import importing

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelModule, KernelSpec


@dataclass(frozen=True)
class Inclusion:
    """Another family all of whose kernels a family can make: then a difference in score is no matter of what it can.

    `kernbench check` builds a module of the other family, embeds it, and compares the two kernels in float64, for a
    centered kernel of K = 17, a dilated and a causal one of K = 9.

    Attributes:
        family: name of the other family.
        module: its class, or the path of it, "package.module:Class".
        embed: a function, or the path of one, that takes a module of the other family and returns one of this family
            with the same kernel, for the same `spec`. It is called in float64 and without gradients.
        hyper: keyword arguments of the other class; its own defaults for those left out.
        tolerance: largest difference over the largest tap.

    Raises:
        PluginError: a path without ":".
    """

    family: str
    module: "type[KernelModule] | str"
    embed: "Callable[[Any], KernelModule] | str"
    hyper: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tolerance: float = 1e-10

    def __post_init__(self) -> None:
        """Refuse a path that cannot be one, where the plugin author can see it."""
        for name, given in (("module", self.module), ("embed", self.embed)):
            if isinstance(given, str) and ":" not in given:
                raise PluginError(f"inclusion of {self.family!r}: {name} must be 'package.module:name', got {given!r}")

    def load(self) -> "type[KernelModule]":
        """The class of the other family, imported now if it was given by its path; whatever that raises is raised.

        Returns:
            A subclass of `kernbench.KernelModule`.
        """
        found: type[KernelModule] = _at(self.module)
        return found

    def build(self, spec: "KernelSpec") -> "KernelModule":
        """A module of the other family, drawn from torch's global random generator.

        Args:
            spec: channels, kernel size, dilation.

        Returns:
            The module; whatever its class raises is raised.
        """
        made: KernelModule = self.load()(spec, **self.hyper)
        made.identify(self.family, spec, dict(self.hyper))
        return made

    def embedded(self, other: "KernelModule") -> "KernelModule":
        """A module of this family with the kernel of the other one.

        Args:
            other: module of the other family.

        Returns:
            What `embed` returns; whatever it raises is raised.
        """
        found: KernelModule = _at(self.embed)(other)
        return found


def _at(path: Any) -> Any:
    """What a path leads to, imported now; anything else is what it is."""
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    if module not in sys.modules:
        with importing(path):
            importlib.import_module(module)
    return getattr(sys.modules[module], name)
