"""The conformance checks by name, in the order in which they are shown, and which of them need which.

A check takes a family and returns one line about what it measured, or raises `Finding` or `Note`;
`kernbench.kernels.conformance` runs them and reports.
"""

from collections.abc import Callable, Mapping

from kernbench.kernels.capability_checks import CAPABILITY_CHECKS
from kernbench.kernels.checking import form, learning, state
from kernbench.kernels.checking.inclusions import inclusions
from kernbench.kernels.checking.lags import resampling, sides
from kernbench.kernels.checking.process import leaves_the_process_alone
from kernbench.kernels.checking.transforms import compile_whole, func
from kernbench.kernels.family import KernelFamily

CHECKS: dict[str, Callable[[KernelFamily], str]] = {
    "build": form.build,
    "shape": form.shape,
    "finite": form.finite,
    "precision": form.precision,
    "alive": form.alive,
    "stateless-forward": state.stateless_forward,
    "process": leaves_the_process_alone,
    "param-count": learning.param_count,
    "gradient": learning.gradient,
    "gain": learning.gain,
    "determinism": state.determinism,
    "dtype": state.dtype,
    "device": state.device,
    "state-dict": state.state_dict,
    "every-k": form.every_k,
    "deepcopy": state.deepcopy,
    "cache": state.cache,
    "resampling": resampling,
    "sides": sides,
    "inclusions": inclusions,
    **CAPABILITY_CHECKS,
    "compile": compile_whole,
    "func": func,
}
# What a check needs: without it, it could only repeat that finding. Left out: a kernel that is sound.
_SOUND = ("alive", "stateless-forward", "determinism")
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "build": (),
    "shape": ("build",),
    "finite": ("shape",),
    "precision": ("shape",),
    "alive": ("finite",),
    "stateless-forward": ("shape",),
    "process": ("shape",),
    "param-count": ("build",),
    "gradient": ("alive", "stateless-forward"),
    "determinism": ("finite", "stateless-forward"),
    "dtype": (*_SOUND, "precision"),
    "every-k": ("finite",),
    "resampling": (*_SOUND, "dtype"),
    "sides": (*_SOUND, "resampling"),
    "inclusions": (*_SOUND, "dtype"),
    "capabilities": (),
    "kernel-flops": ("build",),
}


def needs(name: str) -> tuple[str, ...]:
    """Checks that must pass before one is tried, by its name."""
    return _NEEDS.get(name, _SOUND)
