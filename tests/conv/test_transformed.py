"""`torch.func` and `torch.jit.trace` over every backend but the peer: the values of torch's own convolution."""

import pytest
import torch
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.nn import functional

from kernbench.conv import convolve
from kernbench.networks.network import build

BACKENDS = ["direct", "fft", "overlap_save", "auto"]
# torch's own: traces are deprecated, and jvp scripts functions of torch
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")
TRACING = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
CASES = [(1, 1), (2, 1), (3, 3)]  # dilation, groups


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


SIGNAL, SIGNALS = numbers(2, 3, 200), numbers(5, 2, 3, 200)


def transforms(signal, signals, kernel, kernels):
    """Name -> what a transform makes of a convolution."""
    return {
        "grad": lambda f: grad(lambda x, k: f(x, k).pow(2).sum(), argnums=(0, 1))(signal, kernel),
        "vmap of the kernel": lambda f: vmap(lambda k: f(signal, k))(kernels),
        "vmap of the signal": lambda f: vmap(lambda x: f(x, kernel))(signals),
        "vmap of both": lambda f: vmap(f)(signals, kernels),
        "gradients of single lines": lambda f: vmap(grad(lambda k, x: f(x[None], k).pow(2).sum()), in_dims=(None, 0))(
            kernel, signal
        ),
        "vmap of grad": lambda f: vmap(grad(lambda x, k: f(x, k).pow(2).sum(), argnums=(0, 1)))(signals, kernels),
        "grad of vmap": lambda f: grad(lambda k: vmap(lambda x: f(x, k))(signals).pow(2).sum())(kernel),
        "grad of grad": lambda f: grad(lambda k: grad(lambda j: f(signal, j).pow(3).sum())(k).pow(2).sum())(kernel),
        "jacrev": lambda f: jacrev(lambda k: f(signal, k).sum(2))(kernel),
        "jvp": lambda f: jvp(lambda k: f(signal, k), (kernel,), (torch.ones_like(kernel),)),
    }


@pytest.mark.parametrize(("dilation", "groups"), CASES)
@pytest.mark.parametrize("name", transforms(*[None] * 4))
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_transform_gives_what_it_gives_of_torch(backend, name, dilation, groups):
    kernel, kernels = numbers(6, 3 // groups, 17), numbers(5, 6, 3 // groups, 17)
    apply = transforms(SIGNAL, SIGNALS, kernel, kernels)[name]
    ours = apply(lambda x, k: convolve(x, k, dilation, groups, backend))
    theirs = apply(lambda x, k: functional.conv1d(x, k, dilation=dilation, groups=groups))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_direct_lines_too_large_for_one_call_can_be_transformed():
    signal, kernel = numbers(40, 4, 20_000), numbers(4, 4, 3)
    ours = grad(lambda k: convolve(signal, k, backend="direct").pow(2).sum())(kernel)
    theirs = grad(lambda k: functional.conv1d(signal, k).pow(2).sum())(kernel)
    torch.testing.assert_close(ours, theirs)


@TRACING
@pytest.mark.parametrize(("dilation", "groups"), CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trace_holds_for_lines_of_other_lengths(backend, dilation, groups):
    kernel = numbers(6, 3 // groups, 17).requires_grad_()
    traced = torch.jit.trace(lambda x, k: convolve(x, k, dilation, groups, backend), (SIGNAL, kernel))
    for signal in (SIGNAL, numbers(1, 3, 150), numbers(4, 3, 311)):
        wanted = functional.conv1d(signal, kernel, dilation=dilation, groups=groups)
        torch.testing.assert_close(traced(signal, kernel), wanted, rtol=1e-10, atol=1e-10)
    (ours,) = torch.autograd.grad(traced(SIGNAL, kernel).pow(2).sum(), kernel)
    wanted = functional.conv1d(SIGNAL, kernel, dilation=dilation, groups=groups)
    torch.testing.assert_close(ours, torch.autograd.grad(wanted.pow(2).sum(), kernel)[0])


def networks(backend, count=3):
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = build("shallow", "siren", 17, 3).eval()
        for layer in network.kernel_layers():
            layer.backend = backend
        found.append(network)
    return found


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("backend", ["direct", "fft", "auto"])
def test_networks_side_by_side_are_the_same_as_one_after_the_other(backend, gradients):
    several, line = networks(backend), torch.randn(2, 1, 400, generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(gradients):
        wanted = torch.stack([network(line) for network in several])
        parameters, buffers = stack_module_state(several)
        ours = vmap(lambda p, b: functional_call(several[0], (p, b), (line,)))(parameters, buffers)
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


@TRACING
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("backend", ["direct", "fft", "overlap_save"])
def test_a_traced_network_scores_lines_of_another_length(backend, gradients):
    (network,) = networks(backend, 1)
    with torch.set_grad_enabled(gradients):
        traced = torch.jit.trace(network, torch.randn(2, 1, 400), check_trace=False)  # that is what follows
        line = torch.randn(3, 1, 517, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(traced(line), network(line), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_is_exported_with_and_without_gradients(backend, gradients):
    (network,), line = networks(backend, 1), torch.randn(2, 1, 400, generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(gradients):
        exported = torch.export.export(network, (line,)).module()
        torch.testing.assert_close(exported(line), network(line))
