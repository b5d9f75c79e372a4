"""The table of a paper in LaTeX, Markdown and CSV."""

import csv
import re
from dataclasses import replace

import pytest

from kernbench.cli.report import FORMATS
from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.page.paper import FILES, matrix_text, write_matrix

HOSTILE = r"[a]*|b\_{c}$&#~^%<i>`&amp;"
FIELDS = ("tolerances", "tp", "fn", "fp", "thresholds")
QUALITIES = {"discrete": 0.9, "siren": 0.6}


@pytest.fixture(scope="module")
def runs(make_run):
    """Two families at 65 with three seeds, and what has no score: diverged, on the plateau, missing."""
    well = [make_run(family, 65, seed, quality) for family, quality in QUALITIES.items() for seed in range(3)]
    plateau = [make_run("siren", 129, seed) for seed in range(2)]
    for run in plateau:
        for scores in run.scores.values():
            scores.tp[:] = 0
    failed = [make_run("discrete", 129, 0, status="diverged"), make_run("siren", 65, 3, status="oom")]
    return [*well, *plateau, *failed, make_run(HOSTILE, 129, 0, 0.5)]


def test_csv_is_tidy(runs):
    rows = list(csv.DictReader(matrix_text(runs, "csv").splitlines()))
    assert [(row["family"], row["axis"], row["value"]) for row in rows] == [
        (family, "kernel_size", value) for family in sorted([HOSTILE, *QUALITIES]) for value in ("65", "129")
    ]
    found = {(row["family"], row["value"]): row for row in rows}
    best, other = found["discrete", "65"], found["siren", "65"]
    assert (best["bold"], best["verdict"], other["bold"], other["verdict"]) == ("1", "", "0", "worse")
    assert other["against"] == "discrete (kernel_size = 65)"
    assert float(other["difference"]) == pytest.approx(float(other["f1_mean"]) - float(best["f1_mean"]))
    assert (best["seeds"], best["lines"], best["status"], other["status"]) == ("3", "64", "ok", "ok 3, oom 1")
    assert float(best["f1_low"]) < float(best["f1_mean"]) < float(best["f1_high"])
    assert [found[key]["status"] for key in (("discrete", "129"), ("siren", "129"), (HOSTILE, "65"))] == [
        *("diverged", "plateau", "missing")
    ]
    assert [row["bold"] for row in rows].count("1") == 1


def test_latex_has_a_cell_for_each_row_and_column_whatever_a_name_holds(runs):
    text = matrix_text(runs, "latex")
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    rows = [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in body]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert rows[0][0].strip() == (
        r"{}[a]*\textbar{}b\textbackslash{}\_\{c\}\$\&\#\textasciitilde{}\textasciicircum{}\%"
        r"\textless{}i\textgreater{}`\&amp;"
    )
    assert rows[1][1].strip().startswith(r"\textbf{0.")
    assert [row[2].strip() for row in rows[1:]] == ["diverged", "0.001 [0.000, 0.009] (plateau)"]
    assert text.count(r"\textbf") == 1
    assert not re.search(r"(?<!\\)[%#$^~]", text.partition("\n")[2])  # nothing that acts, beyond the head's comment
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_markdown_has_a_cell_for_each_row_and_column_whatever_a_name_holds(runs):
    lines = [line for line in matrix_text(runs, "markdown").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert [len(row) for row in rows] == [3] * 5
    assert re.sub(r"\\(.)", r"\1", rows[2][0]) == HOSTILE
    assert not re.search(r"(?<!\\)[<*_`\[$]", re.sub(r"\\\\", "", rows[2][0]))
    assert re.fullmatch(r"\*\*0\.\d{3}\*\* \[0\.\d{3}, 0\.\d{3}\]", rows[3][1])
    assert rows[4][1].endswith("(ok 3, oom 1)")
    assert [row[2] for row in rows[3:]] == ["diverged", "0.001 [0.000, 0.009] (plateau)"]


@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_below_the_table_is_what_its_numbers_and_bold_mean(runs, make_run, form):
    text = " ".join(matrix_text(runs, form).replace("\\", "").split())
    for words in (
        "Test lines: 64; tolerance: 4 samples; seeds of each score: 1 to 3;",
        "Bold: better than every other",
    ):
        assert words in text
    one = " ".join(matrix_text([make_run(family, 65) for family in QUALITIES], form).split())
    assert "Nothing is bold, which would mean: better than every other score of its column" in one
    assert "One seed per cell: no family can be called better or worse" in one
    assert "No cell has a score." in matrix_text([make_run(status="oom")], form)


def test_every_format_refuses_no_cells():
    assert ("html", *FILES) == FORMATS
    for form in FILES:
        with pytest.raises(KernbenchError, match="nothing to report"):
            matrix_text([], form)


def test_a_page_and_a_table_of_the_same_cells_stay_together(page_of, tmp_path, make_run):
    runs = [make_run(), make_run("discrete")]
    page_of(runs)
    write_matrix(runs, "latex", tmp_path)
    assert {"report.html", "summary.csv", "matrix.tex"} <= {path.name for path in tmp_path.iterdir()}
    page_of(runs[:1])
    assert not (tmp_path / "matrix.tex").exists()
    write_matrix(runs, "csv", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"matrix.csv", "kernbench-report.json"}


def test_reading_the_headline_tolerance_alone_gives_the_same_numbers(make_run):
    """As the command reads for a table; floors belong to tolerances, not to what was read."""
    whole = [make_run(family, 65, seed, 0.6 + 0.02 * seed) for family in QUALITIES for seed in range(3)]
    few = []
    for run in whole:
        scores = {
            split: replace(each, **{name: getattr(each, name)[4:5] for name in FIELDS})
            for split, each in run.scores.items()
        }
        few.append(replace(run, scores=scores))
    assert matrix_text(few, "csv") == matrix_text(whole, "csv")
    one, other = (comparisons(runs)[0] for runs in (few, whole))
    assert one.spread == other.spread
    assert [point.floors() for point in one.points] == [point.floors() for point in other.points]
