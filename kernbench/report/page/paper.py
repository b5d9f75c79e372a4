"""The matrix of each comparison for a paper: LaTeX, Markdown or CSV."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kernbench.errors import StorageError, one_line
from kernbench.host.csv_cells import cell_text, csv_text
from kernbench.host.files import write_whole
from kernbench.report.numbers.comparison import Comparison, comparisons
from kernbench.report.numbers.paper_table import PaperCell, PaperTable, paper_table, status_of
from kernbench.report.page.csv_tables import CsvRow, table_of
from kernbench.store.reading.records import Run

FILES = {"latex": "matrix.tex", "markdown": "matrix.md", "csv": "matrix.csv"}
_LONGEST = 500  # letters of a name

_LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_MARKDOWN = {letter: f"\\{letter}" for letter in r"\`*_[]<>|&#~$"}


def matrix_text(runs: Iterable[Run], form: str) -> str:
    """The matrices of all comparisons.

    Args:
        runs: as for `html.write_report`.
        form: "latex", "markdown" or "csv".

    Raises:
        KernbenchError: there are no runs.
    """
    return _FORMS[form](comparisons(runs))


def write_matrix(runs: Iterable[Run], form: str, out_dir: Path, databases: Sequence[str] = ()) -> Path:
    """Write them to a file of the folder, see `FILES`, beside what was made there from the same cells.

    Args:
        runs: as above.
        form: as above.
        out_dir: folder, made if missing; what kernbench made there from other cells is removed, see `publishing`.
        databases: of the runs, as the folder's manifest calls them.

    Raises:
        KernbenchError: there are no runs.
        StorageError: the folder cannot be written, or holds a file of that name that is not from kernbench.
    """
    from kernbench.report.page.html import source_digest  # noqa: PLC0415  # with it comes all that draws
    from kernbench.report.page.publishing import publishing  # noqa: PLC0415

    runs = list(runs)
    text, source = matrix_text(runs, form), source_digest(runs)
    try:
        with publishing(out_dir, form, source, databases) as new:
            write_whole(new / FILES[form], text)
    except OSError as error:
        raise StorageError(f"{FILES[form]} cannot be written to {out_dir}: {error}") from error
    return out_dir / FILES[form]


def _latex(found: Sequence[Comparison]) -> str:
    tables = (_latex_table(paper_table(comparison)) for comparison in found)
    return "% \\usepackage{booktabs}\n" + "\n".join(tables)


def _latex_table(table: PaperTable) -> str:
    def cell(found: PaperCell) -> str:
        mean = rf"\textbf{{{found.mean}}}" if found.bold else found.mean
        return " ".join(filter(None, [mean, found.interval, _escaped(found.status, _LATEX)]))

    # the braces, because \\ and \midrule take a star, or what is in brackets, after them
    rows = ["{}" + " & ".join([_escaped(name, _LATEX), *map(cell, cells)]) + r" \\" for name, cells in table.rows]
    head = " & ".join(_escaped(name, _LATEX) for name in table.head) + r" \\"
    caption = " ".join(_escaped(sentence, _LATEX) for sentence in [f"{table.title}.", *table.notes])
    lines = [
        r"\begin{table}",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.matrix.columns)}}}",
        *(r"\toprule", head, r"\midrule", *rows, r"\bottomrule"),
        *(r"\end{tabular}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"


def _markdown(found: Sequence[Comparison]) -> str:
    return "\n".join(_markdown_table(paper_table(comparison)) for comparison in found)


def _markdown_table(table: PaperTable) -> str:
    def cell(found: PaperCell) -> str:
        mean = f"**{found.mean}**" if found.bold else found.mean
        return " ".join(filter(None, [mean, found.interval, _escaped(found.status, _MARKDOWN)]))

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [line([_escaped(name, _MARKDOWN), *map(cell, cells)]) for name, cells in table.rows]
    head = line(_escaped(name, _MARKDOWN) for name in table.head)
    rule = line(["---", *["---:"] * len(table.matrix.columns)])
    notes = " ".join(_escaped(sentence, _MARKDOWN) for sentence in table.notes)
    return "\n".join([_escaped(table.title, _MARKDOWN), "", head, rule, *rows, "", notes]) + "\n"


def _escaped(text: str, marks: Mapping[str, str]) -> str:
    """A text of which nothing acts; names may hold anything."""
    return "".join(marks.get(letter, letter) for letter in one_line(text, _LONGEST))


def _csv(found: Sequence[Comparison]) -> str:
    columns, rows = table_of(found, _csv_rows)
    return csv_text([list(map(cell_text, columns)), *rows], end="\n")


def _csv_rows(comparison: Comparison) -> Iterator[CsvRow]:
    """One row for each series and value of the axis."""
    table = paper_table(comparison)
    families = {series.name: series.family for series in comparison.series}
    for name, points in table.matrix.rows.items():
        for value, point in zip(table.matrix.columns, points, strict=True):
            interval = point.interval if point else None
            found = table.best.differences.get(id(point))
            yield {
                "series": name,
                "family": families[name],
                "axis": comparison.axis,
                "value": value,
                "status": status_of(point),
                "f1_mean": interval.mean if interval else None,
                "f1_low": interval.low if interval else None,
                "f1_high": interval.high if interval else None,
                "seeds": interval.seeds if interval else 0,
                "lines": interval.lines if interval else None,
                "tolerance_samples": comparison.tolerance,
                "against": found.first.name if found else "",
                "difference": -found.found.difference if found else None,
                "p_holm": found.found.p_value if found else None,
                "verdict": _SEEN_FROM_BELOW.get(found.verdict, found.verdict) if found else "",
                "bold": int(table.best.is_best(point)),
            }


_SEEN_FROM_BELOW = {"better": "worse", "worse": "better"}  # the row is the second of its difference

_FORMS: Mapping[str, Callable[[Sequence[Comparison]], str]] = {"latex": _latex, "markdown": _markdown, "csv": _csv}
