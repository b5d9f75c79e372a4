"""Kernels fitted to taps: the optimum of least squares, Adam beside it, starts that do not touch each other."""

import numpy as np
import pytest
import torch
from torch import nn

from kernbench.analysis import fit as fitting
from kernbench.analysis.fit import ADAM, BOTH, LEAST_SQUARES, fit, linear_parameters
from kernbench.errors import KernbenchError

TAPS = 21
LAGS = torch.linspace(-1, 1, TAPS, dtype=torch.float64)


class Bumps(nn.Module):
    """Gaussians at learned places with learned weights, and a constant: weights are linear, places are not."""

    def __init__(self, seed=0, count=3, gain=False):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        away = 0.05 * torch.randn(count, generator=generator, dtype=torch.float64)
        self.place = nn.Parameter(torch.linspace(-0.8, 0.8, count, dtype=torch.float64) + away)
        self.weight = nn.Parameter(torch.randn(count + 1, generator=generator, dtype=torch.float64))
        self.gain = nn.Parameter(torch.ones((), dtype=torch.float64)) if gain else 1.0

    def forward(self):
        bumps = torch.exp(-20 * (LAGS - self.place[:, None]).square())
        return self.gain * (self.weight[:-1] @ bumps + self.weight[-1])


class Itself(nn.Module):
    """The kernel is the parameter, the very tensor."""

    def __init__(self, trains=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(TAPS, dtype=torch.float64))
        self.fixed = nn.Parameter(torch.ones(TAPS, dtype=torch.float64), requires_grad=trains)

    def forward(self):
        return self.weight


class Boxed(Bumps):
    """Weights may not be above 0.1, as a family may want it."""

    def put_back(self):
        with torch.no_grad():
            self.weight.clamp_(max=0.1)


class Unbatched(Bumps):
    """What torch cannot batch: a value of a tensor decides."""

    def forward(self):
        return super().forward() if float(self.place.detach()[0]) < 9 else self.weight


def target(seed=1):
    return np.random.default_rng(seed).standard_normal(TAPS)


def relative(module, wanted):
    return np.linalg.norm(module().detach().numpy() - wanted) / np.linalg.norm(wanted)


def test_a_linear_kernel_reaches_the_optimum_of_least_squares():
    module, wanted = Bumps(), target()
    module.place.requires_grad_(False)
    atoms = np.concatenate([np.exp(-20 * (LAGS.numpy() - module.place.numpy()[:, None]) ** 2), np.ones((1, TAPS))])
    best = atoms.T @ np.linalg.lstsq(atoms.T, wanted, rcond=None)[0]
    (found,) = fit([module], [wanted])
    assert found.method == LEAST_SQUARES
    assert found.error == pytest.approx(np.linalg.norm(best - wanted) / np.linalg.norm(wanted), rel=1e-12)
    assert module().detach().numpy() == pytest.approx(best, abs=1e-12)


def test_free_taps_are_met_exactly_though_the_kernel_is_the_parameter_itself():
    module, wanted = Itself(), target()
    (found,) = fit([module], [wanted])
    assert found.error < 1e-14
    assert found.method == LEAST_SQUARES


def test_a_kernel_without_trainable_numbers_is_compared_as_it_is():
    module, wanted = Bumps(), target()
    module.requires_grad_(False)
    (found,) = fit([module], [wanted])
    assert found.error == pytest.approx(relative(module, wanted), rel=1e-12)


def test_what_is_linear_is_found_and_left_as_it_was():
    module = Bumps(gain=True)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    assert linear_parameters(module) == ["weight"]  # the gain would make a product with it
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert linear_parameters(Itself(trains=False)) == ["weight"]


def test_a_kernel_of_the_same_form_is_found_from_another_start():
    wanted, module = Bumps(seed=5)().detach().numpy(), Bumps(seed=6)
    (found,) = fit([module], [wanted], steps=400)
    assert found.method == BOTH
    assert found.error < 1e-3
    assert found.error == pytest.approx(relative(module, wanted), rel=1e-9)


def test_least_squares_alone_is_worse_than_with_adam():
    (without,), (found,) = fit([Bumps()], [target()], steps=0), fit([Bumps()], [target()], steps=200)
    assert found.error < 0.99 * without.error


def test_without_a_linear_part_adam_fits_all():
    class Curved(nn.Module):
        def __init__(self):
            super().__init__()
            self.place = nn.Parameter(torch.tensor([0.3], dtype=torch.float64))

        def forward(self):
            return torch.exp(-5 * (LAGS - self.place).square())

    module = Curved()
    (found,) = fit([module], [np.exp(-5 * (LAGS.numpy() - 0.5) ** 2)], steps=300)
    assert found.method == ADAM
    assert module.place.item() == pytest.approx(0.5, abs=1e-3)
    assert found.error < 1e-3


@pytest.mark.parametrize("kind", [Bumps, Unbatched, Boxed])
def test_starts_fitted_together_are_fitted_as_each_alone(kind):
    wanted = [target(1), target(2), target(1)]
    boxed = Boxed.put_back if kind is Boxed else None
    together = fit([kind(seed) for seed in (0, 1, 2)], wanted, 50, boxed)
    alone = [fit([kind(seed)], [each], 50, boxed)[0] for seed, each in enumerate(wanted)]
    assert [each.error for each in together] == pytest.approx([each.error for each in alone], rel=1e-9)
    assert len({each.error for each in together}) == 3


def test_what_torch_can_batch_is_batched_and_the_rest_is_not():
    assert fitting._together([Bumps(), Bumps(1)]).__name__ == "batched"
    assert fitting._together([Unbatched(), Unbatched(1)]).__name__ == "in_turn"


def test_modules_that_differ_in_more_than_tensors_are_called_one_after_the_other():
    first, second = Bumps(), Bumps(1)
    second.gain = 2.0
    kernels = fitting._together([first, second])
    state, _ = torch.func.stack_module_state([first, second])
    assert torch.equal(kernels(state), torch.stack([first(), second()]))


def test_a_family_keeps_its_parameters_where_they_may_be():
    module, wanted = Boxed(), np.abs(target())
    (found,) = fit([module], [wanted], 50, Boxed.put_back)
    assert module.weight.max() <= 0.1
    assert found.error == pytest.approx(relative(module, wanted), rel=1e-12)


def test_the_same_start_gives_the_same_bits():
    first, second = (fit([Bumps(seed) for seed in range(2)], [target()] * 2, steps=40) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (np.ones(TAPS - 1), r"shape of the kernel, \(21,\), got \(20,\)"),
        (np.zeros(TAPS), "finite taps that are not all zero"),
        (np.full(TAPS, np.nan), "finite taps that are not all zero"),
    ],
)
def test_a_target_that_cannot_be_fitted_is_refused(wanted, said):
    with pytest.raises(KernbenchError, match=said):
        fit([Bumps()], [wanted])
