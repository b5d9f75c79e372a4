"""The checks of how a kernel depends on its lags name what is broken, and advise what can be the cause."""

import pytest
import torch
from broken_families import PerTap, Sound, family

import kernbench
from kernbench.kernels.checks import CHECKS
from kernbench.kernels.conformance import check_family
from kernbench.kernels.finding import Finding


class OnlyItsOwnLags(Sound):
    """Refuses others in words; the layer does it for a family that returns its own K taps, as `OneGridForAll`."""

    def forward(self, grid):
        if len(grid.lags) != self.spec.kernel_size:
            raise kernbench.KernbenchError("no other lags")
        return super().forward(grid)


class OneGridForAll(Sound):
    def forward(self, grid):
        own = self.spec.grid(dtype=grid.lags.dtype).lags
        return self.weight * torch.exp(-own.abs() / self.log_b.exp())


class CountsItsTaps(Sound):
    """Reads no lag, and makes as many taps as `spec` says."""

    def forward(self, grid):
        t = torch.arange(self.spec.kernel_size, dtype=grid.lags.dtype) - self.spec.kernel_size // 2
        return self.weight * torch.exp(-t.abs() / self.log_b.exp())


class CountsTheLags(Sound):
    """Reads no lag, but how many there are."""

    def forward(self, grid):
        t = torch.arange(len(grid.lags), dtype=grid.lags.dtype) - len(grid.lags) // 2
        return self.weight * torch.exp(-t.abs() / self.log_b.exp())


class FreeTaps(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))

    def forward(self, grid):
        return self.weight / self.log_b.exp()


class WeightedLags(FreeTaps):
    """A weight for each lag of training: of others torch says that shapes do not fit."""

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.log_b.exp())


class ComplainsOfOtherLags(Sound):
    def forward(self, grid):
        if len(grid.lags) > 17:
            raise ValueError("too many")
        return super().forward(grid)


class NaNBetweenItsTaps(Sound):
    def forward(self, grid):
        return torch.where((grid.lags - grid.lags[0]) % 1 == 0, super().forward(grid), torch.nan)


class NotAnticausal(Sound):
    def __init__(self, spec, b=8.0):
        if spec.side == "anticausal":
            raise kernbench.KernbenchError("no lags after 0")
        super().__init__(spec, b)


class ZeroAfterTheOutput(Sound):
    def forward(self, grid):
        return super().forward(grid) * (grid.lags < 0)


class Averages(Sound):
    """Taps are averages of cos(lag / b) over the step that begins at the lag."""

    def forward(self, grid):
        step, b = grid.spacing * grid.dilation, self.log_b.exp()
        return self.weight * b / step * (torch.sin((grid.lags + step) / b) - torch.sin(grid.lags / b))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (OnlyItsOwnLags, "resampling"),
        (OneGridForAll, "resampling"),
        (CountsItsTaps, "resampling"),
        (CountsTheLags, "resampling"),
        (FreeTaps, "resampling"),
        (WeightedLags, "resampling"),
        (ComplainsOfOtherLags, "resampling"),
        (Averages, "resampling"),
        (NaNBetweenItsTaps, "resampling"),
        (NotAnticausal, "sides"),
        (ZeroAfterTheOutput, "sides"),
    ],
)
def test_a_break_is_named_by_one_check_alone(module, name):
    assert [result.name for result in check_family(family(module)) if result.failed] == [name]


@pytest.mark.parametrize(
    ("module", "rule"), [(OnlyItsOwnLags, "none"), (FreeTaps, "none"), (Averages, "integrals"), (Sound, "points")]
)
def test_a_family_declares_what_lies_between_its_taps(module, rule):
    check = CHECKS["resampling"]
    assert check(family(module, resampling=rule)).partition(":")[0] in (rule, "nothing between its taps")
    for other in {"none", "integrals", "points"} - {rule}:
        with pytest.raises(Finding, match=r'resampling="(none|integrals)"'):
            check(family(module, resampling=other))


DECLARES_NONE = 'declare resampling="none"'


@pytest.mark.parametrize(
    ("module", "said", "may_declare_none"),
    [
        (CountsItsTaps, "whatever the lags; use grid.lags", False),
        (CountsTheLags, "whatever the lags; use grid.lags", False),
        (OneGridForAll, "whatever the lags; use grid.lags", False),
        (FreeTaps, "whatever the lags; use grid.lags", True),
        (OnlyItsOwnLags, "no other lags", True),
        (WeightedLags, "RuntimeError: The size of tensor", False),
        (ComplainsOfOtherLags, "ValueError: too many", False),
        (PerTap, "differ", False),
    ],
)
@pytest.mark.parametrize("rule", ["points", "integrals"])
def test_no_kernel_that_should_read_its_lags_is_advised_to_declare_none(module, said, may_declare_none, rule):
    with pytest.raises(Finding) as found:
        CHECKS["resampling"](family(module, resampling=rule))
    assert said in str(found.value)
    assert (DECLARES_NONE in str(found.value)) == may_declare_none


def test_a_kernel_that_fails_on_other_lags_does_not_refuse_them():
    with pytest.raises(Finding, match=r"fails on a finer grid: RuntimeError: .*raise kernbench\.KernbenchError"):
        CHECKS["resampling"](family(WeightedLags, resampling="none"))


@pytest.mark.parametrize("module", [FreeTaps, CountsItsTaps])
def test_taps_that_are_the_same_on_every_side_are_a_note(module):
    results = {result.name: result for result in check_family(family(module, resampling="none"))}
    assert {name for name, result in results.items() if result.state not in ("ok", "none")} == {"sides"}
    assert results["sides"].state == "note"
    assert "taps do not depend on the lags" in results["sides"].detail
    assert "must use grid.lags" in results["sides"].detail


def test_a_kernel_of_its_own_lags_that_refuses_others_is_no_note():
    assert CHECKS["sides"](family(OnlyItsOwnLags, resampling="none")).endswith("at their own lags")


def test_a_rule_that_is_none_of_them_is_refused_where_it_is_declared():
    with pytest.raises(kernbench.KernbenchError, match="one of points, integrals, none, got 'linear'"):
        family(Sound, resampling="linear")
