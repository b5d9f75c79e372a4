"""Fits of whole layers: exact where kernels are linear, better than the start elsewhere, bounds kept."""

import numpy as np
import pytest
import torch
from torch import nn

from kernbench.analysis.layer_fit import fit_layer
from kernbench.errors import KernbenchError


class Bank(nn.Module):
    """Mixed columns of a fixed matrix, a scale of no influence on the span, and a number that is not in the kernel."""

    def __init__(self, atoms):
        super().__init__()
        self.register_buffer("atoms", atoms)
        self.weight = nn.Parameter(torch.zeros(3, 2, len(atoms), dtype=torch.float64))
        self.bias = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self):
        return self.weight @ self.atoms


class Bell(nn.Module):
    """A Gaussian of one height and width for each kernel: linear in one, not in the other."""

    def __init__(self):
        super().__init__()
        self.height = nn.Parameter(torch.full((2, 1, 1), 0.1, dtype=torch.float64))
        self.width = nn.Parameter(torch.full((2, 1, 1), 4.0, dtype=torch.float64))

    def forward(self):
        return self.height * torch.exp(-((torch.arange(-10.0, 11.0, dtype=torch.float64) / self.width) ** 2))


def test_a_linear_layer_is_fitted_as_numpy_does():
    rng = np.random.default_rng(0)
    atoms, target = rng.normal(size=(5, 20)), rng.normal(size=(3, 2, 20))
    module = Bank(torch.from_numpy(atoms))
    error = fit_layer(module, ["weight"], torch.from_numpy(target))
    found, *_ = np.linalg.lstsq(atoms.T, target.reshape(6, 20).T, rcond=None)
    left = target.reshape(6, 20).T - atoms.T @ found
    assert error == pytest.approx(np.linalg.norm(left) / np.linalg.norm(target), rel=1e-9)
    # damped by 1e-3 of the largest singular value, which costs a millionth of it squared
    np.testing.assert_allclose(module.weight.detach().numpy().reshape(6, 5).T, found, rtol=1e-4, atol=1e-6)
    assert module.bias.tolist() == [1, 1, 1]


def test_other_parameters_are_found_by_adam_with_least_squares_for_the_rest():
    module = Bell()
    lags = torch.arange(-10.0, 11.0, dtype=torch.float64)
    target = torch.stack([3 * torch.exp(-((lags / 2.5) ** 2)), -torch.exp(-((lags / 6) ** 2))])[:, None]
    assert fit_layer(Bell(), ["height"], target) > 0.2  # at the widths of the start
    assert fit_layer(module, ["height", "width"], target) < 0.01
    assert module.width.detach().abs().flatten().tolist() == pytest.approx([2.5, 6], rel=0.02)


def test_bounds_are_kept():
    module = Bell()
    lags = torch.arange(-10.0, 11.0, dtype=torch.float64)
    target = torch.exp(-((lags / 1.0) ** 2)).expand(2, 1, -1)
    fit_layer(module, ["height", "width"], target, constrain=lambda here: here.width.clamp_(min=3))
    assert (module.width >= 3).all()


@pytest.mark.parametrize("target", [torch.zeros(2, 1, 21), torch.full((2, 1, 21), torch.nan), torch.ones(2, 21)])
def test_what_cannot_be_fitted_is_refused(target):
    with pytest.raises(KernbenchError, match=r"a target needs finite kernels of shape \(2, 1, 21\)"):
        fit_layer(Bell(), ["height"], target)
