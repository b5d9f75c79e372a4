"""Implicit kernels: small networks of the lag."""

import kernbench

_ANTI_ALIAS = kernbench.Float(
    0.0, 1.0, default=0.0, doc="weight of gabor_mfn's penalty on frequencies above half a cycle per tap; published 0.1"
)
_HIDDEN = kernbench.Int(4, 128, log=True, default=32, budget=True, doc="width of the hidden layers")
_OMEGA = kernbench.Float(
    1.0, 200.0, log=True, default=30.0, unit="rad per extent", doc="highest frequency of the first layer"
)
_SIREN = "siren", "kernbench_siren.kernel:Siren"


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [*_sines(), *_others()]


def _sines() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "finer",
            "kernbench_implicit.sines:Finer",
            space={
                "omega_0": _OMEGA,
                "hidden": _HIDDEN,
                "bias": kernbench.Float(0.1, 5.0, log=True, default=1.0, doc="bound of the first layer's biases"),
            },
            description="sine network whose frequencies grow with the pre-activation",
            citation="Liu et al. 2024, FINER, CVPR",
        ),
        kernbench.KernelFamily(
            "wire",
            "kernbench_implicit.sines:Wire",
            space={
                "omega_0": kernbench.Float(
                    1.0, 200.0, log=True, default=20.0, unit="rad per extent", doc="frequency of the waves"
                ),
                "hidden": _HIDDEN,
                "sharpness": kernbench.Float(0.5, 40.0, log=True, default=5.0, doc="of the Gaussian envelope"),
            },
            description="network with complex Gabor waves as activations",
            citation="Saragadam et al. 2023, WIRE, CVPR",
        ),
        kernbench.KernelFamily(
            "winner",
            "kernbench_implicit.sines:Winner",
            space={
                "omega_0": _OMEGA,
                "hidden": _HIDDEN,
                "noise": kernbench.Float(0.0, 10.0, default=1.0, doc="on the first weights, over their bound"),
            },
            description="sine network that starts with noise on the weights of its first two layers",
            citation="Chandravamsi et al. 2025, WINNER",
            contains=(kernbench.Inclusion(*_SIREN, "kernbench_implicit.nested:winner_of_siren"),),
        ),
        kernbench.KernelFamily(
            "siren_multi",
            "kernbench_implicit.sines:MultiSine",
            space={
                "lowest": kernbench.Float(
                    0.1, 10.0, log=True, default=1.0, unit="cycles per extent", doc="first block"
                ),
                "highest": kernbench.Float(
                    1.0, 100.0, log=True, default=12.0, unit="cycles per extent", doc="last one"
                ),
                "blocks": kernbench.Int(1, 16, default=8, doc="frequencies"),
                "hidden": _HIDDEN,
                "learned": kernbench.Choice((False, True), doc="a factor of every row's frequency learns"),
            },
            description="sine network with several frequencies in its first layer",
            citation="nvSubquadratic, NVIDIA 2025",
            licence="Apache-2.0",
            contains=(kernbench.Inclusion(*_SIREN, "kernbench_implicit.nested:siren_multi_of_siren"),),
        ),
    ]


def _others() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "rff",
            "kernbench_implicit.features:RandomFourier",
            space={
                "bandwidth": kernbench.Float(
                    0.5, 60.0, log=True, default=4.0, unit="cycles per extent", doc="deviation of the frequencies"
                ),
                "features": kernbench.Int(8, 128, log=True, default=32, budget=True, doc="and width; odd ones less 1"),
                "learned": kernbench.Choice((False, True), doc="frequencies and phases learn"),
            },
            description="ReLU network of random Fourier features",
            citation="Tancik et al. 2020, Fourier Features, NeurIPS",
            licence="MIT",
        ),
        kernbench.KernelFamily(
            "hyena",
            "kernbench_implicit.features:Hyena",
            space={
                "bands": kernbench.Int(1, 8, default=4, doc="waves of the lag that the network is given"),
                "hidden": _HIDDEN,
                "frequency": kernbench.Float(1.0, 14.0, default=5.0, doc="of the sines at the start"),
                "shift": kernbench.Float(0.0, 0.5, default=0.05, doc="what the window keeps at the far end"),
            },
            description="windowed sine network of each side of lag 0 (Hyena)",
            citation="Poli et al. 2023, Hyena Hierarchy, ICML",
            licence="Apache-2.0",
        ),
        kernbench.KernelFamily(
            "tnn",
            "kernbench_implicit.features:DecayedToeplitz",
            space={
                "gamma": kernbench.Float(0.9, 1.0, default=0.99, doc="decay from tap to tap"),
                "hidden": _HIDDEN,
            },
            description="ReLU network of the lag under an exponential decay (Toeplitz neural network)",
            citation="Qin et al. 2023, Toeplitz Neural Network, ICLR",
        ),
        kernbench.KernelFamily(
            "gabor_mfn",
            "kernbench_implicit.multiplicative:GaborNetwork",
            space={
                "hidden": _HIDDEN,
                "layers": kernbench.Int(1, 4, default=3, doc="products"),
                "scale": kernbench.Float(1.0, 100.0, log=True, default=25.6, doc="of the frequencies at the start"),
                "anti_alias": _ANTI_ALIAS,
            },
            description="products of Gabor waves (MAGNet)",
            citation="Romero et al. 2022, FlexConv, ICLR; Fathony et al. 2021, Multiplicative Filter Networks, ICLR",
            licence="MIT (FlexConv), AGPL-3.0 (MFN); written from the papers",
        ),
        kernbench.KernelFamily(
            "masked",
            "kernbench_implicit.multiplicative:Masked",
            space={
                "inner": kernbench.Choice(("gabor_mfn", "siren", "rff"), doc="network under the mask"),
                "hidden": _HIDDEN,
                "width": kernbench.Float(0.1, 2.0, log=True, default=0.4, unit="extent", doc="at the start"),
                "place": kernbench.Float(-0.8, 0.8, default=0.0, unit="extent", doc="at the start"),
                "anti_alias": _ANTI_ALIAS,
            },
            description="learned Gaussian mask over a network (FlexConv)",
            citation="Romero et al. 2022, FlexConv, ICLR",
            licence="MIT",
            contains=(
                kernbench.Inclusion(
                    "gabor_mfn",
                    "kernbench_implicit.multiplicative:GaborNetwork",
                    "kernbench_implicit.nested:masked_of_gabor_mfn",
                ),
            ),
        ),
        kernbench.KernelFamily(
            "fourier_kan",
            "kernbench_implicit.multiplicative:FourierKan",
            space={
                "harmonics": kernbench.Int(1, 32, log=True, default=8, budget=True, doc="of the first layer's edges"),
                "hidden": kernbench.Int(2, 64, log=True, default=16, budget=True, doc="sums between the layers"),
                "inner": kernbench.Int(1, 8, default=2, doc="harmonics of the second layer's edges"),
            },
            description="two layers whose edges are Fourier series (Kolmogorov-Arnold network)",
            citation="Xu et al. 2024, FourierKAN",
        ),
    ]
