"""One deliberately broken family for each conformance check: that check alone must catch it, by name."""

import copy
import os
import tempfile
from typing import ClassVar

import torch

import kernbench


class Sound(kernbench.KernelModule):
    """The ten-line plugin of the documentation, without a closed form."""

    def __init__(self, spec, b=8.0):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.out_channels, spec.in_channels // spec.groups, 1))
        self.log_b = torch.nn.Parameter(torch.tensor(float(b)).log())

    def forward(self, grid):
        return self.weight * torch.exp(-grid.lags.abs() / self.log_b.exp())


def family(module, **more):
    """A family of that class, with the space of `Sound`."""
    space = {"b": kernbench.Float(1.0, 64.0, log=True, default=8.0)}
    return kernbench.KernelFamily("broken", module, space=space, **more)


class NoGroups(Sound):
    def __init__(self, spec, b=8.0):
        if spec.groups > 1:
            raise NotImplementedError("groups")
        super().__init__(spec, b)


class WithoutChannels(Sound):
    def forward(self, grid):
        return super().forward(grid)[0]


class DividesByTheLag(Sound):
    def forward(self, grid):
        return super().forward(grid) / grid.lags.abs()


class HalfInside(Sound):
    def forward(self, grid):
        return super().forward(grid).half().float()


class StartsAtZero(Sound):
    def forward(self, grid):
        return super().forward(grid) * 0


class KeepsItsFirstNorm(Sound):
    def forward(self, grid):
        if not hasattr(self, "norm"):
            self.register_buffer("norm", super().forward(grid).detach().norm())
        return super().forward(grid) / self.norm


class MovesToAnotherFolder(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        os.chdir(tempfile.gettempdir())


class Miscounted(Sound):
    @staticmethod
    def param_count(spec, b=8.0):
        return spec.pairs


class Unconnected(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.unused = torch.nn.Parameter(torch.ones(3))


class ScalesTwice(Sound):
    def scale_(self, factor):
        self.weight.mul_(factor**2)


class DrawsInForward(Sound):
    def forward(self, grid):
        return super().forward(grid) * torch.rand(())


class AlwaysSingle(Sound):
    def forward(self, grid):
        return super().forward(grid).float()


class PhaseIsNotStored(Sound):
    def __init__(self, spec, b=8.0):
        super().__init__(spec, b)
        self.phase = torch.rand(())  # neither a parameter nor a buffer

    def forward(self, grid):
        return super().forward(grid) * torch.cos(0.1 * grid.lags + self.phase)


class NeedsTheMiddle(Sound):
    def forward(self, grid):
        return super().forward(grid) + 0 * grid.lags[int(grid.origin)]


class CopiesShare(Sound):
    def __deepcopy__(self, memo):
        return copy.copy(self)


class RemembersItsKernel(Sound):
    made: ClassVar = {}  # of the class: no state of the module changes

    def forward(self, grid):
        if self.training:
            return super().forward(grid)
        return self.made.setdefault(id(self), super().forward(grid))


class PerTap(Sound):
    def forward(self, grid):
        return super().forward(grid) * grid.spacing


class CountsFromTheMiddle(Sound):
    def forward(self, grid):
        middle = (grid.lags[0] + grid.lags[-1]) / 2
        return self.weight * torch.exp(-(grid.lags - middle).abs() / self.log_b.exp())


def louder(sound):
    own = Sound(sound.spec)
    own.load_state_dict(dict(sound.named_parameters()), strict=False)
    own.weight.mul_(1.001)
    return own


class AlmostOffers(Sound):
    def contrain_(self):
        self.log_b.clamp_(0, 4)


class CountsHalfAnOperation(Sound):
    @staticmethod
    def kernel_flops(spec, b=8.0):
        return spec.kernel_size / 2


class MovesItsStart(Sound):
    def constrain_(self):
        self.log_b.clamp_(max=1)


class ForgetsAParameter(Sound):
    def param_groups(self):
        return [{"params": [self.weight]}]


class PenaltyOfNothing(Sound):
    def regularizers(self):
        return {"b": self.log_b.detach().square()}


class CutsToOneTap(Sound):
    def support(self, grid):
        return 0, 1


class OtherStates(Sound):
    def to_state_space(self):
        one = torch.ones(1, 1, dtype=torch.float64)
        weight = self.weight.double()
        return [(one, one, weight, weight[..., 0])] * (2 if self.spec.side == "centered" else 1)


class TakesAnything(Sound):
    def import_state(self, format_name, state):
        pass


BROKEN = {
    "build": family(NoGroups),
    "shape": family(WithoutChannels),
    "finite": family(DividesByTheLag),
    "precision": family(HalfInside),
    "alive": family(StartsAtZero),
    "stateless-forward": family(KeepsItsFirstNorm),
    "process": family(MovesToAnotherFolder),
    "param-count": family(Miscounted),
    "gradient": family(Unconnected),
    "gain": family(ScalesTwice),
    "determinism": family(DrawsInForward),
    "dtype": family(AlwaysSingle),
    "state-dict": family(PhaseIsNotStored),
    "every-k": family(NeedsTheMiddle),
    "deepcopy": family(CopiesShare),
    "cache": family(RemembersItsKernel),
    "resampling": family(PerTap),
    "sides": family(CountsFromTheMiddle),
    "inclusions": family(Sound, contains=(kernbench.Inclusion("sound", Sound, louder),)),
    "capabilities": family(AlmostOffers),
    "kernel-flops": family(CountsHalfAnOperation),
    "constrain": family(MovesItsStart),
    "param-groups": family(ForgetsAParameter),
    "regularizers": family(PenaltyOfNothing),
    "support": family(CutsToOneTap),
    "state-space": family(OtherStates),
    "import-state": family(TakesAnything),
}
