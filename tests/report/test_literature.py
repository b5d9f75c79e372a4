import csv
import dataclasses

import numpy as np
import pytest

from kernbench.engine.reference import Reference
from kernbench.report.gather import comparisons
from kernbench.report.html import write_report
from kernbench.report.literature import beside
from kernbench.ulm.scores import f1_scores

ROW = Reference("Author 2000, Table 1", "siren", "test", "mean", "kernel_size", (17, 65), (0.3, 0.8), tolerance=3)


def f1(run, tolerance, split="test"):
    scores = run.scores[split]
    return f1_scores(scores.tp[tolerance], scores.fn[tolerance], scores.fp[tolerance])


def with_references(runs, *references):
    return [dataclasses.replace(run, references=references) for run in runs]


def test_measured_is_the_mean_over_seeds_of_the_statistic_over_lines(make_run):
    runs = [make_run("siren", size, seed=seed) for size in (17, 65) for seed in (0, 1, 2)]
    median = dataclasses.replace(ROW, statistic="median", split="validation", tolerance=5)
    (comparison,) = comparisons(with_references(runs, ROW, median))
    rows = beside(comparison)
    assert [(row.source, row.reference) for row in rows] == 2 * [(ROW.source, 0.3), (ROW.source, 0.8)]
    seeds = [float(np.mean(f1(run, 3))) for run in runs[3:]]
    assert rows[1].measured == pytest.approx(np.mean(seeds))
    assert (rows[1].low, rows[1].high, rows[1].seeds) == (min(seeds), max(seeds), 3)
    assert rows[1].difference == pytest.approx(np.mean(seeds) - 0.8)
    assert rows[2].measured == pytest.approx(np.mean([np.median(f1(run, 5, "validation")) for run in runs[:3]]))


def test_a_row_along_the_tolerance_reads_every_tolerance(make_run):
    row = dataclasses.replace(ROW, axis="tolerance", at=(0, 9), values=(0.4, 0.9), where={"kernel_size": 65})
    runs = [make_run("siren", 17), make_run("siren", 65)]
    (comparison,) = comparisons(with_references(runs, row))
    found = beside(comparison)
    assert [each.measured for each in found] == pytest.approx([np.mean(f1(runs[1], 0)), np.mean(f1(runs[1], 9))])


def test_another_family_and_another_split_are_not_compared(make_run):
    missing = dataclasses.replace(ROW, split="train")
    (comparison,) = comparisons(with_references([make_run("discrete", 17), make_run("siren", 17)], missing))
    (row,) = beside(comparison)
    assert row.point.startswith("siren")
    assert row.measured is None
    assert row.difference is None


def test_page_and_table_hold_the_published_numbers(tmp_path, make_run):
    runs = with_references([make_run("siren", 65, seed=seed) for seed in (0, 1)], ROW)
    page = write_report(runs, tmp_path).read_text()
    assert "Beside the literature" in page
    assert "0.8000" in page
    (row,) = csv.DictReader((tmp_path / "published.csv").read_text().splitlines())
    assert float(row["difference"]) == pytest.approx(np.mean([f1(run, 3).mean() for run in runs]) - 0.8)


def test_a_study_without_published_numbers_has_no_such_section(tmp_path, make_run):
    assert "Beside the literature" not in write_report([make_run()], tmp_path).read_text()
    assert not (tmp_path / "published.csv").exists()
