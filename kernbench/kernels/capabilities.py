"""The one table of what a kernel module may offer beyond its kernel, and who offers what (no torch).

A member counts if a class of the family defines it; what an instance carries by chance under the same name does not.
"""

import difflib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Capability:
    """An optional member of a kernel module.

    Attributes:
        name: of the method.
        arguments: what it is called with, as in its definition but without self.
        meaning: what it gives or does, in one line.
    """

    name: str
    arguments: str
    meaning: str


_TABLE = (
    Capability("param_count", "spec, **hyper", "static: trainable parameters by arithmetic; else they are counted"),
    Capability("kernel_flops", "spec, **hyper", "static: floating-point operations to make the kernel once"),
    Capability("scale_", "factor", "multiplies the kernel by a number in place, inside a linear last stage"),
    Capability("constrain_", "", "puts parameters back where they may be, in place; called after each optimizer step"),
    Capability("param_groups", "", "every trainable parameter once, in dicts of params, lr_mult and weight_decay"),
    Capability("regularizers", "", "name -> scalar that is added to the loss; its weight is the hyper-parameter name"),
    Capability("support", "grid", "(lo, hi): what taps lo .. hi - 1 leave out is below a threshold"),
    Capability("to_state_space", "", "for each side of lag 0, discrete (A, B, C, D) whose response are its taps"),
    Capability("import_state", "format_name, state", "takes the parameters of a network that other code has trained"),
)
CAPABILITIES = {each.name: each for each in _TABLE}
_CORE = ("builtins", "kernbench", "torch", "typing")  # what they define is not the family's own
_CLOSE = 0.8  # share of two names that is the same


def of(subject: object, name: str) -> Callable[..., Any] | None:
    """A capability of a kernel module or of its class.

    Args:
        subject: the module, or the class.
        name: in `CAPABILITIES`.

    Returns:
        The bound method of a module, the function of a class; None if the family does not offer it.

    Raises:
        KeyError: there is no such capability.
    """
    capability = CAPABILITIES[name]
    kernel_class = subject if isinstance(subject, type) else type(subject)
    if not callable(_defined(kernel_class, capability.name)):
        return None
    found: Callable[..., Any] = getattr(subject, capability.name)
    return found


def offered(subject: object) -> tuple[str, ...]:
    """Names of what a kernel module or its class offers, in the order of the table.

    Args:
        subject: the module, or the class.

    Returns:
        Names in `CAPABILITIES`.
    """
    return tuple(name for name in CAPABILITIES if of(subject, name) is not None)


def misnamed(kernel_class: type) -> dict[str, str]:
    """What a family defines under a name that is close to a capability's: kernbench would never call it.

    Args:
        kernel_class: class of the kernel modules.

    Returns:
        Public name -> capability that may be meant. A capability that is no method is among them.
    """
    members = {name: _defined(kernel_class, name) for name in CAPABILITIES}
    found = {name: name for name, member in members.items() if member is not None and not callable(member)}
    for name in _own_names(kernel_class):
        if close := difflib.get_close_matches(_plain(name), map(_plain, CAPABILITIES), n=1, cutoff=_CLOSE):
            found[name] = next(each for each in CAPABILITIES if _plain(each) == close[0])
    return found


def _defined(kernel_class: type, name: str) -> object:
    """What the classes of a family define under a name, None if nothing; a static or class method as the function."""
    found = inspect.getattr_static(kernel_class, name, None)
    return found.__func__ if isinstance(found, classmethod | staticmethod) else found


def _own_names(kernel_class: type) -> Iterator[str]:
    """Public names that the family's own classes define, without those that it overrides."""
    inherited = {name for each in kernel_class.__mro__ if _is_core(each) for name in vars(each)}
    for each in kernel_class.__mro__:
        if not _is_core(each):
            yield from (n for n in vars(each) if not n.startswith("_") and n not in inherited and n not in CAPABILITIES)


def _is_core(each: type) -> bool:
    return each.__module__.partition(".")[0] in _CORE


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
