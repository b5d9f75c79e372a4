"""The work of one `kernbench run`: each study for each family, all checked before the first begins."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernbench.engine.fleet import runner
from kernbench.engine.fleet.disk import Needs, needs, one_after_the_other
from kernbench.errors import StudyError
from kernbench.registry import Found, find
from kernbench.study.study import Study
from kernbench.study.task import load, task

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One study for one family.

    Attributes:
        study: the study.
        found: family and its origin.
        plugin: as it was typed.
        plan: what a run would do.
        parameters: trainable numbers of the largest network.
    """

    study: Study
    found: Found
    plugin: str
    plan: runner.Plan
    parameters: int


def planned(
    plugins: Sequence[str], names: Sequence[str], profile: str, seeds: int | None, options: runner.Options
) -> list[Job]:
    """Every study for every family, those of one study together; nothing is written.

    Args:
        plugins: families, as typed.
        names: studies, as typed.
        profile: scale.
        seeds: number of seeds; None as the study says.
        options: of the run.

    Raises:
        KernbenchError: one of them cannot be run, whatever holds for the others; or a selection that means no cell.
    """
    asked: dict[str, tuple[Study, Found, str]] = {}
    families = [(plugin, find(plugin)) for plugin in plugins]
    for name in names:
        for plugin, found in families:
            study = load(name, found.family, profile)
            study = study if seeds is None else dataclasses.replace(study, seeds=tuple(range(seeds)))
            known = asked.setdefault(study.key, (study, found, plugin))
            if (known[0].digest, known[0].cells(), known[1].label) != (study.digest, study.cells(), found.label):
                raise StudyError(
                    f"{name} for {plugin} and {known[0].source} for {known[2]} would both be stored as {study.key}; "
                    "run one of them, or rename one"
                )
    options.only.check(cell for study, _, _ in asked.values() for cell in study.cells())
    jobs = []
    for study, found, plugin in asked.values():
        parameters = task().check(study, options.device, options.only)
        jobs.append(Job(study, found, plugin, runner.plan(study, options), parameters))
    return jobs


def needed(jobs: Sequence[Job], url: str, out: "Path", workers: int) -> Needs:
    """What all of them will write.

    Args:
        jobs: run one after the other.
        url: storage URL.
        out: folder of the report.
        workers: cells that run concurrently.
    """
    return one_after_the_other(
        [
            (job.study, needs(job.study, url, out, cells=job.plan.to_run, parameters=job.parameters, workers=workers))
            for job in jobs
        ]
    )
