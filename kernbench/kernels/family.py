"""A kernel family as plugins offer it: name, class, space of hyper-parameters (no torch)."""

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernbench.errors import PLUGIN_FILE_MODULE, KernbenchError, PluginError, close_match, first_line
from kernbench.host.process_state import importing, kept
from kernbench.kernels import capabilities
from kernbench.kernels.inclusion import Inclusion
from kernbench.kernels.space import Choice, Float, Int, Parameter, Value

if TYPE_CHECKING:
    from kernbench.kernels.base import KernelModule, KernelSpec

MAX_NAME = 100
POINTS, INTEGRALS, NOTHING = "points", "integrals", "none"
RESAMPLING = (POINTS, INTEGRALS, NOTHING)


def check_name(kind: str, name: object) -> None:
    """Refuse a name of a "family" or "network" that cannot be typed or stored.

    Raises:
        PluginError: no text, empty, too long, or something else than letters, digits, _ and -.
    """
    if not isinstance(name, str) or not re.fullmatch(rf"[\w-]{{1,{MAX_NAME}}}", name):
        got = name[: MAX_NAME + 1] if isinstance(name, str) else name
        raise PluginError(f"a {kind} name needs letters, digits, _ or -, {MAX_NAME} at most, got {got!r}")


@dataclass(frozen=True)
class KernelFamily:
    """A way to make kernels of any size from parameters.

    Attributes:
        name: what users type after `--plugin`.
        module: the `KernelModule` subclass, or its path "package.module:Class", which is imported only when a
            kernel is made, so that listing plugins never imports torch.
        space: hyper-parameter name -> `Float`, `Int` or `Choice`; the names are keyword arguments of the class.
        description: one line for `kernbench list plugins`.
        citation: where the family comes from.
        licence: licence of the reference implementation, if there is one.
        resampling: what lies between two taps. "points": the kernel is a function of the lag; "integrals": a tap is
            the integral over its step, divided by `grid.spacing`; "none": nothing, other lags are refused.
        contains: families all of whose kernels this one can make, see `kernbench.Inclusion`.
    """

    name: str
    module: "type[KernelModule] | str"
    space: Mapping[str, Parameter] | None = field(default=None, hash=False)
    description: str = ""
    citation: str = ""
    licence: str = ""
    resampling: str = POINTS
    contains: tuple[Inclusion, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work, where the plugin author can see it."""
        check_name("family", self.name)
        if isinstance(self.module, str) and ":" not in self.module:
            raise PluginError(f"family {self.name!r}: expected a class or 'package.module:Class', got {self.module!r}")
        if self.resampling not in RESAMPLING:
            raise PluginError(
                f"family {self.name!r}: resampling must be one of {', '.join(RESAMPLING)}, got {self.resampling!r}"
            )
        if not isinstance(self.contains, tuple) or not all(isinstance(each, Inclusion) for each in self.contains):
            raise PluginError(f"family {self.name!r}: contains must be a tuple of kernbench.Inclusion")
        for name, parameter in self.parameters.items():
            if not isinstance(name, str) or not name.isidentifier() or len(name) > MAX_NAME:
                raise PluginError(
                    f"family {self.name!r}: names in the space are keyword arguments, {MAX_NAME} letters at most, "
                    f"got {str(name)[: MAX_NAME + 1]!r}"
                )
            if not isinstance(parameter, Float | Int | Choice):
                raise PluginError(
                    f"family {self.name!r}: space[{name!r}] must be kernbench.Float, Int or Choice, got {parameter!r}"
                )

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The search space, empty if the family has no hyper-parameters."""
        return self.space or {}

    def parameter(self, name: str) -> Parameter:
        """The hyper-parameter of that name.

        Args:
            name: in the space.

        Returns:
            The `Float`, `Int` or `Choice`.

        Raises:
            KernbenchError: there is none; with a close match.
        """
        if name not in self.parameters:
            hint = close_match(name, self.parameters) or f"; it has {', '.join(self.parameters) or 'none'}"
            raise KernbenchError(f"family {self.name!r} has no hyper-parameter {name!r}{hint}")
        return self.parameters[name]

    def load(self) -> "type[KernelModule]":
        """The class that makes kernels, imported now if it was given by its path.

        Returns:
            A subclass of `kernbench.KernelModule`.

        Raises:
            PluginError: the path leads nowhere, or not to a subclass of `kernbench.KernelModule`.
        """
        from kernbench.kernels.base import KernelModule  # noqa: PLC0415  # torch is needed only from here on

        found: Any = self.module
        if isinstance(self.module, str):
            module_name, _, class_name = self.module.partition(":")
            try:
                if module_name not in sys.modules:
                    with importing(self.module):
                        importlib.import_module(module_name)
                found = getattr(sys.modules[module_name], class_name)
            except Exception as error:
                raise PluginError(f"family {self.name!r}: cannot load {self.module}: {first_line(error)}") from error
        if not (isinstance(found, type) and issubclass(found, KernelModule)):
            raise PluginError(f"family {self.name!r}: expected a subclass of kernbench.KernelModule, got {found!r}")
        return found

    def resolve(self, hyper: Mapping[str, object] | None = None) -> dict[str, Value]:
        """All hyper-parameters: those given, checked, and defaults for the others.

        Args:
            hyper: name -> value.

        Returns:
            Name -> value of each hyper-parameter in the space.

        Raises:
            KernbenchError: an unknown name (with a close match) or a value outside its range.
        """
        resolved = {name: parameter.start for name, parameter in self.parameters.items()}
        for name, value in (hyper or {}).items():
            parameter = self.parameter(name)
            try:
                resolved[name] = parameter.check(value)
            except KernbenchError as error:
                raise KernbenchError(f"{name} of family {self.name!r}: {error}") from None
        return resolved

    def build(self, spec: "KernelSpec", hyper: Mapping[str, object] | None = None) -> "KernelModule":
        """A kernel module with fresh parameters, drawn from torch's global random generator.

        Args:
            spec: channels, kernel size, dilation.
            hyper: hyper-parameters; defaults for those left out.

        Returns:
            The module, which knows from what it was built.

        Raises:
            KernbenchError: a hyper-parameter that does not fit.
            PluginError: the space does not fit the arguments of the class, or the class raised, with the first line of
                its message.
        """
        resolved = self.resolve(hyper)
        kernel_class = self.load()
        self._check_arguments(kernel_class)
        try:
            with kept():  # not the random numbers, which it is to draw
                module = kernel_class(spec, **resolved)
        except KernbenchError:
            raise
        except (Exception, SystemExit) as error:  # a plugin must not end the program
            raise PluginError(
                f"family {self.name!r} cannot be built: {first_line(error)} ({origin(kernel_class)}, "
                f"K = {spec.kernel_size})"
            ) from error
        module.identify(self.name, spec, resolved)
        return module

    def _check_arguments(self, kernel_class: type) -> None:
        """Refuse a space that does not fit `__init__`, by the name that is too much or missing."""
        _spec, *others = inspect.signature(kernel_class).parameters.values()
        named = {p.name: p for p in others if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        for name in self.parameters:
            if name not in named and not any(p.kind is p.VAR_KEYWORD for p in others):
                raise PluginError(
                    f"family {self.name!r}: space has {name!r}, but {kernel_class.__name__}.__init__ takes no argument "
                    f"{name!r}{close_match(name, named)} ({origin(kernel_class)})"
                )
        for name, argument in named.items():
            if argument.default is argument.empty and name not in self.parameters:
                raise PluginError(
                    f"family {self.name!r}: {kernel_class.__name__}.__init__ needs {name!r}, which the space lacks"
                    f"{close_match(name, self.parameters)}; add it to the space or give it a default "
                    f"({origin(kernel_class)})"
                )

    def param_count(self, spec: "KernelSpec", hyper: Mapping[str, object] | None = None) -> int:
        """Trainable parameters of one kernel module: the family's closed form, or counted on a built one.

        Args:
            spec: channels, kernel size, dilation.
            hyper: hyper-parameters; defaults for those left out.

        Returns:
            Their number.
        """
        closed_form = capabilities.of(self.load(), "param_count")
        if closed_form is not None:
            return int(closed_form(spec, **self.resolve(hyper)))
        import torch  # noqa: PLC0415  # only families without a closed form need it

        from kernbench.kernels.counting import trainable_numbers  # noqa: PLC0415

        with torch.random.fork_rng(devices=[]):
            module = self.build(spec, hyper)
        return trainable_numbers(module)


def origin(kernel_class: type) -> str:
    """Where a class comes from, for messages: "plugin kernbench_siren 0.1.0" or "file my_kernel.py"."""
    package = kernel_class.__module__.partition(".")[0]
    if package.startswith(PLUGIN_FILE_MODULE):
        return f"file {Path(getattr(sys.modules.get(package), '__file__', None) or package).name}"
    return f"plugin {package}{_version_of(package)}"


@functools.cache
def _version_of(package: str) -> str:
    """Blank and version of an installed package; it is asked often, and the answer reads what every package holds."""
    distributions = packages_distributions().get(package, [package])
    try:
        return f" {version(distributions[0])}"
    except PackageNotFoundError:
        return ""
