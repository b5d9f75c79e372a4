"""What a study means for this task: recipes of its lines, networks of its cells, versions."""

import dataclasses
import functools
import itertools
from typing import Any

from kernbench.host.cache_folder import cache_folder
from kernbench.host.files import sha256_of
from kernbench.kernels.budget import Solution
from kernbench.kernels.layer_options import form_of
from kernbench.networks.network import Network, build, set_recompute
from kernbench.networks.spread import network_asked
from kernbench.study.settings import AXIS_LINES, RESAMPLED, axis_home
from kernbench.study.study import Params, Study
from kernbench.study.task import Progress
from kernbench.training.settings import Settings
from kernbench.ulm.cells.budget import solved
from kernbench.ulm.cells.plan import network_plan
from kernbench.ulm.data.recipe import Recipe, load_split
from kernbench.ulm.evaluation.rates import TRAINING_MHZ
from kernbench.ulm.line import DEFAULT_PULSE, SAMPLES, scored_name
from kernbench.ulm.scoring.loss import TrainingLoss
from kernbench.ulm.scoring.protocol import PROTOCOL_VERSION
from kernbench.ulm.simulator.compression import template_of
from kernbench.ulm.simulator.pulse import FloatArray
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.simulate import NONLINEAR

NO_PARAMS: Params = {}
TASK_VERSION = "ulm-1d.1"  # raised when the meaning of a score changes

SPLITS = ("train", "validation", "test")


def protocol_of(definition: dict[str, Any]) -> int:
    """Protocol version that a definition names: the first that gives its scores, so that stored clean studies go on.

    Version 2 has changed nothing but the noise. A level that is an axis is not in the definition: it may be any.
    """
    data = definition["data"]
    clean = data.get("noise_percent") == 0 and data.get("test_noise_percent", 1) <= 0
    return 1 if clean else PROTOCOL_VERSION


def data_digest(definition: dict[str, Any], params: Params = NO_PARAMS) -> str:
    """Name of the lines of a study: the recipe's digest, or one of two recipes where the test lines have their own.

    Args:
        definition: of the study.
        params: of a cell, where its lines depend on axes; see `line_points`.
    """
    digests = sorted({recipe_of(definition, split, params).digest() for split in SPLITS})
    return digests[0] if len(digests) == 1 else sha256_of("+".join(digests), 12)


def scored_digest(definition: dict[str, Any], params: Params) -> str:
    """Name of the lines as a cell is scored on them; where labels are others, so are floors, see `line.py`."""
    mhz = TRAINING_MHZ * test_factor(definition, params)
    return scored_name(data_digest(definition, params), mhz, delay_of(definition, params))


def delay_of(definition: dict[str, Any], params: Params) -> int:
    """Delay of the labels of a cell [samples]."""
    return int(resolved(definition, params, "data").get("delay", 0))


def template_of_cell(definition: dict[str, Any], params: Params) -> FloatArray | None:
    """What the lines of a cell are compressed with; None where they are not."""
    if resolved(definition, params, "data").get("compression", "none") == "none":
        return None
    recipe = recipe_of(definition, "train", params)
    return template_of(recipe.pulse, recipe.transmit_response, recipe.receive_response)


def pulse_hz_of(definition: dict[str, Any], params: Params) -> float:
    """Nominal frequency of the pulse of a cell."""
    recipe = recipe_of(definition, "train", params)
    return find_pulse(recipe.pulse, recipe.transmit_response).thermal_hz


def test_factor(definition: dict[str, Any], params: Params) -> float:
    """Rate at which the test lines of a cell are scored, over that of training."""
    given = float(resolved(definition, params, "data").get("test_rate", -1))
    return 1.0 if given < 0 else given / TRAINING_MHZ


def resampled_kernels(definition: dict[str, Any], params: Params) -> bool:
    """Whether taps at another rate come from a filter, see `kernbench.networks.at_rate`."""
    return bool(resolved(definition, params, "data").get("test_kernels") == RESAMPLED)


def line_points(study: Study) -> list[Params]:
    """Values of those axes that cells have lines of their own for, one dict for each set of lines; one without any."""
    axes = {name: values for name, values in study.axes.items() if name in AXIS_LINES}
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def line_params(params: Params) -> Params:
    """Those values of a cell that its lines depend on."""
    return {name: value for name, value in params.items() if name in AXIS_LINES}


def recipe_of(definition: dict[str, Any], split: str = "train", params: Params = NO_PARAMS) -> Recipe:
    """Data recipe of a split; noise is added when lines are loaded, so the recipe leaves it out.

    Args:
        definition: of the study.
        split: train, validation or test.
        params: of a cell, where its lines depend on axes.
    """
    data = resolved(definition, params, "data")
    return Recipe(
        lines={split: data[split] for split in SPLITS},
        window=data["window"] or None,
        population=(split == "test" and data["test_population"]) or data["population"],
        seed=data["seed"],
        transmit_response=data["transmit_response"] or None,
        receive_response=data["receive_response"] or None,
        pulse=data.get("pulse", DEFAULT_PULSE),
        bubbles=data.get("bubbles", NONLINEAR),
    )


def resolved(definition: dict[str, Any], params: Params, table: str) -> dict[str, Any]:
    """Settings of one table for one cell: the definition's, and the cell's where they are axes.

    Raises:
        KernbenchError, PluginError: of the table `network`, see `kernbench.ulm.cells.plan.network_plan`.
    """
    if table == "network":
        return network_plan(definition, params)
    return dict(definition[table]) | {name: value for name, value in params.items() if axis_home(name) == table}


def training_of(definition: dict[str, Any], params: Params) -> tuple[Settings, TrainingLoss]:
    """How a cell is trained, and by which loss: one table in a study, because a study knows no other loss."""
    table = resolved(definition, params, "training")
    loss = TrainingLoss(**{field.name: table.pop(field.name) for field in dataclasses.fields(TrainingLoss)})
    return Settings(**table), loss


def make_network(study: Study, params: Params) -> Network:
    """The untrained network of a cell; weights come from torch's global generator.

    Raises:
        KernbenchError, PluginError: see `kernbench.networks.build`.
    """
    plan, hyper = resolved(study.definition, params, "network"), hyper_of(study, params)
    size, channels, depth = plan["kernel_size"], plan["channels"], plan["depth"]
    network = build(network_asked(plan), study.family, size, channels, hyper, depth, plan["gain"], **form_of(plan))
    set_recompute(network, bool(study.runtime.get("recompute", False)))
    return network


def hyper_of(study: Study, params: Params) -> dict[str, Any]:
    """Hyper-parameters of the family for one cell: those given, and those solved for where the study has a budget.

    Raises:
        KernbenchError: see `kernbench.ulm.cells.budget.solved`.
    """
    solution = solution_of(study, params)
    return _fixed(study, params) if solution is None else dict(solution.hyper)


def solution_of(study: Study, params: Params) -> Solution | None:
    """What meets the budget of a study in one cell; None without a budget.

    Raises:
        KernbenchError: see `kernbench.ulm.cells.budget.solved`.
    """
    if study.budget is None:
        return None
    return solved(study, study.budget, resolved(study.definition, params, "network"), _fixed(study, params))


def _fixed(study: Study, params: Params) -> dict[str, Any]:
    """Hyper-parameters that the study, an axis or a draw gives a cell."""
    own = [name for name in (*study.axes, *study.tuned) if axis_home(name) is None]
    return dict(study.definition["kernel"]["hyper"]) | {name: params[name] for name in own}


def prepare(study: Study, device: str, progress: Progress) -> None:
    """Make sure that all splits are in the cache.

    Args:
        study: the study.
        device: where to simulate.
        progress: called as progress(split, bubbles done, bubbles in all).
    """
    for params in line_points(study):
        for split in SPLITS:
            recipe = recipe_of(study.definition, split, params)
            load_split(recipe, split, device=device, progress=functools.partial(progress, split))


def missing_samples(study: Study) -> int:
    """Samples of the lines that are not in the cache yet."""
    points = line_points(study)
    recipes = ((split, recipe_of(study.definition, split, params)) for params in points for split in SPLITS)
    lacking = [(s, r) for s, r in recipes if not (cache_folder() / "lines" / r.digest() / s).is_dir()]
    return sum(recipe.lines[split] * (recipe.window or SAMPLES) for split, recipe in lacking)
