"""The page: one self-contained HTML file with inline figures, and beside it the tables and figure files."""

import functools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from kernbench.errors import DataError, KernbenchWarning, StorageError, counted
from kernbench.host.beside import beside
from kernbench.host.files import sha256_of, write_whole
from kernbench.host.garbage import set_aside
from kernbench.report.numbers.calibration import calibration_text
from kernbench.report.numbers.comparison import Comparison, comparisons
from kernbench.report.numbers.detectors import Classical, baseline_facts, baseline_levels, baseline_table, classical
from kernbench.report.numbers.fronts import all_costs
from kernbench.report.numbers.left_out import left_out
from kernbench.report.numbers.matrix import matrix
from kernbench.report.numbers.noise import noise_table
from kernbench.report.numbers.provenance import provenance
from kernbench.report.numbers.published import note_of, published_texts, tables
from kernbench.report.numbers.pulses import pulse_table
from kernbench.report.numbers.rates import rate_table
from kernbench.report.numbers.sentences import cautions, headline, p_text
from kernbench.report.numbers.setup import setup_rows
from kernbench.report.numbers.tuning import tuning_rows, tuning_text
from kernbench.report.page.analysed import analysed, analysis_facts
from kernbench.report.page.cell_pictures import example_picture, kernel_pictures
from kernbench.report.page.csv_tables import write_tables, written_tables
from kernbench.report.page.downloads import downloads, script_hash
from kernbench.report.page.manifest import FIGURES, PAGE, read_manifest
from kernbench.report.page.order_rows import order_facts
from kernbench.report.page.pictures import Folder, study_pictures
from kernbench.report.page.places import marks_of, series_signs
from kernbench.report.page.publishing import HTML, publishing
from kernbench.report.page.rows import (
    cost_ranges,
    curve_rows,
    line_rows,
    same_text,
    seeds_needed_text,
    summary_rows,
    trend_rows,
)
from kernbench.store.reading.records import Run
from kernbench.ulm.scoring.scores import tolerance_um

_CODE = re.compile("`([^`]+)`")
MANY_LINES = 200_000  # of all cells and splits, from which on the tables are written beside the drawing
MOST_ROWS = 40  # of a table that is open from the start
Section = dict[str, Any]  # one comparison as the template reads it: texts, rows of texts, pictures
SOURCE = "made from {}"  # near the top of the page, so that a report is not drawn again for nothing


def source_digest(runs: Iterable[Run]) -> str:
    """What a report is made from, as 16 hex digits: the same for the same cells and baselines, in any order."""
    runs = list(runs)
    facts = sorted(repr((*_place(run), run.cell, run.status, run.digest, run.started, run.message)) for run in runs)
    facts += [*sorted({repr((*_place(run), run.asked)) for run in runs}), repr(sum(run.lacking for run in runs))]
    facts += baseline_facts(runs) + analysis_facts(runs)
    facts += sorted({repr((*_place(run), run.selected)) for run in runs if run.selected})
    # cells of one study share what is missing of it, and its published numbers
    facts += sorted({repr(sorted(each.items())) for each in {id(run.missing): run.missing for run in runs}.values()})
    of_studies = {(id(run.references), run.note): (run.references, run.note) for run in runs}.values()
    facts += sorted(set(map(repr, of_studies)))
    return sha256_of("\n".join([version("kernbench"), *facts]), 16)


def _place(run: Run) -> tuple[str, str]:
    return run.database, run.study


def is_current(runs: Iterable[Run], out_dir: Path) -> bool:
    """Whether the page in the folder was made from these very runs, and all that belongs to it is there."""
    found, source = read_manifest(out_dir), source_digest(runs)
    files = [] if found is None else [out_dir / name for name, form in found.files.items() if form == HTML]
    if found is None or found.source != source or not files or not all(path.is_file() for path in files):
        return False
    with (out_dir / PAGE).open(encoding="utf-8", errors="replace") as file:
        return SOURCE.format(source) in file.read(4096)


def write_report(runs: Iterable[Run], out_dir: Path, databases: Sequence[str] = ()) -> Path:
    """Write page, tables and figures; remove what an earlier report left there and this one does not write.

    Args:
        runs: cells, finished or not; those of one study file, version, profile and database are compared.
        out_dir: folder, made if missing; only files that kernbench wrote are replaced or removed, see `publishing`.
        databases: of the runs, as the folder's manifest calls them.

    Returns:
        Path of the page, `report.html`.

    Raises:
        KernbenchError: there are no runs.
        StorageError: the folder cannot be written, or holds a file of the same name that is not from kernbench.
    """
    runs = list(runs)
    found, source = comparisons(runs), source_digest(runs)
    try:
        with publishing(out_dir, HTML, source, databases) as new:
            (new / FIGURES).mkdir()
            folder = Folder(new)
            with set_aside(), _tables(found, new):  # drawing makes garbage by the megabyte, the runs are none
                sections = [_section(comparison, index, folder) for index, comparison in enumerate(found)]
            write_whole(new / PAGE, _render(sections, written_tables(new), folder, source))
    except OSError as error:
        raise StorageError(f"the report cannot be written to {out_dir}: {error}") from error
    _warn_of(folder.missing_figures())
    return out_dir / PAGE


@contextmanager
def _tables(found: Sequence[Comparison], folder: Path) -> Iterator[None]:
    """Write the tables: before the body, or beside it where they take seconds."""
    work = functools.partial(write_tables, found, folder)
    tables = (table for comparison in found for run in comparison.runs for table in run.scores.values())
    if sum(table.tp.shape[1] for table in tables) < MANY_LINES:
        work()
        yield
    else:
        with beside(work):
            yield


def _warn_of(missing: Sequence[str]) -> None:
    """One warning, however many figures are missing: the page says the same, and has everything else."""
    if missing:
        more = f"; and {counted(len(missing) - 1, 'more reason')} on the page" if len(missing) > 1 else ""
        warnings.warn(f"the report goes without figures: {missing[0]}{more}", KernbenchWarning, stacklevel=3)


@functools.cache
def _templates() -> Environment:
    """The templates, compiled once in a process: that takes longer than a small page."""
    environment = Environment(
        loader=PackageLoader("kernbench.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = published_texts
    environment.filters["seeds_needed"] = seeds_needed_text
    environment.filters["counted"] = counted
    environment.filters["p_text"] = p_text
    environment.filters["code"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped
    environment.globals["MOST_ROWS"] = MOST_ROWS
    return environment


def _render(sections: Sequence[Section], tables: Sequence[Path], folder: Folder, source: str) -> str:
    environment = _templates()
    runs = [run for section in sections for run in section["comparison"].runs]
    script, style = (_asset(environment, name) for name in ("page.js", "page.css"))
    return environment.get_template("report.html.j2").render(
        sections=sections,
        downloads=downloads(tables),
        script=script,
        script_hash=script_hash(script),
        style=style,
        columns=all_costs(),
        cells=len(runs),
        latest=max(run.started for run in runs),
        unreadable=folder.unreadable,
        undrawn=folder.missing_figures(),
        source=SOURCE.format(source),
    )


def _asset(environment: Environment, name: str) -> str:
    """A file of ours as it is."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _section(comparison: Comparison, index: int, folder: Folder) -> Section:
    baselines = _baselines(comparison, folder)
    anchor = f"c{index + 1}"  # name within the page
    marks = marks_of(comparison, anchor)
    levels = baseline_levels(baselines, comparison.tolerance)
    kernels = kernel_pictures(comparison, folder, anchor)
    return {
        "comparison": comparison,
        "anchor": anchor,
        "marks": marks,
        "signs": series_signs(comparison),
        "question": next((run.question for run in comparison.runs if run.question), ""),
        "setup": setup_rows(comparison),
        "tolerance_um": float(tolerance_um(comparison.tolerance)),
        "matrix": matrix(comparison),
        "orders": order_facts(comparison),
        "cost_ranges": cost_ranges(comparison),
        "headline": headline(comparison),
        "cautions": cautions(comparison),
        "left_out": left_out(comparison),
        "rows": summary_rows(comparison),
        "same": same_text(comparison),
        "trends": trend_rows(comparison),
        "one_seed": any(min(each.found.seeds) < 2 for each in comparison.differences),
        "pictures": study_pictures(comparison, folder, levels, anchor, marks),
        "kernels": kernels,
        "kernel_ids": {each.point: each.id for each in kernels},
        "analyses": analysed(comparison, folder),
        "example": example_picture(comparison, folder),
        "provenance": provenance(comparison.runs),
        "curves": curve_rows(comparison),
        "lines": line_rows(comparison),
        "noise": noise_table(comparison),
        "rates": rate_table(comparison),
        "pulses": pulse_table(comparison),
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
