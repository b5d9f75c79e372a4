"""The checks of `kernbench check` name what is wrong with a capability; a family that offers it rightly passes."""

import pytest
import torch

import kernbench
from kernbench.kernels.capability_checks import CAPABILITY_CHECKS
from kernbench.kernels.conformance import check_family


class Sound(kernbench.KernelModule):
    """One mode exp(-|lag| / b) of each side, that offers everything."""

    threshold = 0.2

    def __init__(self, spec, pull=0.1):
        super().__init__(spec)
        self.pull = pull
        self.weight = torch.nn.Parameter(1 + torch.rand(spec.out_channels, spec.in_channels // spec.groups, 1))
        self.slope = torch.nn.Parameter(torch.full((1,), 0.5))

    def forward(self, grid):
        return self.unmasked(grid) * (grid.lags.abs() < 40)

    def unmasked(self, grid):
        return self.weight * torch.exp(-self.slope.abs() * grid.lags.abs())

    def constrain_(self):
        self.slope.clamp_(0.1, 1.0)

    def scale_(self, factor):
        self.weight.mul_(factor)

    def param_groups(self):
        return [{"params": [self.weight]}, {"params": [self.slope], "lr_mult": 0.1}]

    def regularizers(self):
        return {"pull": (self.slope - 1).square().sum()}

    def support(self, grid):
        return 0, len(grid.lags)

    def to_state_space(self):
        grid, step = self.spec.grid(dtype=self.weight.dtype), self.spec.dilation
        turn = torch.exp(-self.slope.abs() * step)
        a, b, c = turn[:, None], torch.ones_like(turn)[:, None], self.weight
        starts = {"centered": (step / 2,) * 2 if grid.origin is None else (0.0, step)}.get(self.spec.side, (0.0,))
        return [
            (a, b, c * torch.exp(-self.slope.abs() * (first + step)), c[..., 0] * torch.exp(-self.slope.abs() * first))
            for first in starts
        ]

    def import_state(self, format_name, state):
        raise kernbench.KernbenchError(f"expected none, got {format_name!r}")

    @staticmethod
    def param_count(spec, pull=0.1):
        return spec.pairs + 1

    @staticmethod
    def kernel_flops(spec, pull=0.1):
        return 3 * spec.pairs * spec.kernel_size


def check(module):
    space = {"pull": kernbench.Float(0.0, 1.0, default=0.1)}
    return {result.name: result for result in check_family(kernbench.KernelFamily("broken", module, space=space))}


def test_a_family_that_offers_all_of_it_rightly_passes():
    results = check(Sound)
    assert not [result for result in results.values() if not result.passed]
    assert results["capabilities"].detail.split(", ") == list(kernbench.kernels.capabilities.CAPABILITIES)
    assert not [name for name in CAPABILITY_CHECKS if results[name].detail == "not offered"]


def test_a_family_that_offers_nothing_passes():
    class Bare(kernbench.KernelModule):
        def __init__(self, spec, pull=0.1):
            super().__init__(spec)
            self.weight = torch.nn.Parameter(torch.rand(spec.out_channels, spec.in_channels // spec.groups, 1))

        def forward(self, grid):
            return self.weight * torch.exp(-grid.lags.abs())

    results = check(Bare)
    assert results["capabilities"].detail == "none"
    others = [results[name] for name in CAPABILITY_CHECKS if name != "capabilities"]
    assert {(each.state, each.detail) for each in others} == {("none", "not offered")}
    assert all(each.passed and not each.failed for each in others)


class NearMiss(Sound):
    def regulariser(self):
        return {}


class NoMethod(Sound):
    scale_ = 3.0


class HalfFlops(Sound):
    @staticmethod
    def kernel_flops(spec, pull=0.1):
        return 0.5


class MovesTheStart(Sound):
    def constrain_(self):
        self.slope.clamp_(0.6, 1.0)


class NotIdempotent(Sound):
    def constrain_(self):
        self.slope.copy_(torch.where(self.slope > 1, self.slope / 2, self.slope))


class Forgotten(Sound):
    def param_groups(self):
        return [{"params": [self.weight]}]


class Repeated(Sound):
    def param_groups(self):
        return [{"params": [self.weight, self.slope]}, {"params": [self.slope]}]


class WithoutGradient(Sound):
    def regularizers(self):
        return {"pull": self.slope.detach().sum()}


class NotFinite(Sound):
    def regularizers(self):
        return {"pull": self.slope.sum() / 0}


class WithoutWeight(Sound):
    def regularizers(self):
        return {"push": self.slope.sum()}


class CutsTooMuch(Sound):
    def support(self, grid):
        return len(grid.lags) // 2, len(grid.lags) // 2 + 1


class CutsAll(Sound):
    def support(self, grid):
        return 3, 3


class OneSystem(Sound):
    def to_state_space(self):
        return super().to_state_space()[:1]


class OneMore(Sound):
    def to_state_space(self):
        systems = super().to_state_space()
        return [systems[0]] * 2 if self.spec.side == "causal" else systems


class WrongSystem(Sound):
    def to_state_space(self):
        return [(a, b, 1.001 * c, d) for a, b, c, d in super().to_state_space()]


class TakesAnyFormat(Sound):
    def import_state(self, format_name, state):
        pass


class HalfWritten(Sound):
    def import_state(self, format_name, state):
        with torch.no_grad():
            self.weight.zero_()
        raise kernbench.KernbenchError("no")


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        (NearMiss, "capabilities", "never calls regulariser; did you mean 'regularizers'"),
        (NoMethod, "capabilities", "scale_ must be a method"),
        (HalfFlops, "kernel-flops", "a whole number >= 0, got 0.5"),
        (MovesTheStart, "constrain", "constrain_ changes slope at the start"),
        (NotIdempotent, "constrain", "twice changes slope again"),
        (Forgotten, "param-groups", "exactly once, got slope 0 times"),
        (Repeated, "param-groups", "exactly once, got slope 2 times"),
        (WithoutGradient, "regularizers", "'pull' has no gradient"),
        (NotFinite, "regularizers", "'pull' is inf"),
        (WithoutWeight, "regularizers", "a hyper-parameter 'push'"),
        (CutsTooMuch, "support", "an output changes by up to"),
        (CutsAll, "support", "whole numbers 0 <= lo < hi <= 17, got 3, 3"),
        (OneSystem, "state-space", "of a centered kernel (lags >= 0, then lags < 0) expected 2 systems, got 1"),
        (OneMore, "state-space", "causal: of a causal kernel (lags <= 0) expected 1 system, got 2"),
        (WrongSystem, "state-space", "the system of lags >= 0 misses the taps by"),
        (TakesAnyFormat, "import-state", "must refuse an unknown format"),
        (HalfWritten, "import-state", "refused changes weight"),
    ],
)
def test_a_break_is_named_by_the_check_of_its_capability(module, name, said):
    results = check(module)
    assert not results[name].passed
    assert said in results[name].detail
    assert "\n" not in results[name].detail
    assert [each for each in CAPABILITY_CHECKS if not results[each].passed] == [name]


def test_the_command_names_the_near_miss(bench):
    (bench.folder / "mine.py").write_text(
        "import torch, kernbench\n\n\nclass Mine(kernbench.KernelModule):\n"
        "    def __init__(self, spec):\n        super().__init__(spec)\n"
        "        self.weight = torch.nn.Parameter(torch.ones(*spec.shape[:2], 1))\n\n"
        "    def forward(self, grid):\n        return self.weight * torch.exp(-grid.lags.abs())\n\n"
        "    def contrain_(self):\n        pass\n\n\n@kernbench.hookimpl\ndef kernbench_kernels():\n"
        "    return [kernbench.KernelFamily('mine', Mine)]\n",
        encoding="utf-8",
    )
    ended = bench.run("check", "./mine.py:mine")
    assert ended.code == 2
    assert "FAIL  capabilities" in ended.out
    assert "never calls contrain_; did you mean 'constrain_'?" in ended.out
    assert ended.err.strip() == f"./mine.py:mine: 1 of {ended.out.count(chr(10))} checks failed: capabilities"


def test_a_run_refuses_groups_that_leave_a_parameter_out_before_it_writes_anything(bench):
    (bench.folder / "mine.py").write_text(
        "import torch, kernbench\n\n\nclass Mine(kernbench.KernelModule):\n"
        "    def __init__(self, spec):\n        super().__init__(spec)\n"
        "        self.weight = torch.nn.Parameter(torch.ones(*spec.shape[:2], 1))\n\n"
        "    def forward(self, grid):\n        return self.weight * torch.exp(-grid.lags.abs())\n\n"
        "    def param_groups(self):\n        return []\n\n\n@kernbench.hookimpl\ndef kernbench_kernels():\n"
        "    return [kernbench.KernelFamily('mine', Mine)]\n",
        encoding="utf-8",
    )
    ended = bench.run("run", "--plugin", "./mine.py:mine", "--study", "smoke", "--profile", "quick")
    assert ended.code == 2, ended
    assert ended.err.count("\n") == 1
    assert "param_groups() must have every trainable parameter exactly once, got weight 0 times" in ended.err
    assert bench.files() == ["mine.py"]
