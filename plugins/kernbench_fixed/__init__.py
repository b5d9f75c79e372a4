"""Kernel families `gaussian`, `laplacian` and `log`: textbook shapes at fixed places, mixed by learned weights."""

import kernbench

_SPACE: dict[str, kernbench.Float | kernbench.Int | kernbench.Choice] = {
    "scales": kernbench.Int(1, 8, default=4, budget=True, doc="widths, log-spaced from one tap step to extent / 3"),
    "centres": kernbench.Int(
        1, 64, log=True, default=8, budget=True, doc="places for each width, spread evenly over the grid; 1: lag 0 only"
    ),
    "learn_width": kernbench.Choice((False, True), doc="train the widths too, one per scale and layer"),
}


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "gaussian",
            "kernbench_fixed.families:Gaussian",
            space=_SPACE,
            description="mixture of Gaussians exp(-m^2 / 2 sigma^2) of several widths and places",
            citation="Lindeberg 1994, Scale-Space Theory in Computer Vision",
        ),
        kernbench.KernelFamily(
            "laplacian",
            "kernbench_fixed.families:Laplacian",
            space=_SPACE,
            description="mixture of double exponentials exp(-|m| / b) of several widths and places",
            citation="First-order recursive smoothing, forward and backward",
        ),
        kernbench.KernelFamily(
            "log",
            "kernbench_fixed.families:LaplacianOfGaussian",
            space=_SPACE,
            description="mixture of Laplacians of Gaussians (Ricker wavelets) of several widths and places",
            citation="Marr and Hildreth 1980, Theory of Edge Detection",
        ),
    ]
