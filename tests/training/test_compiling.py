"""torch.compile: an option of the training step; refused in one line where it cannot work."""

import shutil

import pytest
import torch
from test_loop import SETTINGS, changed, data, hooks, train

from kernbench.errors import KernbenchError
from kernbench.networks.network import build
from kernbench.study.settings import SETTINGS as DECLARED
from kernbench.training.compiling import MODES, check_compile, compiled


def test_the_declared_modes_are_those_that_exist():
    assert DECLARED["training"]["compile"].options == MODES


def test_off_is_the_network_itself():
    network = torch.nn.Identity()
    assert compiled(network, "off", "cpu") is network


@pytest.mark.parametrize(
    ("compiler", "given", "said"),
    [
        ("", ("default", "cpu"), r"compile = 'default' needs a C\+\+ compiler .*none was found"),
        ("no-such-compiler", ("default", "cpu"), "what CXX names"),
        ("", ("reduce-overhead", "cpu"), "needs a CUDA device, this is cpu"),
        ("", ("default", "cuda:0", True), r"does not go together with training\.recompute"),
        ("", ("fast", "cpu"), "expected one of off, default, reduce-overhead, got 'fast'"),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_one_line(monkeypatch, compiler, given, said):
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(KernbenchError, match=said) as error:
        check_compile(*given)
    assert "\n" not in str(error.value)
    check_compile("off", "cpu", recompute=True)
    check_compile("default", "cuda:0")  # Triton brings its own compiler


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch about itself, while it compiles
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize(("family", "kernel_size", "batch"), [("siren", 17, 5), ("discrete", 3, SETTINGS.batch_size)])
def test_a_compiled_step_trains_the_network_as_the_plain_one_does(family, kernel_size, batch):
    """To rounding: after a few steps; the compiled one shares the network's parameters and statistics."""
    networks, curves = [], []
    for mode in ("off", "default"):
        torch.manual_seed(3)
        networks.append(build("shallow", family, kernel_size, channels=3, depth=1))
        forward = compiled(networks[-1], mode, "cpu")
        settings = changed(epochs=2, rate=1e-3, batch_size=batch)
        curves.append(train(networks[-1], data(), settings, hooks(), order_seed=0, forward=forward))
    steps = 2 * -(-10 // batch)  # of discrete the last batch is smaller: a second compilation
    for one, other in zip(*(map(vars, curve) for curve in curves), strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
    # not the running mean: it follows a bias whose gradient is nothing but rounding
    for one, other in zip(*([block[1] for block in network.blocks] for network in networks), strict=True):
        torch.testing.assert_close(one.running_var, other.running_var, rtol=1e-3, atol=1e-5)
        assert one.num_batches_tracked == other.num_batches_tracked == steps
