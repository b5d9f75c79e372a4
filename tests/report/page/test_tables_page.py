"""docs/tables.md names every column of every table, and no other one."""

import csv
import re
from pathlib import Path

import pytest

from kernbench.report.analyses.analysis import CELL_COLUMNS
from kernbench.report.analyses.catalogue import ANALYSES
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.page.csv_tables import TABLES, write_tables, written_tables
from kernbench.study.reference import Reference

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"
SHARED, OF_CELLS = "Columns that several tables share", "Columns of the analyses of trained cells"
LAYER = {
    "layer": 1,
    "taps": 65,
    "dilation": 1,
    "in_channels": 1,
    "out_channels": 8,
    "parameters_kernel": 520,
    "parameters_amplitude": 0,
    "raw_gain": 0.3,
    "gain": 1.0,
    "flops_direct": 2e6,
    "flops": 1e6,
    "backend": "fft",
}
TUNED = {
    "tuning": {"sampler": "tpe", "seed": 3, "trials": 2},
    "kernel": {"family": "siren", "hyper": {}, "tuned": {"omega_0": {}}, "draws": 2},
    "training": {"epochs": 60},
}


def documented():
    """Name of a table -> its columns; the heading for columns that several share."""
    text = PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    names = [re.match(r"(\w+)\.csv", part) for part in parts]
    rows = [re.findall(r"^\| (`[^|]*`) \|", part, flags=re.MULTILINE) for part in parts]
    return {
        (name[1] if name else part.partition("\n")[0]): {word for row in each for word in re.findall(r"`(\w+)`", row)}
        for part, name, each in zip(parts, names, rows, strict=True)
    }


@pytest.fixture(scope="module")
def written(make_run, curves, tmp_path_factory):
    """Columns of every table, of a sweep with published numbers and of a tuned study, in two databases."""
    row = Reference("A, Fig. 1", "siren", "test", "mean", "tolerance", tuple(range(10)), (0.5,) * 10)
    runs = [
        make_run(family, size, seed, curve=curves(seed), references=(row,), database="a.db", layers=(LAYER,))
        for family in ("discrete", "siren")
        for size in (65, 129)
        for seed in range(2)
    ]
    for draw in range(2):
        params = {"kernel_size": 65, "draw": draw, "seed": 0, "omega_0": 30.0 + draw}
        runs.append(make_run(params=params, definition=TUNED, base="tuned_k.v1.quick", database="a.db"))
    for family in ("discrete", "siren"):  # in networks of sizes of their own
        for name in ("shallow", "strided"):
            sizes = {"name": name, "kernel_size": 65, "channels": 8, "depth": 2, "field": 129, "field_asked": 129}
            for seed in range(2):
                params = {"name": name, "seed": seed}
                runs.append(make_run(family, params=params, network=sizes, base="networks.v1.quick", database="a.db"))
    folder = tmp_path_factory.mktemp("tables")
    write_tables(comparisons(runs), folder)
    return {
        path.stem: next(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in written_tables(folder)
    }


def test_every_table_has_a_section(written):
    analyses = {table for analysis in ANALYSES for table in analysis.tables}
    # that of `analyze fit` has a test of its own
    assert documented().keys() == {SHARED, OF_CELLS, *TABLES, *analyses, "fit"}
    assert written.keys() == TABLES.keys()


@pytest.mark.parametrize("table", [name for name in TABLES if name != "environments"])
def test_every_column_is_documented_and_every_documented_one_is_there(written, table):
    columns, pages = set(written[table]), documented()
    if table in ("summary", "differences"):
        columns -= {"kernel_size", "name"}  # the axes, whose names are those of the studies
    assert columns <= pages[SHARED] | pages[table]
    assert pages[table] <= columns
    used = set().union(*map(set, written.values()))
    assert pages[SHARED] <= used


def test_columns_of_analyses_are_those_that_they_declare():
    pages = documented()
    assert pages[OF_CELLS] == set(CELL_COLUMNS)
    for analysis in ANALYSES:
        for table, columns in analysis.tables.items():
            assert pages[table] == set(columns), table
