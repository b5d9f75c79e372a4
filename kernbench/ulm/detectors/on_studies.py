"""Classical detectors on the lines of a study: where their results belong, and making those that are asked for.

Their results are kept beside the artifacts of a study's storage, where reports on the same lines find them.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernbench.errors import KernbenchWarning
from kernbench.study.study import Params, Study
from kernbench.ulm.cells import definition
from kernbench.ulm.data.recipe import Split, load_split
from kernbench.ulm.detectors.catalogue import DetectorTask, Show
from kernbench.ulm.detectors.names import fits
from kernbench.ulm.detectors.results import Domain, stored_rows
from kernbench.ulm.evaluation.noise import Noise
from kernbench.ulm.evaluation.workbench import Workbench
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.scoring.protocol import PROTOCOL_VERSION


@dataclass(frozen=True)
class Group:
    """Domains that detectors are fitted for together: on the same lines with the same noise.

    Attributes:
        params: values of the axes that the lines depend on.
        domains: that cells of a study are scored in.
    """

    params: Params
    domains: Sequence[Domain]


def groups(study: Study, digest: str | None = None, noise: float | None = None) -> list[Group]:
    """The domains that the cells of a study are scored in, by lines and by noise level of the lines to fit on.

    Args:
        study: the study.
        digest: of other lines than the study's own.
        noise: a level for all lines, instead of the study's.
    """
    split = study.definition["evaluation"]["threshold_split"]
    found: dict[tuple[str, float], tuple[Params, dict[Domain, None]]] = {}  # inside, a set that keeps its order
    for lines in definition.line_points(study):
        own = digest or definition.data_digest(study.definition, lines)
        for params in study.cells().values():
            if definition.line_params(params) != lines:
                continue
            levels = definition.resolved(study.definition, params, "data")
            domain = Domain.of(own, levels if noise is None else {"noise_percent": noise}, split, PROTOCOL_VERSION)
            found.setdefault((own, domain.noise_percent), (lines, {}))[1][domain] = None
    return [Group(lines, list(known)) for lines, known in found.values()]


def study_splits(study: Study, params: Params) -> dict[str, Split]:
    """The study's own lines; simulated where they are not in the cache.

    Args:
        study: the study.
        params: values of the axes that the lines depend on.
    """
    recipes = {split: definition.recipe_of(study.definition, split, params) for split in definition.SPLITS}
    return {split: load_split(recipe, split) for split, recipe in recipes.items()}


def bench(study: Study, splits: Mapping[str, Split], group: Group, artifacts: Path, device: str) -> DetectorTask:
    """What detectors of a study work on at one noise level of the lines that they are fitted on.

    Where training settings are axes of the study, linear filters are trained at the first value of each.

    Args:
        study: the study.
        splits: training, threshold and test lines.
        group: domains of one noise level of the lines to fit on, and one threshold split.
        artifacts: folder of the storage's artifacts.
        device: where lines live.
    """
    first: Params = next(iter(study.cells().values()))
    wanted, recipe = group.domains, definition.recipe_of(study.definition, "train", group.params)
    settings, loss = definition.training_of(study.definition, first)
    return DetectorTask(
        bench=Workbench(splits, Noise(wanted[0].noise_percent, seed=recipe.seed), device),
        test_noise_percent=[domain.test_noise_percent for domain in wanted],
        paths=[domain.path(artifacts) for domain in wanted],
        threshold_split=wanted[0].threshold_split,
        settings=settings,
        loss=loss,
        seed=recipe.seed,
        transmit_response=recipe.transmit_response,
        receive_response=recipe.receive_response,
        pulse=recipe.pulse,
        bubbles=recipe.bubbles,
    )


def add_missing(study: Study, names: Sequence[str], artifacts: Path, device: str, show: Show) -> None:
    """Run those of some methods that have no results on the lines of a study yet; what fails is a warning.

    Args:
        study: the study.
        names: of methods; those that do not fit the lines are left out.
        artifacts: folder of the storage's artifacts.
        device: where lines live.
        show: progress.
    """
    length = study.definition["data"]["window"] or SAMPLES
    names = [name for name in names if fits(name, length)]
    for group in groups(study):
        with _failing_as_warning("classical detectors"):
            gaps = _gaps(names, [domain.path(artifacts) for domain in group.domains])
            if not gaps:
                continue
            ready = bench(study, study_splits(study, group.params), group, artifacts, device)
            for name in gaps:
                with _failing_as_warning(name):
                    ready.run([name], show)


def _gaps(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Methods that one of the files lacks."""
    stored = [{row.method for row in stored_rows(path)} for path in paths]
    return [name for name in names if any(name not in methods for methods in stored)]


@contextmanager
def _failing_as_warning(what: str) -> Iterator[None]:
    """Turns whatever fails into one warning: the networks are what a run is for."""
    try:
        yield
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        text = f"{what}: no results beside the networks ({type(error).__name__}: {first})"
        warnings.warn(text, KernbenchWarning, stacklevel=2)
