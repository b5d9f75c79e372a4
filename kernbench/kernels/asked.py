"""What a kernel module answers where it is asked for a capability: whatever goes wrong in a plugin is one line."""

from typing import Any

from kernbench.errors import KernbenchError, PluginError, first_line
from kernbench.kernels import capabilities
from kernbench.kernels.base import KernelModule
from kernbench.kernels.family import origin


def ask(module: KernelModule, name: str, *given: object, **hyper: object) -> Any:  # Any: whatever a plugin returns
    """What a capability gives; None if the family does not offer it.

    Args:
        module: of any family.
        name: in `kernbench.kernels.capabilities.CAPABILITIES`.
        given: positional arguments of the capability.
        hyper: keyword arguments.

    Raises:
        PluginError: it raised, or tried to end the program; names family, file and reason.
    """
    capability = capabilities.of(module, name)
    try:
        return None if capability is None else capability(*given, **hyper)
    except KernbenchError:
        raise
    except (Exception, SystemExit) as error:  # a plugin must not end the program
        raise PluginError(f"{who(module)}: {name}() fails: {first_line(error)}") from error


def who(module: KernelModule) -> str:
    """Family of a module and where it comes from, for messages."""
    return f"family {module.family or type(module).__name__!r} ({origin(type(module))})"
