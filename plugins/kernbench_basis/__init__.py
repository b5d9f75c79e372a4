"""Linear bases: fixed functions of the lag, mixed by learned weights."""

import kernbench

_DISCRETE = "discrete", "kernbench_discrete.kernel:Discrete"
_KNOTS = kernbench.Int(2, 512, log=True, default=16, budget=True, doc="places, spread evenly over the taps")
_WINDOW = kernbench.Choice(("hann", "none"), doc="window over the taps; without one the ends dominate")


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "legendre",
            "kernbench_basis.polynomials:Legendre",
            space={
                "order": kernbench.Int(1, 24, default=12, budget=True, doc="highest degree; at most 2 sqrt(K) - 1"),
                "window": _WINDOW,
            },
            description="Legendre polynomials under a window, orthonormal on the taps",
            citation="Gu et al. 2020, HiPPO, NeurIPS, for the causal relative",
        ),
        kernbench.KernelFamily(
            "chebyshev",
            "kernbench_basis.polynomials:Chebyshev",
            space={
                "order": kernbench.Int(1, 24, default=12, budget=True, doc="highest degree; at most 2 sqrt(K) - 1"),
                "window": _WINDOW,
            },
            description="Chebyshev polynomials under a window, orthonormal on the taps",
            citation="Mason and Handscomb 2002, Chebyshev Polynomials",
        ),
        kernbench.KernelFamily(
            "bspline",
            "kernbench_basis.compact:BSpline",
            space={"knots": _KNOTS, "degree": kernbench.Int(1, 3, default=3, doc="1: straight lines between knots")},
            description="cardinal B-splines at even knots",
            citation="Bekkers 2020, B-Spline CNNs on Lie Groups, ICLR",
            licence="MIT",
            contains=(kernbench.Inclusion(*_DISCRETE, "kernbench_basis.nested:bspline_of_discrete"),),
        ),
        kernbench.KernelFamily(
            "wendland",
            "kernbench_basis.compact:Wendland",
            space={
                "knots": _KNOTS,
                "radius": kernbench.Float(
                    1.0, 8.0, log=True, default=2.0, doc="of the support, in gaps between places"
                ),
            },
            description="Wendland's C2 functions of compact support at even places",
            citation="Wendland 1995; Lowery et al. 2024",
        ),
        kernbench.KernelFamily(
            "rbf",
            "kernbench_basis.compact:RadialBasis",
            space={
                "knots": _KNOTS,
                "width": kernbench.Float(0.3, 3.0, log=True, default=0.75, doc="in gaps between places"),
                "function": kernbench.Choice(("gaussian", "inverse-multiquadric"), doc="shape of every bump"),
            },
            description="radial basis functions of one width at even places",
            citation="Winchenbach and Thuerey 2024, ICLR",
        ),
        kernbench.KernelFamily(
            "fourier",
            "kernbench_basis.fourier:Fourier",
            space={
                "modes": kernbench.Int(1, 512, log=True, default=16, budget=True, doc="harmonics of the period d K"),
                "window": kernbench.Choice(("none", "hann"), doc="against the jump where the period ends"),
            },
            description="Fourier series over the taps; with (K - 1) / 2 modes every kernel",
            citation="Li et al. 2021, Fourier Neural Operator, ICLR",
            licence="MIT",
            contains=(kernbench.Inclusion(*_DISCRETE, "kernbench_basis.nested:fourier_of_discrete"),),
        ),
        kernbench.KernelFamily(
            "njet",
            "kernbench_basis.njet:NJet",
            space={
                "order": kernbench.Int(1, 6, default=4, budget=True, doc="highest derivative of the Gaussian"),
                "centres": kernbench.Int(1, 128, log=True, default=4, budget=True, doc="places; 1 as published"),
                "width": kernbench.Float(0.1, 2.0, log=True, default=0.4, doc="sigma at the start, in gaps"),
            },
            description="derivatives of a Gaussian of learned width (N-Jet)",
            citation="Pintea et al. 2021, IEEE TPAMI; Jacobsen et al. 2016, CVPR",
            licence="GPL-3.0; written from the paper",
        ),
        kernbench.KernelFamily(
            "stu",
            "kernbench_basis.spectral:SpectralFilters",
            space={"filters": kernbench.Int(1, 16, default=12, budget=True, doc="eigenvectors of each side of lag 0")},
            description="leading eigenvectors of a Hankel matrix (spectral transform unit)",
            citation="Agarwal et al. 2023, Spectral State Space Models",
        ),
    ]
