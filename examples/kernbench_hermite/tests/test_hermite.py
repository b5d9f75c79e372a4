"""The functions are those of SciPy, and the network tapers."""

import math

import numpy as np
import torch
from kernbench_hermite.kernel import Hermite
from kernbench_hermite.network import Tapered
from scipy.special import eval_hermite

import kernbench


def test_the_functions_are_scipys():
    spec = kernbench.KernelSpec(2, 3, kernel_size=65)
    module = Hermite(spec, order=8).double()
    lags = spec.grid(dtype=torch.float64).lags
    u = lags.numpy() / module.log_width.exp().item()
    for n, found in enumerate(module.atoms(lags).detach().numpy()):
        expected = eval_hermite(n, u) * np.exp(-(u**2) / 2) / math.sqrt(2.0**n * math.factorial(n))
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_each_layer_has_half_the_taps():
    layers = Tapered("tapered", depth=4, channels=8, kernel_size=65).layers(65, 8, 5)
    assert [each.kernel_size for each in layers] == [65, 33, 17, 9, 5]
