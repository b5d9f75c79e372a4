"""Classical detectors on the lines of a study: where their results belong, and making those that are asked for.

Their results are kept beside the artifacts of a study's storage, where reports on the same lines find them.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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


def domains(study: Study, digest: str | None = None, noise: float | None = None) -> dict[float, list[Domain]]:
    """Noise level of the lines to fit on -> the domains that the cells of a study are scored in.

    Args:
        study: the study.
        digest: of other lines than the study's own.
        noise: a level for all lines, instead of the study's.
    """
    split = study.definition["evaluation"]["threshold_split"]
    digest = digest or definition.data_digest(study.definition)
    found: dict[float, dict[Domain, None]] = {}  # a set that keeps its order
    for params in study.cells().values():
        data = {"noise_percent": noise} if noise is not None else definition.resolved(study.definition, params, "data")
        domain = Domain.of(digest, data, split, PROTOCOL_VERSION)
        found.setdefault(domain.noise_percent, {})[domain] = None
    return {noise_percent: list(known) for noise_percent, known in found.items()}


def study_splits(study: Study) -> dict[str, Split]:
    """The study's own lines; simulated where they are not in the cache."""
    return {split: load_split(definition.recipe_of(study.definition, split), split) for split in definition.SPLITS}


def bench(
    study: Study, splits: Mapping[str, Split], wanted: Sequence[Domain], artifacts: Path, device: str
) -> DetectorTask:
    """What detectors of a study work on at one noise level of the lines that they are fitted on.

    Where training settings are axes of the study, linear filters are trained at the first value of each.

    Args:
        study: the study.
        splits: training, threshold and test lines.
        wanted: domains of one noise level of the lines to fit on, and one threshold split.
        artifacts: folder of the storage's artifacts.
        device: where lines live.
    """
    first: Params = next(iter(study.cells().values()))
    recipe = definition.recipe_of(study.definition)
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
    for wanted in domains(study).values():
        with _failing_as_warning("classical detectors"):
            gaps = _gaps(names, [domain.path(artifacts) for domain in wanted])
            if not gaps:
                continue
            ready = bench(study, study_splits(study), wanted, artifacts, device)
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
