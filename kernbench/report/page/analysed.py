"""What trained kernels became, on the page: a part for each analysis that has results about the cells shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from kernbench.errors import DataError, counted
from kernbench.report.analyses.analysis import Analysis, Row, Shown
from kernbench.report.analyses.by_layer import kept_apart
from kernbench.report.analyses.catalogue import ANALYSES
from kernbench.report.analyses.stored import checksums, stored
from kernbench.report.numbers.comparison import Comparison
from kernbench.report.page.pictures import Folder, Picture, picture
from kernbench.store.reading.records import OK, Run


@dataclass(frozen=True)
class Analysed:
    """One analysis of the cells of a comparison.

    Attributes:
        name: of the analysis.
        heading: of it.
        extent: how many cells were analysed, and how to analyse the others.
        tables: what it says of them.
        pictures: none or one.
    """

    name: str
    heading: str
    extent: str
    tables: Sequence[Shown]
    pictures: Sequence[Picture]


def analysed(comparison: Comparison, folder: Folder) -> list[Analysed]:
    """Every analysis that has results; a file that cannot be read is said on the page."""
    runs = [run for run in comparison.runs if run.status == OK]
    found = []
    for analysis in ANALYSES:
        try:
            rows = stored(analysis, runs)
        except DataError as error:
            folder.unreadable.append(str(error))
            continue
        if any(rows.values()):
            found.append(_analysed(analysis, rows, comparison, folder))
    return found


def analysis_facts(runs: Sequence[Run]) -> list[str]:
    """Checksums of the files that a report on these runs shows, so that new results make a new page."""
    return checksums(ANALYSES, runs)


def _analysed(analysis: Analysis, rows: dict[str, list[Row]], comparison: Comparison, folder: Folder) -> Analysed:
    cells = {(row["study"], row["cell"]) for table in rows.values() for row in table}
    total = sum(run.status == OK for run in comparison.runs)
    command = f"`kernbench analyze {analysis.name} --study {comparison.base}`"
    more = f"; {command} analyses the others" if len(cells) < total else f", by {command}"
    drawn: list[Picture] = []
    shown = kept_apart(rows)
    with folder.drawing(f"{comparison.base}, analysis {analysis.name}"):
        figure = analysis.draw(shown)
        if figure is not None:
            words = (f"analysis-{analysis.name}", analysis.heading, analysis.caption)
            drawn.append(picture(figure, folder.stem(comparison.base, analysis.name), words, folder, png=True))
    extent = f"{counted(len(cells), 'cell')} of {total} analysed{more}."
    return Analysed(analysis.name, analysis.heading, extent, list(analysis.show(shown)), drawn)
