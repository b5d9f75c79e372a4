"""Textbook stencils in correlation form: weights at integer offsets, so that output t is the sum of w[j] x[t + j].

Slides and papers often print the convolution form; odd derivatives then change sign.
"""

STENCILS: dict[str, dict[int, float]] = {
    "identity": {0: 1.0},
    "shift_left": {1: 1.0},  # output t is input t + 1
    "shift_right": {-1: 1.0},
    "mean": {-1: 1 / 3, 0: 1 / 3, 1: 1 / 3},
    "binomial": {-1: 0.25, 0: 0.5, 1: 0.25},
    "trapezoid": {0: 0.5, 1: 0.5},
    "simpson": {-1: 1 / 6, 0: 4 / 6, 1: 1 / 6},
    "sharpen": {-1: -1.0, 0: 3.0, 1: -1.0},
    "forward_difference": {0: -1.0, 1: 1.0},
    "backward_difference": {-1: -1.0, 0: 1.0},
    "central_difference": {-1: -0.5, 1: 0.5},
    "second_difference": {-1: 1.0, 0: -2.0, 1: 1.0},
    "third_difference": {-2: -0.5, -1: 1.0, 1: -1.0, 2: 0.5},
    "fourth_difference": {-2: 1.0, -1: -4.0, 0: 6.0, 1: -4.0, 2: 1.0},
    "first_derivative_order_4": {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12},
    "second_derivative_order_4": {-2: -1 / 12, -1: 16 / 12, 0: -30 / 12, 1: 16 / 12, 2: -1 / 12},
}

SHIFTS = ("identity", "shift_left", "shift_right")
SMOOTH = ("mean", "binomial", "trapezoid", "simpson")
DIFFERENCES = (
    "forward_difference",
    "backward_difference",
    "central_difference",
    "second_difference",
    "third_difference",
    "fourth_difference",
    "first_derivative_order_4",
    "second_derivative_order_4",
)
SETS: dict[str, tuple[str, ...]] = {
    "compact": (*SHIFTS, "mean", "binomial", "sharpen", *DIFFERENCES[:4]),
    "all": tuple(STENCILS),
    "smooth": ("identity", *SMOOTH),
    "difference": ("identity", *DIFFERENCES),
    "identity": SHIFTS,
}


def taps(name: str, step: int = 1) -> dict[int, float]:
    """Weights of a stencil at offsets that are multiples of a step: {offset: weight}."""
    return {offset * step: weight for offset, weight in STENCILS[name].items()}


def fitting(chosen: str, scales: int, kernel_size: int) -> list[dict[int, float]]:
    """The different stencils of a set that fit K taps, at steps 1, 2, 4, ...

    Args:
        chosen: a name in `SETS`.
        scales: number of steps.
        kernel_size: K; offsets may reach from -((K - 1) // 2) to K // 2.

    Returns:
        {offset: weight} each; identity is the same at every step and comes once, and is always there.
    """
    found = [taps("identity")]
    for scale in range(scales):
        for name in SETS[chosen]:
            stencil = taps(name, 2**scale)
            fits = min(stencil) >= -((kernel_size - 1) // 2) and max(stencil) <= kernel_size // 2
            if fits and name != "identity":
                found.append(stencil)
    return found
