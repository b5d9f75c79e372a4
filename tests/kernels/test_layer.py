"""KernelConv: the border check of a plugin's kernel, unit gain, the eval cache, the state dict."""

import copy

import pytest
import torch

import kernbench
from kernbench.errors import KernbenchError, PluginError
from kernbench.kernels.gain import calibrate
from kernbench.kernels.layer import KernelConv, layer_gain
from kernbench.registry import find_family

SPEC = kernbench.KernelSpec(22, 22, kernel_size=65)


def layer_of(compute, spec=SPEC, **members):
    """A layer around a plugin whose forward is `compute(module, grid)`."""

    def build(self, spec):
        kernbench.KernelModule.__init__(self, spec)
        self.weight = torch.nn.Parameter(torch.randn(*spec.shape[:2], 1))

    made = type("Made", (kernbench.KernelModule,), {"__init__": build, "forward": compute, **members})
    return KernelConv(kernbench.KernelFamily("made", made).build(spec), spec)


def bump(module, grid):
    return module.weight * torch.exp(-grid.lags.abs() / 8)


def fail(module, grid):
    raise IndexError("off the end\nmore")


def taps(module, grid, value):
    return torch.where(grid.lags == 3, value, bump(module, grid))


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda module, grid: bump(module, grid)[0], r"wrong shape: expected \(22, 22, 65\), got \(22, 65\) "),
        (lambda module, grid: taps(module, grid, float("nan")), "a kernel with 484 of 31460 taps NaN"),
        (lambda module, grid: taps(module, grid, float("inf")), "a kernel with 484 of 31460 taps NaN or infinite"),
        (lambda module, grid: bump(module, grid).half(), "torch.float16: expected torch.float32"),
        (lambda module, grid: bump(module, grid).bfloat16(), "torch.bfloat16: expected torch.float32"),
        (lambda module, grid: bump(module, grid).double(), "torch.float64: expected torch.float32"),
        (fail, "cannot make its kernel: IndexError: off the end"),
        (lambda module, grid: [1, 2], "got list"),
    ],
)
def test_a_kernel_that_breaks_the_contract_is_one_line_with_family_and_k(compute, message):
    with pytest.raises(PluginError, match=rf"^family 'made' .*{message}.*\(plugin .*, K = 65\)") as caught:
        layer_of(compute)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_that_was_converted_to_half_precision_is_not_blamed_on_its_family(dtype):
    layer = KernelConv(find_family("discrete").build(SPEC), SPEC).to(dtype)
    with pytest.raises(KernbenchError, match=r"the parameters of family 'discrete' are .*Call \.float\(\)") as error:
        layer(torch.randn(1, SPEC.in_channels, 200, dtype=dtype))
    assert not isinstance(error.value, PluginError)


def test_a_kernel_of_zeros_cannot_be_calibrated():
    layer = layer_of(lambda module, grid: 0 * bump(module, grid))
    with pytest.raises(PluginError, match="zeros"):
        calibrate(layer)


def test_a_scale_that_does_not_scale_is_refused():
    layer = layer_of(bump, scale_=lambda self, factor: None)
    with pytest.raises(PluginError, match="must multiply the kernel"):
        calibrate(layer)


@pytest.mark.parametrize("family", ["discrete", "siren", "gaussian"])
def test_calibration_folds_the_gain_into_the_family(family):
    layer = KernelConv(find_family(family).build(SPEC), SPEC)
    raw = calibrate(layer)
    assert layer.amplitude is None
    assert raw == layer.raw_gain
    assert layer_gain(layer.kernel()) == pytest.approx(1, abs=1e-6)


def test_a_family_without_scale_gets_a_counted_amplitude():
    layer = layer_of(bump)
    before = sum(p.numel() for p in layer.parameters())
    calibrate(layer)
    assert layer_gain(layer.kernel()) == pytest.approx(1, abs=1e-6)
    assert sum(p.numel() for p in layer.parameters()) == before + 22


def test_unit_gain_means_unit_output_variance_for_white_input():
    torch.manual_seed(1)
    layer = KernelConv(find_family("discrete").build(SPEC), SPEC, bias=False)
    calibrate(layer)
    with torch.no_grad():
        output = layer(torch.randn(8, 22, 4000))
    assert output.var().item() == pytest.approx(1, rel=0.02)


def test_the_kernel_is_multiplied_by_the_spacing():
    layer = layer_of(bump)
    fine = layer.kernel(SPEC.grid(refine=2))
    torch.testing.assert_close(2 * fine[..., ::2], layer.kernel())


def in_place(layer):
    with torch.no_grad():
        layer.kernel_module.weight.mul_(2)


def stepped(layer):
    with torch.enable_grad():
        layer.kernel().sum().backward()
    torch.optim.Adam(layer.parameters(), lr=0.1).step()


def through_data(layer):
    layer.kernel_module.weight.data.mul_(2)
    layer.train().eval()


def loaded(layer):
    layer.load_state_dict({k: 2 * v if v.dtype.is_floating_point else v for k, v in layer.state_dict().items()})


def constrained(layer):
    with torch.no_grad():
        layer.kernel_module.constrain_()


def reassigned(layer):
    layer.kernel_module.weight = torch.nn.Parameter(2 * layer.kernel_module.weight.detach())


@pytest.mark.parametrize("backend", ["direct", "fft", "overlap_save", "auto"])
@pytest.mark.parametrize("change", [in_place, stepped, through_data, loaded, constrained, reassigned])
def test_the_eval_cache_follows_every_way_to_change_a_parameter(backend, change):
    made = layer_of(bump, constrain_=lambda self: self.weight.clamp_(-0.1, 0.1))
    layer = KernelConv(made.kernel_module, SPEC, backend=backend, bias=False).eval()
    signal = torch.randn(2, 22, 700)
    with torch.no_grad():
        before = layer(signal)
        assert torch.equal(layer(signal), before)
        change(layer)
        after = layer(signal)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, fresh(layer, signal, backend), rtol=0, atol=0)


def fresh(layer, signal, backend):
    """What the layer should give: its kernel made again, convolved without any cache."""
    from kernbench.conv import convolve

    return convolve(signal, layer.kernel(SPEC.grid()), backend=backend).detach()


@pytest.mark.parametrize("backend", ["direct", "fft", "overlap_save"])
def test_the_eval_cache_follows_a_move_to_another_dtype(backend):
    layer = KernelConv(layer_of(bump).kernel_module, SPEC, backend=backend, bias=False).eval()
    signal = torch.randn(2, 22, 700)
    with torch.no_grad():
        single = layer(signal)
        double = layer.double()(signal.double())
        assert double.dtype == torch.float64
        torch.testing.assert_close(double, single.double(), rtol=1e-3, atol=1e-3)
        assert torch.equal(layer.float()(signal), single)


@pytest.mark.parametrize("backend", ["fft", "overlap_save"])
def test_evaluation_equals_training_to_the_last_bit_for_any_signal(backend):
    layer = KernelConv(layer_of(bump).kernel_module, SPEC, backend=backend)
    signals = [torch.randn(shape) for shape in ((3, 22, 700), (1, 22, 700), (3, 22, 5000), (3, 22, 700))]
    expected = [layer.train()(signal).detach() for signal in signals]
    layer.eval()
    with torch.no_grad():
        for signal, wanted in zip(signals, expected, strict=True):
            assert torch.equal(layer(signal), wanted)


@pytest.mark.parametrize("backend", ["fft", "overlap_save"])
def test_evaluation_makes_kernel_and_spectrum_once(backend, monkeypatch):
    from kernbench.conv import prepared

    made, spectra = [], []
    spectrum = prepared.kernel_spectrum
    monkeypatch.setattr(prepared, "kernel_spectrum", lambda *args: spectra.append(1) or spectrum(*args))
    layer = KernelConv(layer_of(lambda m, grid: made.append(1) or bump(m, grid)).kernel_module, SPEC, backend=backend)
    layer.eval()
    made.clear()
    with torch.no_grad():
        for _ in range(3):
            layer(torch.randn(2, 22, 700))
    assert (len(made), len(spectra)) == (1, 1)
    layer.train()(torch.randn(2, 22, 700)).sum().backward()
    assert len(made) == 2  # once per training step


def test_a_copy_of_a_layer_in_use_follows_its_own_parameters():
    layer = layer_of(bump).eval()
    signal = torch.randn(1, 22, 300)
    with torch.no_grad():
        before = layer(signal)
        copied = copy.deepcopy(layer)
        in_place(layer)
        assert torch.equal(copied(signal), before)
        assert not torch.allclose(layer(signal), before)


def test_gradients_flow_in_eval_mode():
    layer = layer_of(bump).eval()
    with torch.no_grad():
        layer.kernel()
    for _ in range(2):
        layer(torch.randn(1, 22, 100)).sum().backward()
    assert layer.kernel_module.weight.grad.abs().max() > 0


def test_autocast_does_not_lower_the_kernels_precision():
    layer = KernelConv(find_family("siren").build(SPEC), SPEC)
    expected = layer.kernel()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.kernel(), expected)
