"""Networks beside the published ones, for kernels of any family."""

import kernbench
from kernbench_architectures.strided import Strided
from kernbench_architectures.unet1d import UNet


@kernbench.hookimpl
def kernbench_networks() -> list[kernbench.Architecture]:
    return [
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
