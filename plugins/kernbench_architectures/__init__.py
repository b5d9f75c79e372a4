"""Networks beside the published ones, more ways to use a kernel than one layer after another, for every family."""

import kernbench
from kernbench_architectures.ckblock import CKBlocks
from kernbench_architectures.level_set import LevelSet
from kernbench_architectures.recurrent import Recurrent
from kernbench_architectures.strided import Strided
from kernbench_architectures.unet1d import UNet


@kernbench.hookimpl
def kernbench_networks() -> list[kernbench.Architecture]:
    return [
        CKBlocks(
            "ckblock",
            depth=2,
            channels=22,
            kernel_size=131,
            description="2 residual blocks of 2 layers, 22 channels: what the shallow network was simplified from",
            source="Romero et al. 2022, CKConv; Bai et al. 2018, TCN",
        ),
        LevelSet(
            "level_set",
            depth=2,
            channels=8,
            kernel_size=131,
            description="2 layers, 8 channels, 8 upwind steps of learned speed after each: a floor that can be read",
            source="Actor 2019, Rice University; Osher, Sethian 1988",
        ),
        Recurrent(
            "recurrent",
            depth=2,
            channels=22,
            kernel_size=65,
            description="2 recurrent layers, 22 channels, 3 steps each: a long view from kernels that are used again",
            source="Liang, Hu 2015, CVPR",
        ),
        Strided(
            "strided",
            depth=4,
            channels=22,
            kernel_size=65,
            description="encoder at half the rate, sub-pixel shuffle back: a long view at half the cost",
            source="Shi et al. 2016, CVPR (sub-pixel convolution)",
        ),
        UNet(
            "unet1d",
            depth=1,
            channels=22,
            kernel_size=17,
            description="three scales with skips; depth counts layers at each of the five places",
            source="Ronneberger et al. 2015, MICCAI (U-Net)",
        ),
    ]
