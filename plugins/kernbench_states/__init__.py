"""Kernels of linear state spaces: modes, poles, rational transfer functions."""

import kernbench

_MODES = kernbench.Int(1, 128, log=True, default=16, budget=True, doc="conjugate pairs of poles")


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "s4d",
            "kernbench_states.poles:DiagonalStateSpace",
            space={"modes": _MODES},
            description="diagonal state space with a zero-order hold, one of each side of lag 0 (S4D)",
            citation="Gu et al. 2022, On the Parameterization and Initialization of Diagonal State Space Models",
            licence="Apache-2.0",
            resampling="integrals",
        ),
        kernbench.KernelFamily(
            "poles",
            "kernbench_states.poles:Poles",
            space={
                "modes": _MODES,
                "start": kernbench.Choice(("echo", "ring", "oscillators", "s4d-lin"), doc="where the poles begin"),
            },
            description="decaying complex exponentials |m| of each side of lag 0 (LRU, S5, D-LinOSS)",
            citation="Orvieto et al. 2023, LRU, ICML; Smith et al. 2023, S5, ICLR; Rusch and Rus 2025, LinOSS",
            contains=(
                kernbench.Inclusion(
                    "s4d", "kernbench_states.poles:DiagonalStateSpace", "kernbench_states.nested:poles_of_s4d"
                ),
            ),
        ),
        kernbench.KernelFamily(
            "rtf",
            "kernbench_states.rational:RationalTransfer",
            space={"order": kernbench.Int(1, 128, log=True, default=16, budget=True, doc="coefficients of b and a")},
            description="impulse responses of rational transfer functions (RTF)",
            citation="Parnichkun et al. 2024, State-Free Inference of State-Space Models, ICML",
            licence="none found; written from the paper",
        ),
    ]
