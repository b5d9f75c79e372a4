"""Waves with learned frequency, width, place and phase: the physical prior for an ultrasound pulse."""

import kernbench

_WAVES: dict[str, kernbench.Float | kernbench.Int | kernbench.Choice] = {
    "waves": kernbench.Int(1, 512, log=True, default=16, budget=True, doc="waves of the layer")
}
_ORDER = kernbench.Int(2, 8, default=4, doc="p: the envelope rises as u^(p - 1)")
_ODD = kernbench.Choice((True, False), doc="odd twin of each band; without it filters are symmetric")


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "gabor",
            "kernbench_waves.wavelets:Gabor",
            space=_WAVES,
            description="cosines under Gaussians",
            citation="Zeghidour et al. 2021, LEAF, ICLR",
            licence="Apache-2.0",
            contains=(
                kernbench.Inclusion(
                    "cosine", "kernbench_waves.wavelets:Cosine", "kernbench_waves.nested:gabor_of_cosine"
                ),
            ),
        ),
        kernbench.KernelFamily(
            "morlet",
            "kernbench_waves.wavelets:Morlet",
            space=_WAVES,
            description="cosines under Gaussians, without their mean",
            citation="Grossmann and Morlet 1984, SIAM J. Math. Anal.",
        ),
        kernbench.KernelFamily(
            "chirplet",
            "kernbench_waves.wavelets:Chirplet",
            space=_WAVES,
            description="chirps under Gaussians",
            citation="Mann and Haykin 1995, IEEE Trans. Signal Process.",
            contains=(
                kernbench.Inclusion(
                    "gabor", "kernbench_waves.wavelets:Gabor", "kernbench_waves.nested:chirplet_of_gabor"
                ),
            ),
        ),
        kernbench.KernelFamily(
            "ricker",
            "kernbench_waves.wavelets:Ricker",
            space=_WAVES,
            description="Ricker wavelets (1 - u^2) exp(-u^2 / 2) of learned width and place",
            citation="Ricker 1953, Geophysics",
        ),
        kernbench.KernelFamily(
            "cosine",
            "kernbench_waves.wavelets:Cosine",
            space=_WAVES,
            description="cosines of learned frequency and phase over all taps",
            citation="Ciurana et al. 2024, CosCovNN",
        ),
        kernbench.KernelFamily(
            "gammatone",
            "kernbench_waves.ringing:Gammatone",
            space={**_WAVES, "order": _ORDER},
            description="gammatones: waves that begin sharply and die out",
            citation="Ditter and Gerkmann 2020, ICASSP",
            licence="MIT",
        ),
        kernbench.KernelFamily(
            "damped",
            "kernbench_waves.ringing:Damped",
            space=_WAVES,
            description="damped oscillations (Laplace wavelets), the ringing of a bubble",
            citation="Li et al. 2021, WaveletKernelNet, IEEE Trans. Syst. Man Cybern.",
        ),
        kernbench.KernelFamily(
            "sinc",
            "kernbench_waves.band_pass:Sinc",
            space={**_WAVES, "odd": _ODD},
            description="ideal band-pass filters under a Hamming window",
            citation="Ravanelli and Bengio 2018, SincNet, SLT",
            licence="MIT",
        ),
    ]
