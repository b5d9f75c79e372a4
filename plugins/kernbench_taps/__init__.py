"""Free taps with something shared or held back: places, thresholds, decays, scales."""

import kernbench

_DISCRETE = "discrete", "kernbench_discrete.kernel:Discrete"


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "dcls",
            "kernbench_taps.spacings:LearnableSpacings",
            space={
                "taps": kernbench.Int(1, 128, log=True, default=8, budget=True, doc="taps of every channel pair"),
                "version": kernbench.Choice(("gauss", "v1", "max"), doc="shape around a place between two taps"),
            },
            description="a few taps at learned places (dilated convolution with learnable spacings)",
            citation="Khalfaoui-Hassani et al. 2023, DCLS, ICLR; Beyond Bilinear Interpolation",
            licence="MIT (file) and GPL-3.0 (classifier); written from the papers",
            contains=(kernbench.Inclusion(*_DISCRETE, "kernbench_taps.nested:dcls_of_discrete", tolerance=1e-6),),
        ),
        kernbench.KernelFamily(
            "longconv",
            "kernbench_taps.free:LongConvolution",
            space={
                "shrink": kernbench.Float(0.1, 2.0, default=0.5, doc="threshold over the start's standard deviation"),
                "smooth": kernbench.Choice((False, True), doc="average over 7 taps before the threshold"),
            },
            description="one free weight per tap, small ones set to 0",
            citation="Fu et al. 2023, Simple Hardware-Efficient Long Convolutions, ICML",
            licence="Apache-2.0",
        ),
        kernbench.KernelFamily(
            "decay",
            "kernbench_taps.free:Decay",
            space={"strength": kernbench.Float(0.0, 20.0, default=3.0, doc="decay over the extent; 0: discrete")},
            description="one free weight per tap under a decay that differs between channels",
            citation="Ku et al. 2025, multi-hybrid language models (Hyena-MR)",
            contains=(kernbench.Inclusion(*_DISCRETE, "kernbench_taps.nested:decay_of_discrete"),),
        ),
        kernbench.KernelFamily(
            "sgconv",
            "kernbench_taps.scales:MultiScale",
            space={
                "points": kernbench.Int(4, 64, log=True, default=16, budget=True, doc="of every scale"),
                "decay": kernbench.Float(1.2, 4.0, default=2.0, doc="from one scale to the next"),
            },
            description="vectors stretched twice as far and made smaller with each scale (SGConv)",
            citation="Li et al. 2023, What Makes Convolutional Models Great on Long Sequence Modeling?, ICLR",
            licence="none; written from the paper",
        ),
        kernbench.KernelFamily(
            "multires",
            "kernbench_taps.scales:MultiResolution",
            space={"taps": kernbench.Int(3, 65, log=True, default=9, budget=True, doc="of every group")},
            description="groups of free taps whose step doubles from group to group (MRConv without its norms)",
            citation="Cunningham et al. 2024, Reparameterized Multi-Resolution Convolutions, NeurIPS",
            contains=(kernbench.Inclusion(*_DISCRETE, "kernbench_taps.nested:multires_of_discrete"),),
        ),
        kernbench.KernelFamily(
            "wavelet_tree",
            "kernbench_taps.scales:WaveletTree",
            space={"taps": kernbench.Int(2, 16, default=4, budget=True, doc="of each of the two filters")},
            description="responses of a tree of two learned filters (MultiresConv)",
            citation="Shi et al. 2023, Sequence Modeling with Multiresolution Convolutional Memory, ICML",
            licence="MIT",
        ),
    ]
