"""Conformance checks of what a family offers beyond its kernel, one for each capability, and of names close to one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kernbench.errors import KernbenchError, counted
from kernbench.kernels import capabilities
from kernbench.kernels.base import KernelModule, KernelSpec
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding, NotTried
from kernbench.kernels.space import Choice, Parameter, Value
from kernbench.kernels.trained import constrain, parameter_groups, penalties

Check = Callable[[KernelFamily], str]
Case = tuple[KernelModule, KernelSpec, str]

_CHANGED = KernelSpec(4, 3, kernel_size=17)
_SPECS = {
    "4 x 3 channels": _CHANGED,
    "even K": KernelSpec(2, 4, groups=2, kernel_size=8),
    "dilation 4": KernelSpec(2, 2, kernel_size=9, dilation=4),
    "causal": KernelSpec(2, 2, kernel_size=9, side="causal"),
    "anticausal": KernelSpec(2, 2, kernel_size=9, side="anticausal"),
}
_FACTOR = 0.375
_ROUNDING = 1e-9  # of the largest tap, in float64


def _names(family: KernelFamily) -> str:
    for name, meant in capabilities.misnamed(family.load()).items():
        if name == meant:
            raise Finding(f"{name} must be a method")
        raise Finding(
            f"kernbench never calls {name}; did you mean {meant!r}? If not, give it another name, or one that begins "
            "with _"
        )
    return ", ".join(capabilities.offered(family.load())) or "none"


def scales(family: KernelFamily) -> str:
    """What `scale_` must do, for the check of the gain.

    Raises:
        Finding: it does not.
    """
    for module, spec, where in _cases(family):
        before = _kernel(module, spec)
        with torch.no_grad():
            _of(module, "scale_")(_FACTOR)
        error, largest = (_kernel(module, spec) - _FACTOR * before).abs().max(), before.abs().max()
        if not error <= _ROUNDING * largest:
            raise Finding(
                f"{where}: after scale_({_FACTOR}) a tap is off by {error:.1e}, where the largest was {largest:.1e}"
            )
    return "multiplies the kernel"


def _flops(family: KernelFamily) -> str:
    for module, spec, where in _cases(family):
        count = _of(module, "kernel_flops")(spec, **module.hyper)
        if not isinstance(count, int) or count < 0:
            raise Finding(f"{where}: kernel_flops must give a whole number >= 0, got {count!r}")
    return "a whole number"


def _constrain(family: KernelFamily) -> str:
    for module, _, where in _cases(family):
        start = _copies(module)
        constrain([module])
        if moved := _changed(module, start):
            raise Finding(f"{where}: constrain_ changes {moved} at the start; draw it where it may be")
        for away in (3.0, -50.0):
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.mul_(4).add_(away)
            constrain([module])
            once = _copies(module)
            constrain([module])
            if moved := _changed(module, once):
                raise Finding(f"{where}: constrain_ called twice changes {moved} again")
    return "changes nothing at the start; twice is once"


def _groups(family: KernelFamily) -> str:
    kinds = set()
    for module, _, where in _cases(family):
        with _explained(where):
            kinds |= {(group.lr_mult, group.weight_decay) for group in parameter_groups(module)}
    return f"every parameter once; rates times {', '.join(f'{rate:.3g}' for rate, _ in sorted(kinds))}"


def _regularizers(family: KernelFamily) -> str:
    found: set[str] = set()
    for module, _, where in _cases(family):
        declared = _of(module, "regularizers")()
        if not isinstance(declared, Mapping):
            raise Finding(f"{where}: regularizers() must give a dict of name -> scalar, got {type(declared).__name__}")
        with _explained(where):
            penalties(module)
        for name, value in declared.items():
            if not torch.isfinite(value):
                raise Finding(f"{where}: regularizer {name!r} is {value.item()}")
            if not value.requires_grad:
                raise Finding(f"{where}: regularizer {name!r} has no gradient")
            value.backward()
        if bad := [name for name, p in module.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]:
            raise Finding(f"{where}: regularizers give {', '.join(bad)} a gradient that is not finite")
        found |= set(declared)
    return f"{', '.join(sorted(found)) or 'none'}: finite, with gradients, each with its weight in the space"


def _support(family: KernelFamily) -> str:
    """What the taps outside can add to an output is largest for a signal of their signs: the sum of their sizes."""
    least = 1.0
    for module, spec, where in _cases(family):
        taps, grid = spec.kernel_size, spec.grid(dtype=torch.float64)
        low, high = _of(module, "support")(grid)
        if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low < high <= taps:
            raise Finding(f"{where}: support must give whole numbers 0 <= lo < hi <= {taps}, got {low!r}, {high!r}")
        threshold, unmasked = _unmasked(module, spec)
        kernel = _kernel(module, spec)
        outside = torch.cat([kernel[..., :low], kernel[..., high:]], dim=-1).abs().sum((1, 2))
        bound = threshold * unmasked.abs().sum((1, 2)) + _ROUNDING * kernel.abs().max()
        if (outside > bound).any():
            raise Finding(
                f"{where}: without the taps outside {low} .. {high - 1} an output changes by up to "
                f"{outside.max():.2g} times the signal; expected at most {bound[outside.argmax()]:.2g}"
            )
        least = min(least, (high - low) / taps)
    return f"what it leaves out is below its threshold; {least:.0%} of the taps or more are kept"


def _unmasked(module: KernelModule, spec: KernelSpec) -> tuple[float, Tensor]:
    """Threshold of a learned support, and the kernel that it is a share of; 0 and the kernel if it is exact."""
    unmasked: Callable[..., Tensor] = getattr(module, "unmasked", module.forward)
    with torch.no_grad():
        return float(getattr(module, "threshold", 0.0)), unmasked(spec.grid(dtype=torch.float64))


def _state_space(family: KernelFamily) -> str:
    worst = 0.0
    for module, spec, where in _cases(family):
        kernel = _kernel(module, spec)
        sides = _sides(spec, kernel)
        systems = list(_of(module, "to_state_space")())
        if len(systems) != len(sides):
            raise Finding(
                f"{where}: of a {spec.side} kernel ({', then '.join(sides)}) expected "
                f"{counted(len(sides), 'system')}, got {len(systems)}"
            )
        for system, (side_name, side) in zip(systems, sides.items(), strict=True):
            error = ((_response(system, side.shape[-1]) - side).abs().max() / kernel.abs().max()).item()
            worst = max(worst, error)
            if not error <= _ROUNDING:
                raise Finding(
                    f"{where}: the response of the system of {side_name} misses the taps by {error:.1e} of the largest"
                )
    return f"D, C B, C A B, ... are the taps, to {worst:.0e} of the largest"


def _sides(spec: KernelSpec, kernel: Tensor) -> dict[str, Tensor]:
    """Taps of each side from lag 0 outwards, by its name: lags >= 0, or the only ones, first."""
    later = spec.grid().lags >= 0
    if spec.side == "causal":
        return {"lags <= 0": kernel.flip(-1)}
    after = {"lags >= 0": kernel[..., later]}
    return after | ({"lags < 0": kernel[..., ~later].flip(-1)} if spec.side == "centered" else {})


def _response(system: tuple[Tensor, Tensor, Tensor, Tensor], taps: int) -> Tensor:
    """Impulse response of a discrete system: (N, N), (N, 1), (out, in, N) and (out, in) -> (out, in, taps)."""
    a, b, c, d = (each.detach() for each in system)
    found, state = [d], b
    for _ in range(taps - 1):
        found.append((c @ state)[..., 0])
        state = a @ state
    return torch.stack(found, dim=-1)


def _import_state(family: KernelFamily) -> str:
    for module, _, where in _cases(family):
        before = _copies(module)
        try:
            _of(module, "import_state")("no such format", {})
        except KernbenchError:
            if moved := _changed(module, before):
                raise Finding(f"{where}: a format that is refused changes {moved}") from None
            continue
        raise Finding(f"{where}: import_state must refuse an unknown format with a kernbench.KernbenchError")
    return "an unknown format is refused and changes nothing"


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """A refusal inside is a finding."""
    try:
        yield
    except KernbenchError as error:
        raise Finding(f"{where}: {error}") from error


def _cases(family: KernelFamily) -> Iterator[Case]:
    """A float64 module for every spec, for one with each hyper-parameter changed; `every-k` says what is refused."""
    hypers = [{name: value} for name, parameter in family.parameters.items() for value in _values(parameter)]
    for where, spec in _SPECS.items():
        for hyper in ({}, *hypers) if spec is _CHANGED else ({},):
            try:
                module = family.build(spec, hyper).double()
                _kernel(module, spec)
            except (KernbenchError, ValueError):
                continue
            yield module, spec, f"{where}{''.join(f', {key} = {value!r}' for key, value in hyper.items())}"


def _values(parameter: Parameter) -> tuple[Value, ...]:
    return parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high)


def _of(module: KernelModule, name: str) -> Callable[..., Any]:
    found = capabilities.of(module, name)
    assert found is not None  # the check runs only where it is offered
    return found


def _kernel(module: KernelModule, spec: KernelSpec) -> Tensor:
    with torch.no_grad():
        kernel: Tensor = module(spec.grid(dtype=torch.float64))
    return kernel.detach().clone()  # it may be a parameter itself


def _copies(module: KernelModule) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def _changed(module: KernelModule, before: Mapping[str, Tensor]) -> str:
    return ", ".join(name for name, value in module.named_parameters() if not torch.equal(value, before[name]))


def _where_offered(name: str, check: Check) -> Check:
    def run(family: KernelFamily) -> str:
        if capabilities.of(family.load(), name) is None:
            raise NotTried("not offered")
        return check(family)

    return run


CAPABILITY_CHECKS: dict[str, Check] = {
    "capabilities": _names,
    "kernel-flops": _where_offered("kernel_flops", _flops),
    "constrain": _where_offered("constrain_", _constrain),
    "param-groups": _where_offered("param_groups", _groups),
    "regularizers": _where_offered("regularizers", _regularizers),
    "support": _where_offered("support", _support),
    "state-space": _where_offered("to_state_space", _state_space),
    "import-state": _where_offered("import_state", _import_state),
}
