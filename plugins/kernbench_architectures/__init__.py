"""Networks `ckblock`, `level_set`, `recurrent`: more ways to use a kernel than one layer after another."""

import kernbench
from kernbench_architectures.ckblock import CKBlocks
from kernbench_architectures.level_set import LevelSet
from kernbench_architectures.recurrent import Recurrent


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
    ]
