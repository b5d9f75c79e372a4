"""What each conformance check does; `kernbench.kernels.conformance` runs them and reports.

A check takes a family and returns one line about what it measured, or raises `Finding`.
"""

import copy
import io
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from kernbench.errors import KernbenchError, PluginError, counted, first_line
from kernbench.host.process_state import kept
from kernbench.kernels import capabilities, capability_checks
from kernbench.kernels.base import KernelModule, KernelSpec
from kernbench.kernels.counting import trainable_numbers
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.finding import Finding
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv
from kernbench.kernels.process_check import leaves_the_process_alone
from kernbench.kernels.space import Choice, Value

_BASE = KernelSpec(4, 3, kernel_size=17)
_SPECS = {
    "4 x 3 channels": _BASE,
    "one input channel": KernelSpec(4, 1, kernel_size=17),
    "2 groups": KernelSpec(4, 4, groups=2, kernel_size=9),
    "dilation 4": KernelSpec(2, 2, kernel_size=9, dilation=4),
    "causal": KernelSpec(2, 2, kernel_size=9, side="causal"),
}
_KERNEL_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33, 64, 65, 131)
SEED = 20220101


def _build(family: KernelFamily) -> str:
    for where, spec in _SPECS.items():
        try:
            family.build(spec)
        except KernbenchError as error:
            raise Finding(f"{where}: {error}") from error
    return f"built for {', '.join(_SPECS)}"


def _kernels(family: KernelFamily) -> Iterator[tuple[str, KernelSpec, Tensor]]:
    """A kernel of the defaults for every spec; whatever the family takes for one."""
    for where, spec in _SPECS.items():
        yield where, spec, _kernel(family.build(spec))


def _shape(family: KernelFamily) -> str:
    for where, spec, kernel in _kernels(family):
        if not isinstance(kernel, Tensor) or tuple(kernel.shape) != spec.shape:
            got = tuple(kernel.shape) if isinstance(kernel, Tensor) else type(kernel).__name__
            raise Finding(
                f"{where}: expected {spec.shape}, got {got}; forward(grid) must return "
                "(out_channels, in_channels // groups, K)"
            )
    return "exactly (out_channels, in_channels // groups, K)"


def _finite(family: KernelFamily) -> str:
    for where, _, kernel in _kernels(family):
        if bad := int((~torch.isfinite(kernel)).sum()):
            raise Finding(f"{where}: {counted(bad, 'tap')} {'is' if bad == 1 else 'are'} NaN or infinite")
    for hyper in _other_hypers(family):
        if not torch.isfinite(_kernel(family.build(_BASE, hyper))).all():
            raise Finding(f"with {hyper} some taps are NaN or infinite")
    return "no NaN, no infinity"


class _DtypeWatch(TorchFunctionMode):
    """Notes every half-precision tensor that a torch call gives."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # torch's protocol
        """Call through and check the result."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype in (torch.float16, torch.bfloat16):
            self.found.add(f"{getattr(func, '__name__', func)} gave {result.dtype}")
        return result


def _precision(family: KernelFamily) -> str:
    module = family.build(_BASE)
    with _DtypeWatch() as watch:
        kernel = _kernel(module)
    if watch.found:
        raise Finding(f"half precision inside: {'; '.join(sorted(watch.found))}")
    if kernel.dtype != torch.float32:
        raise Finding(f"float32 lags and parameters gave a kernel in {kernel.dtype}")
    return "float32 throughout"


def _alive(family: KernelFamily) -> str:
    for where, _, kernel in _kernels(family):
        if not kernel.detach().abs().max() > 0:
            raise Finding(f"{where}: the kernel starts with all taps 0")
    return "some taps are not 0"


def _stateless_forward(family: KernelFamily) -> str:
    module = family.build(_BASE)
    grid = _BASE.grid()
    before, lags = _state(module), grid.lags.clone()
    module(grid)
    after = _state(module)
    changed = sorted(key for key in {*before, *after} if not _same(before.get(key), after.get(key)))
    if changed:
        raise Finding(f"forward creates or changes {', '.join(changed)}; decide everything in __init__")
    if not torch.equal(lags, grid.lags):
        raise Finding("forward changes grid.lags in place")
    return "forward changes nothing"


def _state(module: nn.Module) -> dict[str, object]:
    """Every attribute of every submodule; tensors as copies."""
    found: dict[str, object] = {}
    for prefix, part in module.named_modules():
        plain = {key: value for key, value in vars(part).items() if not isinstance(value, dict)}
        for key, value in {**plain, **part._parameters, **part._buffers}.items():
            found[f"{prefix}.{key}".lstrip(".")] = value.detach().clone() if isinstance(value, Tensor) else value
    return found


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return one is other


def _param_count(family: KernelFamily) -> str:
    for where, spec in _SPECS.items():
        for hyper in ({}, *_other_hypers(family)):
            numel = trainable_numbers(family.build(spec, hyper))
            declared = family.param_count(spec, hyper)
            if declared != numel:
                raise Finding(f"{where}, {hyper or 'defaults'}: param_count says {declared}, the module has {numel}")
    closed = capabilities.of(family.load(), "param_count") is not None
    return "closed form agrees" if closed else "no closed form: counted by construction"


def _gradient(family: KernelFamily) -> str:
    answers = [_gradient_with(family, hyper) for hyper in ({}, *_other_hypers(family))]
    return answers[0]


def _gradient_with(family: KernelFamily, hyper: dict[str, Value]) -> str:
    module = family.build(_BASE, hyper)
    target = torch.randn(_BASE.shape)
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        return "no parameters"
    optimizer = torch.optim.SGD(parameters.values(), lr=1e-3)
    for step in range(2):  # after one step: an output layer may start at 0 and shut the others off
        optimizer.zero_grad()
        (_kernel(module) - target).square().sum().backward()
        if step == 0:
            optimizer.step()
    dead = [name for name, p in parameters.items() if p.grad is None or not p.grad.abs().max() > 0]
    if dead:
        raise Finding(f"no gradient reaches {', '.join(dead)} after one step, with {hyper or 'the defaults'}")
    return f"reaches all {counted(len(parameters), 'parameter')}"


def _gain(family: KernelFamily) -> str:
    layer = KernelConv(family.build(_BASE), _BASE)
    raw = calibrate(layer)
    if abs(layer.gain - 1) > 1e-5:
        raise Finding(f"gain after calibration: expected 1, got {layer.gain:.7g}")
    how = "an amplitude per output channel" if layer.amplitude is not None else "scale_"
    return f"{raw:.4g} before, 1 after calibration by {how}"


def _determinism(family: KernelFamily) -> str:
    kernels = []
    for _ in range(2):
        torch.manual_seed(SEED)
        module = family.build(_BASE)
        before = torch.get_rng_state()
        kernels += [_kernel(module), _kernel(module)]
        if not torch.equal(before, torch.get_rng_state()):
            raise Finding("forward draws random numbers")
    if not all(torch.equal(kernels[0], other) for other in kernels[1:]):
        raise Finding("the same seed gives different kernels; draw only from torch's global generator")
    return "same seed, same bits"


def _dtype(family: KernelFamily) -> str:
    module = family.build(_BASE)
    single = _kernel(module).detach().clone()
    double = module.double()(_BASE.grid(dtype=torch.float64)).detach()
    if double.dtype != torch.float64:
        raise Finding(f"after .double() float64 lags gave a kernel in {double.dtype}")
    error = _relative(single.double(), double)
    if error > 1e-3:
        raise Finding(f"float32 and float64 kernels differ by {error:.1e} of the largest tap")
    if not torch.equal(_kernel(module.float()).detach(), single):
        raise Finding("the kernel after .double().float() is another one")
    return f"float32 and float64 agree to {error:.0e}"


def _device(family: KernelFamily) -> str:
    if not torch.cuda.is_available():
        return "no accelerator here: not tried"
    module = family.build(_BASE)
    here = _kernel(module).detach().clone()
    there = module.to("cuda")(_BASE.grid(device="cuda")).detach()
    if there.device.type != "cuda" or _relative(there.cpu(), here) > 1e-3:
        raise Finding(f"kernel on {there.device} differs from the one on the CPU")
    return "same kernel on the accelerator"


def _state_dict(family: KernelFamily) -> str:
    module = family.build(_BASE)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = family.build(_BASE)
    other.load_state_dict(state)
    if not torch.equal(_kernel(module), _kernel(other)):
        raise Finding("a kernel loaded from the state dict differs from the one saved: something is not stored")
    others = list(_other_hypers(family))
    for hyper in others:
        different = family.build(_BASE, hyper)
        try:
            different.load_state_dict(state)
        except (KernbenchError, RuntimeError):
            continue
        if not torch.equal(_kernel(different), _kernel(module)):
            raise Finding(
                f"weights load into a module with {hyper} and are not refused: hyper-parameters are not stored"
            )
    return "same kernel after save and load" + ("; other hyper-parameters are refused" if others else "")


def _every_k(family: KernelFamily) -> str:
    refused = [kernel_size for kernel_size in _KERNEL_SIZES if not _takes(family, kernel_size)]
    answer = f"exact for K = {', '.join(str(k) for k in _KERNEL_SIZES if k not in refused)}"
    return answer + (f"; refuses K = {', '.join(map(str, refused))}" if refused else "")


def _takes(family: KernelFamily, kernel_size: int) -> bool:
    """True if the kernel is right for K, False if the family refuses K in words."""
    spec = replace(_BASE, kernel_size=kernel_size, extent=0.0)
    try:
        kernel = _kernel(family.build(spec))
    except Exception as error:
        # ValueError means "not this value" in Python; anything else was not meant
        if isinstance(error.__cause__ if isinstance(error, PluginError) else error, KernbenchError | ValueError):
            return False
        raise Finding(f"K = {kernel_size}: {first_line(error)}") from error
    if tuple(kernel.shape) != spec.shape or not torch.isfinite(kernel).all():
        raise Finding(f"K = {kernel_size}: expected {spec.shape} and finite, got {tuple(kernel.shape)}")
    return True


def _deepcopy(family: KernelFamily) -> str:
    module = family.build(_BASE)
    twin = copy.deepcopy(module)
    before = _kernel(module).detach().clone()
    if not torch.equal(_kernel(twin), before):
        raise Finding("a deep copy makes another kernel")
    _move(twin)
    if not torch.equal(_kernel(module), before):
        raise Finding("a deep copy shares parameters with the original")
    return "a copy is equal and independent"


def _cache(family: KernelFamily) -> str:
    layer = KernelConv(family.build(_BASE), _BASE).eval()
    with torch.no_grad():
        before = layer.kernel()
        if layer.kernel() is not before:
            raise Finding("the kernel is made again although nothing changed: forward changes a parameter or buffer")
        before = before.clone()
        _move(layer.kernel_module)
        if torch.equal(layer.kernel(), before) and any(True for _ in layer.kernel_module.parameters()):
            raise Finding("the kernel in eval mode does not follow a step of its parameters")
    return "kept in eval mode until a parameter changes"


def _lags(family: KernelFamily) -> str:
    try:
        layer = KernelConv(family.build(_BASE).double(), _BASE)
        coarse = layer.kernel(_BASE.grid(dtype=torch.float64)).detach()
        fine = layer.kernel(_BASE.grid(refine=2, dtype=torch.float64)).detach()
    except Exception as error:
        return f"not defined between its taps ({first_line(error)}): no change of sampling rate"
    difference = _relative(2 * fine[..., ::2], coarse)
    if difference > 1e-9:
        return f"own rule between taps: at half the spacing the common taps differ by {difference:.1e}"
    return "at half the spacing the common taps agree: a function of the lag in samples"


def _kernel(module: KernelModule) -> Tensor:
    with kept(quick=True):  # `process` says what it changes
        kernel: Tensor = module(module.spec.grid())
    return kernel


def _move(module: nn.Module) -> None:
    """An in-place change of every parameter, as an optimizer makes it."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * (1 + parameter.abs()))


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def _other_hypers(family: KernelFamily) -> Iterator[dict[str, Value]]:
    """For each hyper-parameter, the defaults with that one changed."""
    for name, parameter in family.parameters.items():
        default = parameter.start
        values = parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        yield from ({name: value} for value in values if value != default)


CHECKS: dict[str, Callable[[KernelFamily], str]] = {
    "build": _build,
    "shape": _shape,
    "finite": _finite,
    "precision": _precision,
    "alive": _alive,
    "stateless-forward": _stateless_forward,
    "process": leaves_the_process_alone,
    "param-count": _param_count,
    "gradient": _gradient,
    "gain": _gain,
    "determinism": _determinism,
    "dtype": _dtype,
    "device": _device,
    "state-dict": _state_dict,
    "every-k": _every_k,
    "deepcopy": _deepcopy,
    "cache": _cache,
    "lags": _lags,
    **capability_checks.CAPABILITY_CHECKS,
}
# without these the later checks would only repeat the first finding
ESSENTIAL = ("build", "shape", "finite", "alive", "stateless-forward")
