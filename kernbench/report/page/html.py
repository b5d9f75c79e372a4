"""The page: one self-contained HTML file with inline figures, and beside it the tables and figure files."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kernbench.errors import DataError, StorageError
from kernbench.host.files import sha256_of, write_whole
from kernbench.host.garbage import set_aside
from kernbench.report.numbers.calibration import calibration_text
from kernbench.report.numbers.comparison import Comparison, comparisons
from kernbench.report.numbers.detectors import Classical, baseline_facts, baseline_levels, baseline_table, classical
from kernbench.report.numbers.left_out import left_out
from kernbench.report.numbers.matrix import matrix
from kernbench.report.numbers.noise import noise_table
from kernbench.report.numbers.provenance import provenance
from kernbench.report.numbers.published import note_of, published_texts, tables
from kernbench.report.numbers.sentences import cautions, headline
from kernbench.report.numbers.setup import setup_rows
from kernbench.report.numbers.tuning import tuning_rows, tuning_text
from kernbench.report.page.csv_tables import write_tables
from kernbench.report.page.pictures import FIGURES, Folder, cell_details, study_pictures
from kernbench.report.page.rows import curve_rows, line_rows, same_text, seeds_needed_text, summary_rows
from kernbench.store.reading.records import Run
from kernbench.study import columns
from kernbench.study.task import columns_shown

PAGE = "report.html"
Section = dict[str, Any]  # one comparison as the template reads it: texts, rows of texts, pictures
SOURCE = "made from {}"  # near the top of the page, so that a report is not drawn again for nothing


def source_digest(runs: Iterable[Run]) -> str:
    """What a report is made from, as 16 hex digits: the same for the same cells and baselines, in any order."""
    runs = list(runs)
    facts = sorted(repr((run.study, run.cell, run.status, run.digest, run.started, run.message)) for run in runs)
    facts += [*sorted({repr((run.study, run.asked)) for run in runs}), repr(sum(run.lacking for run in runs))]
    facts += baseline_facts(runs)
    # cells of one study share one tuple of references
    of_studies = {(id(run.references), run.note): (run.references, run.note) for run in runs}.values()
    facts += sorted(set(map(repr, of_studies)))
    return sha256_of("\n".join([version("kernbench"), *facts]), 16)


def is_current(runs: Iterable[Run], out_dir: Path) -> bool:
    """Whether the page in the folder was made from these very runs."""
    page = out_dir / PAGE
    if not page.is_file():
        return False
    with page.open(encoding="utf-8", errors="replace") as file:
        return SOURCE.format(source_digest(runs)) in file.read(4096)


def write_report(runs: Iterable[Run], out_dir: Path) -> Path:
    """Write page, tables and figures.

    Args:
        runs: cells, finished or not; those of one study file, version and profile are compared.
        out_dir: folder, made if missing; files of an earlier report are replaced.

    Returns:
        Path of the page, `report.html`.

    Raises:
        KernbenchError: there are no runs.
        StorageError: the folder cannot be written.
    """
    found = comparisons(runs)
    try:
        (out_dir / FIGURES).mkdir(parents=True, exist_ok=True)
        folder = Folder(out_dir)
        with set_aside():  # drawing makes garbage by the megabyte, the runs are none
            tables = write_tables(found, out_dir)
            sections = [_section(comparison, index, folder) for index, comparison in enumerate(found)]
        page = out_dir / PAGE
        write_whole(page, _render(sections, [table.name for table in tables], folder))
    except OSError as error:
        raise StorageError(f"the report cannot be written to {out_dir}: {error}") from error
    return page


def _render(sections: Sequence[Section], tables: Sequence[str], folder: Folder) -> str:
    environment = Environment(
        loader=PackageLoader("kernbench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = published_texts
    environment.filters["seeds_needed"] = seeds_needed_text
    runs = [run for section in sections for run in section["comparison"].runs]
    return environment.get_template("report.html.j2").render(
        sections=sections,
        tables=tables,
        columns=columns_shown(columns.PAGE),
        cells=len(runs),
        latest=max(run.started for run in runs),
        unreadable=folder.unreadable,
        source=SOURCE.format(source_digest(runs)),
    )


def _section(comparison: Comparison, index: int, folder: Folder) -> Section:
    baselines = _baselines(comparison, folder)
    return {
        "comparison": comparison,
        "anchor": f"comparison-{index + 1}",  # name within the page
        "question": next((run.question for run in comparison.runs if run.question), ""),
        "setup": setup_rows(comparison),
        "matrix": matrix(comparison),
        "headline": headline(comparison),
        "cautions": cautions(comparison),
        "left_out": left_out(comparison),
        "rows": summary_rows(comparison),
        "same": same_text(comparison),
        "pictures": study_pictures(comparison, folder, baseline_levels(baselines, comparison.tolerance)),
        "details": cell_details(comparison, folder),
        "provenance": provenance(comparison.runs),
        "curves": curve_rows(comparison),
        "lines": line_rows(comparison),
        "noise": noise_table(comparison),
        "published": tables(comparison),
        "notes": note_of(comparison),
        "baselines": baseline_table(baselines, comparison.tolerance),
        "tuning": tuning_rows(comparison),
        "tuning_text": tuning_text(comparison),
        "calibration": calibration_text(comparison),
    }


def _baselines(comparison: Comparison, folder: Folder) -> Classical:
    try:
        return classical(comparison)
    except DataError as error:
        folder.unreadable.append(f"{comparison.base}: {error}")
        return Classical({}, [], "")
