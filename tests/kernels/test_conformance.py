"""The conformance checks name what is broken; broken plugins of many kinds."""

import pytest
import torch

import kernbench
from kernbench.kernels.checks import CHECKS
from kernbench.kernels.conformance import check_family


class Sound(kernbench.KernelModule):
    """The ten-line plugin of the documentation, without a closed form."""

    def __init__(self, spec, b=8.0):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.out_channels, spec.in_channels // spec.groups, 1))
        self.log_b = torch.nn.Parameter(torch.tensor(float(b)).log())

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.log_b.exp())


def check(module):
    space = {"b": kernbench.Float(1.0, 64.0, log=True, default=8.0)}
    return check_family(kernbench.KernelFamily("broken", module, space=space))


def failures(module):
    return [result.name for result in check(module) if not result.passed]


def test_the_documented_ten_lines_pass_every_check():
    results = check(Sound)
    assert [result.name for result in results] == list(CHECKS)
    assert all(result.passed for result in results), results


class WrongShape(Sound):
    def forward(self, grid):
        return super().forward(grid)[0]


class NotATensor(Sound):
    def forward(self, grid):
        return 0.0


class NotFinite(Sound):
    def forward(self, grid):
        return super().forward(grid) / grid.lags.abs()


class NotFiniteAtTheEdgeOfItsSpace(Sound):
    def forward(self, grid):
        return super().forward(grid) * torch.sqrt(60 - self.log_b.exp())


class Dead(Sound):
    def forward(self, grid):
        return super().forward(grid) * 0


class LazyBuffer(Sound):
    def forward(self, grid):
        if not hasattr(self, "norm"):
            self.register_buffer("norm", super().forward(grid).detach().norm())
        return super().forward(grid) / self.norm


class LazyAttribute(Sound):
    positions = None

    def forward(self, grid):
        if self.positions is None:
            self.positions = grid.lags
        return super().forward(grid)


class LazyParameter(Sound):
    def forward(self, grid):
        if not hasattr(self, "late"):
            self.late = torch.nn.Parameter(torch.ones(()))
        return super().forward(grid) * self.late


class MovesTheGrid(Sound):
    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs_() / self.log_b.exp())


class Unconnected(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.unused = torch.nn.Parameter(torch.ones(3))


class Miscounted(Sound):
    @staticmethod
    def param_count(spec, b=8.0):
        return spec.pairs


class RandomForward(Sound):
    def forward(self, grid):
        return super().forward(grid) * torch.rand(())


class OwnGenerator(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        generator = torch.Generator()
        generator.seed()
        self.weight.data.uniform_(-1, 1, generator=generator)


class HalfInside(Sound):
    def forward(self, grid):
        return super().forward(grid).half().float()


class Fixed32(Sound):
    def forward(self, grid):
        return super().forward(grid).float()


class NotStored(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.phase = torch.rand(())  # neither a parameter nor a buffer

    def forward(self, grid):
        return super().forward(grid) * torch.cos(grid.lags + self.phase)


class ForgetsItsHyperParameters(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec)
        self.b = b

    def forward(self, grid):
        return super().forward(grid) * torch.cos(grid.lags / self.b)

    def get_extra_state(self):
        return torch.zeros(1)

    def set_extra_state(self, state):
        pass


class OddOnly(Sound):
    def forward(self, grid):
        return super().forward(grid)[..., : grid.lags.numel() - (grid.origin is None)]


class FailsForEven(Sound):
    def forward(self, grid):
        return super().forward(grid) + 0 * grid.lags[int(grid.origin)]


class WrongScale(Sound):
    def scale_(self, factor):
        self.weight.mul_(factor**2)


class RaisesInInit(Sound):
    def __init__(self, spec, b=8.0):
        raise SystemError("no")


class ExitsInForward(Sound):
    def forward(self, grid):
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (WrongShape, "shape"),
        (NotATensor, "shape"),
        (NotFinite, "finite"),
        (NotFiniteAtTheEdgeOfItsSpace, "finite"),
        (Dead, "alive"),
        (LazyBuffer, "stateless-forward"),
        (LazyAttribute, "stateless-forward"),
        (LazyParameter, "stateless-forward"),
        (MovesTheGrid, "stateless-forward"),
        (RaisesInInit, "build"),
        (ExitsInForward, "shape"),
    ],
)
def test_an_essential_break_is_the_last_finding(module, name):
    assert failures(module) == [name]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (Unconnected, "gradient"),
        (Miscounted, "param-count"),
        (RandomForward, "determinism"),
        (OwnGenerator, "determinism"),
        (HalfInside, "precision"),
        (Fixed32, "dtype"),
        (NotStored, "state-dict"),
        (ForgetsItsHyperParameters, "state-dict"),
        (FailsForEven, "every-k"),
        (OddOnly, "every-k"),
        (WrongScale, "gain"),
    ],
)
def test_any_other_break_is_named(module, name):
    assert name in failures(module)


@pytest.mark.parametrize("module", [Unconnected, Miscounted, ForgetsItsHyperParameters, FailsForEven, OddOnly])
def test_one_break_gives_one_finding(module):
    assert len(failures(module)) == 1


def test_findings_are_one_line_and_leave_the_random_state_alone():
    before = torch.get_rng_state()
    for module in (WrongShape, RandomForward, ForgetsItsHyperParameters):
        assert all("\n" not in result.detail for result in check(module))
    assert torch.equal(before, torch.get_rng_state())
