"""The lines of a cell as its training and its scores see them."""

from typing import Any

from kernbench.study.study import Params
from kernbench.ulm.cells.definition import (
    SPLITS,
    delay_of,
    recipe_of,
    resampled_kernels,
    resolved,
    template_of_cell,
    test_factor,
)
from kernbench.ulm.data.recipe import load_split
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.workbench import Workbench


def bench_of_cell(definition: dict[str, Any], params: Params, device: str) -> Workbench:
    """All lines of a cell with their noise, rate and delay; what is not in the cache is simulated.

    Args:
        definition: of the study.
        params: axis values of the cell, and its seed.
        device: where the lines live.
    """
    splits = {split: load_split(recipe_of(definition, split, params), split, device=device) for split in SPLITS}
    data = resolved(definition, params, "data")
    noise = Noise(data["noise_percent"], data["test_noise_percent"], recipe_of(definition).seed)
    factors = {"test": test_factor(definition, params)}
    return Workbench(
        splits,
        noise,
        device,
        factors=factors,
        resampled=resampled_kernels(definition, params),
        delay=delay_of(definition, params),
        template=template_of_cell(definition, params),
    )
