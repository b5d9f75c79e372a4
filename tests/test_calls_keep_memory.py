"""No function writes to what it was given, nor to what it returned before.

`contiguous()`, `asarray`, `from_numpy` and `view` copy only sometimes; a table with one row or column is the usual case
where they do not. So every call here is made with such tables, too.
"""

import dataclasses

import numpy as np
import pytest
import torch

from kernbench.conv import convolve
from kernbench.conv.backends import BACKENDS
from kernbench.networks import at_rate, build
from kernbench.statistics import adjusted, compare
from kernbench.ulm import Scene, simulate_lines, tolerance_counts
from kernbench.ulm.detectors.delay import advanced
from kernbench.ulm.detectors.methods.echoes import correlation
from kernbench.ulm.detectors.methods.matched_filter import matched, normalized_correlation
from kernbench.ulm.detectors.methods.wiener import deconvolve
from kernbench.ulm.detectors.recording import Recording, conditioned, envelope
from kernbench.ulm.evaluation.predict import predict
from kernbench.ulm.pairing.decoders import Decoder, decode
from kernbench.ulm.pairing.points import label_points
from kernbench.ulm.pairing.protocol import pair_table
from kernbench.ulm.scoring.floors import blind_floors
from kernbench.ulm.simulator.noise import add_noise, low_pass
from kernbench.ulm.simulator.physics import bubble_equation, integrate
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.simulate import simulate_bubbles
from kernbench.ulm.simulator.transducer import drive_spectrum, driving_pressure, receive_filter


def arrays(value):
    """Every array and tensor in a value, networks included."""
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, torch.nn.Module):
        return arrays(list(value.state_dict().values()))
    if dataclasses.is_dataclass(value):
        return arrays(list(vars(value).values()))
    if isinstance(value, dict):
        return arrays(list(value.values()))
    return [each for part in value for each in arrays(part)] if isinstance(value, list | tuple) else []


def lines(rows, samples, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((rows, samples)).astype(dtype)


def tensor(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(rows, samples):
    counts = np.zeros((rows, samples), np.uint8)
    counts[:, 5::40] = 1
    return counts


def scene(bubbles, seed):
    rng = np.random.default_rng(seed)
    return Scene(rng.uniform(0.01, 0.012, bubbles), np.zeros(bubbles), np.full(bubbles, 2.4e-6), 1e5 + 1e3 * seed)


def columns(bubbles, seed):
    return [np.full(bubbles, 0.03 + 0.001 * seed), np.full(bubbles, 2.4e-6), np.full(bubbles, 1e5)]


def spectrum():
    return drive_spectrum(find_pulse())


def network(channels, seed):
    torch.manual_seed(seed)
    return build("dilated", "discrete", kernel_size=5, channels=channels, depth=2).eval()


# name -> function of (how many, seed) that gives a function and its arguments; "how many" is 1 or more
CALLS = {
    "simulate_bubbles": lambda n, s: (simulate_bubbles, columns(n, s)),
    "simulate_lines": lambda n, s: (lambda *scenes: simulate_lines(scenes, window=([800] * n, 300)), [scene(n, s)] * n),
    "integrate": lambda n, s: (integrate, [bubble_equation(np.full(n, 2.4e-6), 16e-9), 1e4 * tensor(21, n, seed=s)]),
    "driving_pressure": lambda n, s: (
        driving_pressure,
        [spectrum(), torch.full((n,), 0.03), torch.full((n,), 1e5 + s), 360],
    ),
    "add_noise": lambda n, s: (add_noise, [lines(n, 64, s), 4.0, s]),
    "add_no_noise": lambda n, s: (add_noise, [lines(n, 64, s), 0.0, s]),
    "low_pass": lambda n, s: (low_pass, [lines(n, 64, s, np.float64)]),
    "tolerance_counts": lambda n, s: (tolerance_counts, [lines(n, 200, s), labels(n, 200), [0, 2], [0.1, 0.5]]),
    "blind_floors": lambda n, _: (blind_floors, [labels(n, 200), [0, 2]]),
    "decode": lambda n, s: (decode, [lines(n, 200, s), 0.5, Decoder("peak-nms", 3)]),
    "pair_table": lambda n, s: (
        lambda output, counts: pair_table(output, label_points(counts), Decoder("run"), [2], [0.5]),
        [lines(n, 200, s), labels(n, 200)],
    ),
    "advanced": lambda n, s: (advanced, [tensor(n, 100, seed=s), 0]),
    "correlation": lambda n, s: (correlation, [tensor(n, 300, seed=s), tensor(1, 64)]),
    "matched": lambda n, s: (matched, [tensor(n, 300, seed=s), tensor(1, 64)]),
    "normalized_correlation": lambda n, s: (normalized_correlation, [tensor(n, 300, seed=s), tensor(1, 64)]),
    "deconvolve": lambda n, s: (deconvolve, [tensor(n, 300, seed=s), tensor(64), 0.1]),
    "envelope": lambda n, s: (envelope, [tensor(n, 100, seed=s)]),
    "conditioned": lambda n, s: (
        lambda voltage: conditioned(Recording(voltage, torch.zeros(n, 100), torch.zeros(n, dtype=torch.long)), "depth"),
        [tensor(n, 100, seed=s)],
    ),
    "predict": lambda n, s: (predict, [network(n, s), tensor(n, 128, seed=s)]),
    "network": lambda n, s: (lambda net, signal: net(signal).detach(), [network(n, s), tensor(n, 1, 128, seed=s)]),
    "at_rate": lambda n, s: (at_rate, [network(n, s), 2.0]),
    "compare": lambda n, s: (compare, [lines(3, 10 + n, s, np.float64), lines(3, 10 + n, s + 1, np.float64)]),
    "adjusted": lambda n, s: (
        lambda *cells: adjusted([compare(*cells)] * n),
        [lines(3, 10, s, np.float64), lines(3, 10, s + 1, np.float64)],
    ),
} | {
    f"convolve {backend}": lambda n, s, backend=backend: (
        lambda signal, kernel: convolve(signal, kernel, dilation=2, backend=backend),
        [tensor(n, n, 101, seed=s), tensor(n, n, 5, seed=s)],
    )
    for backend in BACKENDS
}


@pytest.mark.parametrize("many", [1, 3])
@pytest.mark.parametrize("name", CALLS)
def test_arguments_and_earlier_results_stay_as_they_were(name, many):
    function, given = CALLS[name](many, 0)
    before = [each.copy() for each in arrays(given)]
    result = function(*given)
    kept = [each.copy() for each in arrays(result)]
    assert kept or name in ("compare", "adjusted")  # their results are numbers
    other, others = CALLS[name](many, 1)
    other(*others)
    for now, then in zip([*arrays(given), *arrays(result)], before + kept, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("many", [1, 2])
def test_the_output_of_a_convolution_may_be_changed_in_place(backend, many):
    # a layer adds its bias to it; autograd refuses that where the output is a view of something larger
    signal, kernel = tensor(many, 1, 101).requires_grad_(), tensor(many, 1, 5).requires_grad_()
    output = convolve(signal, kernel, dilation=2, backend=backend)
    output.add_(1.0).sum().backward()
    assert torch.isfinite(signal.grad).all()


def test_one_bubble_has_the_pressure_that_it_has_among_several():
    alone = simulate_bubbles([0.03], [2.4e-6], [1e5])
    among = simulate_bubbles([0.03, 0.05], [2.4e-6, 2e-6], [1e5, 5e4])
    assert 9e4 < float(alone.pressure_pa.abs().max()) < 1.2e5
    torch.testing.assert_close(alone.pressure_pa[0], among.pressure_pa[0], rtol=1e-5, atol=1.0)
    torch.testing.assert_close(alone.radius_m[0], among.radius_m[0], rtol=1e-5, atol=1e-11)


@pytest.mark.parametrize("kept", [find_pulse, receive_filter])
def test_what_is_kept_for_later_calls_cannot_be_written(kept):
    for array in arrays(kept()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
