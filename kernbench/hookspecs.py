"""The complete plugin contract: what a package under the entry-point group `kernbench`, or a single file, may offer."""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily
    from kernbench.networks.architecture import Architecture

hookspec = pluggy.HookspecMarker("kernbench")
hookimpl = pluggy.HookimplMarker("kernbench")


@hookspec
def kernbench_kernels() -> "list[KernelFamily]":  # type: ignore[empty-body]  # a specification has no body
    """Kernel families of this plugin: a list of `kernbench.KernelFamily`, each with a name of its own."""


@hookspec
def kernbench_networks() -> "list[Architecture]":  # type: ignore[empty-body]  # a specification has no body
    """Networks of this plugin: a list of `kernbench.Architecture`, each with a name of its own."""
