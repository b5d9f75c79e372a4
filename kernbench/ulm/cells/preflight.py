"""Before anything is written: responses are read, lines checked, networks built; what cannot work is refused."""

from collections.abc import Sequence

import torch

from kernbench.errors import KernbenchError, PluginError, StudyError, counted
from kernbench.host.memory import is_out_of_memory
from kernbench.networks import cost
from kernbench.networks.fitting import check_kernel_size
from kernbench.networks.network import Network, needed_length
from kernbench.networks.rates import at_rate
from kernbench.networks.spread import network_asked
from kernbench.study.selection import ALL, Selection
from kernbench.study.settings import AXIS_NOISE, AXIS_TEST
from kernbench.study.study import Params, Study
from kernbench.study.tuning import DRAW, SEED
from kernbench.training.compiling import OFF, check_compile
from kernbench.ulm.cells.definition import (
    SPLITS,
    hyper_of,
    line_points,
    make_network,
    recipe_of,
    resampled_kernels,
    resolved,
    test_factor,
)
from kernbench.ulm.data.cache import check_usable
from kernbench.ulm.data.recipe import lines_folder
from kernbench.ulm.evaluation.rates import TRAINING_MHZ
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.simulator.noise import SHORTEST
from kernbench.ulm.simulator.pulses import find_pulse
from kernbench.ulm.simulator.response_file import load_response

Ways = Sequence[tuple[float, bool]]  # rate of the test lines over that of training, whether taps are resampled


def check_responses(study: Study) -> None:
    """Read the measured responses and the pulses of a study, before anything is written.

    Raises:
        DataError: one cannot be used, see `load_response` and `find_pulse`.
    """
    for role in ("transmit", "receive"):
        if path := study.definition["data"][f"{role}_response"]:
            load_response(path, role)
    for params in line_points(study):
        recipe = recipe_of(study.definition, "train", params)
        find_pulse(recipe.pulse, recipe.transmit_response)


def check_cache(study: Study) -> None:
    """Refuse cached lines that may not be read, or a folder for new ones that may not be written.

    Raises:
        DataError: names the folder.
    """
    for params in line_points(study):
        for split in SPLITS:
            check_usable(lines_folder() / recipe_of(study.definition, split, params).digest() / split)


def check_lines(study: Study) -> None:
    """Refuse windows that are too short for delayed labels, the noise filter, or a batch that normalization can use.

    Raises:
        StudyError: see above; with the settings that do not go together.
    """
    data, window = study.definition["data"], study.definition["data"]["window"] or SAMPLES
    delay = max(map(int, study.axes.get("delay", (data.get("delay", 0),))))
    if delay >= window:
        raise StudyError(
            f"{study.source}: data.window = {window} and data.delay = {delay} leave no label: expected a window of "
            "more samples than the delay; take a longer window or a smaller delay"
        )
    levels = [float(level) for name in AXIS_NOISE for level in study.axes.get(name, (data.get(name, 0),))]
    if window < SHORTEST and (noisy := [level for level in levels if level > 0]):
        raise StudyError(
            f"{study.source}: data.window = {window} is too short for noise of {noisy[0]:g} %: its filter needs "
            f"{SHORTEST} samples or more"
        )
    sizes = study.axes.get("batch_size", (study.definition["training"].get("batch_size", 0),))
    for size in map(int, sizes):
        if window == 1 and (size == 1 or data["train"] % size == 1):
            raise StudyError(
                f"{study.source}: data.window = 1 and training.batch_size = {size} give a batch of one sample (of "
                f"{counted(data['train'], 'training line')}), which batch normalization cannot use; take a longer "
                "window or another batch size"
            )


def check_networks(study: Study, device: str = "cpu", only: Selection = ALL) -> int:
    """Build every network of the axes, before anything is written: points that differ in its training share one.

    Args:
        study: the study.
        device: that its cells will run on.
        only: which cells are meant; networks that none of them has are not built.

    Returns:
        Trainable numbers of the largest network.

    Raises:
        KernbenchError: a kernel size that the network or the line cannot take; a way to compute that the device lacks.
        PluginError: a kernel of the wrong shape, NaN, or a plugin that raises; named with family and K. A network that
            breaks its contract; named.
    """
    check_compile(str(study.runtime.get("compile", OFF)), device, bool(study.runtime.get("recompute", False)))
    length = study.definition["data"]["window"] or SAMPLES
    ways = _ways(study)
    where = f"family {study.family.name}, study {study.name}, profile {study.profile}"
    for params in _points(study, only):  # before a budget is solved: that builds networks
        plan = resolved(study.definition, params, "network")
        sizes = plan["kernel_size"], plan["depth"], length, where, plan["channels"]
        check_kernel_size(network_asked(plan), *sizes, plan.get("field"))
    largest = 0
    with torch.random.fork_rng(devices=[]):
        for params in points_of_networks(study, only):
            torch.manual_seed(0)
            try:
                network = make_network(study, params)
                largest = max(largest, cost.parameter_count(network))
                _check_rates(study, params, network, ways, length)
            except Exception as error:
                if not is_out_of_memory(error):  # that ends its cell, not the study
                    raise
            except SystemExit as error:  # a plugin must not end the program, let alone with exit code 0
                size = resolved(study.definition, params, "network")["kernel_size"]
                raise PluginError(f"family {study.family.name!r} called sys.exit ({where}, K = {size})") from error
    return largest


def _ways(study: Study) -> Ways:
    """How test lines of another rate than that of training are scored."""
    given = study.definition
    ways = {(test_factor(given, params), resampled_kernels(given, params)) for params in study.cells().values()}
    return sorted(way for way in ways if way[0] != 1)


def _check_rates(study: Study, point: Params, network: Network, ways: Ways, length: int) -> None:
    """Refuse test lines of another rate for a network that has kernels at the rate of its training alone.

    And test lines that are too short for it there: a filter makes kernels longer.
    """
    for factor, resampled in ways:
        where = f"{study.source}: test_rate = {factor * TRAINING_MHZ:g}"
        try:
            least, why = needed_length(at_rate(network, factor, resampled=resampled))
        except KernbenchError as error:
            raise StudyError(f"{where}: {error}") from error
        if length * factor < least:
            at = ", ".join(f"{name} = {value}" for name, value in point.items() if name not in (*AXIS_TEST, SEED))
            raise StudyError(
                f"{where}, {at}: this network {why} there, so lines need at least {least} samples, got "
                f"{int(length * factor)}; take smaller kernels or longer windows"
            )


def points_of_networks(study: Study, only: Selection = ALL) -> list[Params]:
    """The first point of the axes for each network that is meant, in order; tuned, with the defaults of what is drawn.

    Raises:
        StudyError: see `kernbench.ulm.cells.budget.solved`.
    """
    first: dict[str, Params] = {}
    for params in _points(study, only):
        network = resolved(study.definition, params, "network")
        first.setdefault(repr((network, hyper_of(study, params))), params)
    return list(first.values())


def _points(study: Study, only: Selection) -> list[Params]:
    """The first cell of each point of the axes; tuned, with the defaults of what is drawn."""
    first: dict[str, Params] = {}
    for cell, params in study.cells().items():
        if cell in only:
            point = {name: value for name, value in params.items() if name not in (SEED, DRAW)}
            first.setdefault(repr(point), params)
    defaults = {} if study.tuning is None else study.tuning.defaults
    return [params | defaults for params in first.values()]
