"""KernelConv: a convolution layer whose kernel is made by a kernel family."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kernbench.conv.dispatch import check_backend, convolve
from kernbench.conv.prepared import PreparedKernel
from kernbench.conv.transformed import is_transformed
from kernbench.errors import KernbenchError, PluginError, counted, first_line
from kernbench.host.autocast import without_autocast
from kernbench.host.process_state import kept
from kernbench.kernels.base import KernelModule, KernelSpec, LagGrid
from kernbench.kernels.family import origin


def layer_gain(kernel: Tensor) -> float:
    """Gain G of a kernel: G^2 is the mean over output channels of the summed squared taps.

    Args:
        kernel: shape (out_channels, in_channels // groups, K).

    Returns:
        G, so that unit white input gives output variance G^2 (before the bias).
    """
    return math.sqrt(kernel.detach().double().square().sum(dim=(1, 2)).mean().item())


class Run(NamedTuple):
    """A convolution that a layer does: signal (1, C_in, L), kernel (C_out, C_in // groups, K), dilation."""

    signal: tuple[int, int, int]
    kernel: tuple[int, int, int]
    dilation: int


class KernelConv(nn.Module):
    """Valid cross-correlation with a kernel made by a `KernelModule`, plus bias.

    The plugin's output is checked once, here, when the layer is built: shape, finite values, no half precision.

    Args:
        module: makes the kernel.
        spec: channels, kernel size, dilation.
        bias: add a learnable number per output channel, drawn as PyTorch's Conv1d draws it.
        backend: how to convolve; a name in `kernbench.conv.backends.BACKENDS`.

    Attributes:
        kernel_module: the plugin's module.
        amplitude: learnable factor per output channel, or None; see `kernbench.kernels.gain`.
        raw_gain: gain of the kernel as the family drew it.
        gain: gain at the start of training.
        tiles: kernels in rotation; 1 but for `kernbench.kernels.tiled.TiledConv`.

    Raises:
        PluginError: the kernel breaks the contract; names the family and K.
    """

    tiles: int = 1
    _made: tuple[Tensor] | None = None  # within `made_once`; a bare parameter would become one of the layer

    def __init__(self, module: KernelModule, spec: KernelSpec, *, bias: bool = True, backend: str = "auto") -> None:
        super().__init__()
        self.kernel_module = module
        self.spec = spec
        self.backend = check_backend(backend)
        self.amplitude: nn.Parameter | None
        self.bias: nn.Parameter | None
        self.register_parameter("amplitude", None)
        self.register_parameter("bias", None)
        if bias:
            bound = 1 / math.sqrt(spec.shape[1] * spec.kernel_size)
            self.bias = nn.Parameter(torch.empty(spec.out_channels).uniform_(-bound, bound))
        self._cache: tuple[object, PreparedKernel] | None = None
        self.raw_gain = self.gain = layer_gain(self.checked_kernel())

    @property
    def width(self) -> int:
        """Largest number of channels that the layer holds between its input and its output."""
        return self.spec.out_channels

    @property
    def mixing(self) -> int:
        """Trainable numbers beside those of kernel, bias and amplitude."""
        return 0

    @property
    def plain(self) -> "KernelConv":
        """The layer whose kernel the family makes: this one, or the one inside."""
        return self

    @property
    def shift(self) -> Tensor | None:
        """What evaluation adds to each output channel, (out_channels,)."""
        return self.bias

    def runs(self, length: int) -> list[Run]:
        """The convolutions of one line of a length [samples], in evaluation; the one of most operations first."""
        return [Run((1, self.spec.in_channels, length), self.spec.shape, self.spec.dilation)]

    @property
    def label(self) -> str:
        """Who makes the kernel, for messages."""
        return f"family {self.kernel_module.family or type(self.kernel_module).__name__!r}"

    @property
    def place(self) -> str:
        """Where the family comes from and at which K, for messages."""
        return f"{origin(type(self.kernel_module))}, K = {self.spec.kernel_size}"

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the kernel's parameters."""
        return next((t.dtype for t in self._tensors() if t.is_floating_point()), torch.get_default_dtype())

    @property
    def device(self) -> torch.device:
        """Where the kernel's parameters live."""
        return next((t.device for t in self._tensors()), torch.device("cpu"))

    def kernel(self, grid: LagGrid | None = None) -> Tensor:
        """The kernel that the layer convolves with, bias excluded.

        Args:
            grid: lags; the training grid if left out.

        Returns:
            Tensor (out_channels, in_channels // groups, K), amplitude and spacing included. In eval mode without
            gradients the training-grid kernel is kept, with its spectrum, until a parameter or buffer changes.
        """
        kept = self._kept() if grid is None else None
        return self._make(grid) if kept is None else kept.kernel

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve; (batch, in_channels, L) -> (batch, out_channels, L - dilation * (K - 1))."""
        kept = self._kept()
        if kept is None:
            output = convolve(signal, self.kernel(), self.spec.dilation, self.spec.groups, self.backend)
        else:
            output = kept(signal)
        return output if self.bias is None else output.add_(self.bias[:, None])  # no backend needs its output again

    @contextmanager
    def made_once(self) -> Iterator[None]:
        """While entered, the family makes the kernel of the training grid once, however often the layer convolves.

        For a network that uses a layer several times in one forward pass; no parameter may change meanwhile. A pass
        that computes activations again must enter again, so enter inside of what it computes again.
        """
        plain = self.plain
        before = plain._made
        plain._made = (plain.kernel(),)  # in evaluation the one that is kept anyway
        try:
            yield
        finally:
            plain._made = before

    def train(self, mode: bool = True) -> "KernelConv":
        """Set training or eval mode, and forget the kept kernel: no check notices a change through `.data`."""
        self._cache = None
        super().train(mode)
        return self

    def extra_repr(self) -> str:
        """Sizes, for printing the module."""
        spec = self.spec
        return f"{spec.in_channels} -> {spec.out_channels}, K = {spec.kernel_size}, dilation = {spec.dilation}"

    def checked_kernel(self) -> Tensor:
        """The training-grid kernel without gradients, after the full check of the plugin's output.

        Raises:
            PluginError: forward raised, or gave a wrong shape, NaN or infinity, or half precision.
        """
        try:
            with kept(), torch.no_grad():
                kernel = self._make()
        except KernbenchError:
            raise
        except (Exception, SystemExit) as error:  # a plugin must not end the program
            raise PluginError(f"{self.label} cannot make its kernel: {first_line(error)} ({self.place})") from error
        if bad := int((~torch.isfinite(kernel)).sum()):
            raise PluginError(
                f"{self.label} returned a kernel with {bad} of {counted(kernel.numel(), 'tap')} NaN or infinite "
                f"({self.place}). forward(grid) must return finite numbers."
            )
        return kernel

    def _kept(self) -> PreparedKernel | None:
        """The training-grid kernel of these very parameters, made once; None in training and where gradients flow."""
        abstract = is_transformed() or torch.compiler.is_exporting()  # tensors without storage
        flowing = self.training or torch.is_grad_enabled() or abstract
        key = None if flowing else self._versions()
        if key is None:
            self._cache = None
        elif self._cache is None or self._cache[0] != key:
            self._cache = key, PreparedKernel(self._make(), self.spec.dilation, self.spec.groups, self.backend)
        return None if self._cache is None else self._cache[1]

    def _make(self, grid: LagGrid | None = None) -> Tensor:
        if grid is None and self._made is not None:
            return self._made[0]
        grid = self.spec.grid(dtype=self.dtype, device=self.device) if grid is None else grid
        # autocast would evaluate a kernel network in half precision, where neighbouring lags merge
        with without_autocast(grid.lags.device):
            kernel = self._asked(grid)
            self._check_form(kernel, grid)
            if grid.spacing != 1:
                kernel = kernel * grid.spacing
            return kernel if self.amplitude is None else kernel * self.amplitude

    def _asked(self, grid: LagGrid) -> Tensor:
        if torch.compiler.is_compiling():  # a graph has no working folder
            return torch.as_tensor(self.kernel_module(grid))
        with kept(quick=torch.is_grad_enabled()):  # at each step what takes microseconds; without gradients all of it
            return self.kernel_module(grid)  # type: ignore[no-any-return]  # checked below, whatever it is

    def _check_form(self, kernel: Tensor, grid: LagGrid) -> None:
        expected = (*self.spec.shape[:2], grid.lags.numel())
        got = tuple(kernel.shape) if isinstance(kernel, Tensor) else type(kernel).__name__
        if got != expected:
            raise PluginError(
                f"{self.label} returned a kernel of the wrong shape: expected {expected}, got {got} ({self.place}). "
                "forward(grid) must return (out_channels, in_channels // groups, K)."
            )
        halves = [each.dtype for each in self._tensors() if each.dtype in (torch.float16, torch.bfloat16)]
        if kernel.dtype in halves:
            raise KernbenchError(
                f"the parameters of {self.label} are {kernel.dtype}, as .half() makes them: neighbouring lags merge "
                f"there, so kernels need float32 or float64 ({self.place}). Call .float() and use torch.autocast."
            )
        if kernel.dtype != grid.lags.dtype:
            raise PluginError(
                f"{self.label} returned a kernel in {kernel.dtype}: expected {grid.lags.dtype} ({self.place}). "
                "Evaluate in the dtype of grid.lags."
            )

    def _tensors(self) -> Iterator[Tensor]:
        yield from self.kernel_module.parameters()
        yield from self.kernel_module.buffers()
        yield from (t for t in (self.amplitude, self.bias) if t is not None)

    def _versions(self) -> tuple[object, ...] | None:
        # torch counts in-place changes of a tensor in _version; inference tensors have no counter
        tensors = list(self._tensors())
        if any(t.is_inference() for t in tensors):
            return None
        return (self.backend, *((id(t), t.data_ptr(), t._version, t.dtype, t.device) for t in tensors))
