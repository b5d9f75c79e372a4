"""Published numbers beside measured ones, in every quantity, on the page and in its table."""

import dataclasses

import numpy as np
import pytest
from html_page import f1_of
from result_places import place
from scipy.stats import binned_statistic, spearmanr

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.curves import curve_scores
from kernbench.report.numbers.published import beside, tables
from kernbench.report.page.html import is_current
from kernbench.study.reference import Reference

ROW = Reference("Author 2000, Table 1", "siren", "test", "mean", "kernel_size", (17, 65), (0.3, 0.8), tolerance=3)


def with_references(runs, *references):
    return [dataclasses.replace(run, references=references) for run in runs]


def test_measured_is_the_mean_over_seeds_of_the_statistic_over_lines(make_run):
    runs = [make_run("siren", size, seed=seed) for size in (17, 65) for seed in (0, 1, 2)]
    median = dataclasses.replace(ROW, statistic="median", split="validation", tolerance=5)
    (comparison,) = comparisons(with_references(runs, ROW, median))
    rows = beside(comparison)
    assert [(row.source, row.reference) for row in rows] == 2 * [(ROW.source, 0.3), (ROW.source, 0.8)]
    seeds = [float(np.mean(f1_of(run, 3))) for run in runs[3:]]
    assert rows[1].measured == pytest.approx(np.mean(seeds))
    assert (rows[1].low, rows[1].high, rows[1].seeds) == (min(seeds), max(seeds), 3)
    assert rows[1].difference == pytest.approx(np.mean(seeds) - 0.8)
    assert rows[2].measured == pytest.approx(np.mean([np.median(f1_of(run, 5, "validation")) for run in runs[:3]]))


def test_a_row_along_the_tolerance_reads_every_tolerance(make_run):
    row = dataclasses.replace(ROW, axis="tolerance", at=(0, 9), values=(0.4, 0.9), where={"kernel_size": 65})
    runs = [make_run("siren", 17), make_run("siren", 65)]
    (comparison,) = comparisons(with_references(runs, row))
    found = beside(comparison)
    assert [each.measured for each in found] == pytest.approx([np.mean(f1_of(runs[1], 0)), np.mean(f1_of(runs[1], 9))])


def test_another_family_and_another_split_are_not_compared(make_run):
    missing = dataclasses.replace(ROW, split="train")
    (comparison,) = comparisons(with_references([make_run("discrete", 17), make_run("siren", 17)], missing))
    (row,) = beside(comparison)
    assert row.point.startswith("siren")
    assert row.measured is None
    assert row.difference is None


def test_page_and_table_hold_the_published_numbers_and_how_far_apart_seeds_are(page_of, make_run):
    runs = with_references([make_run("siren", 65, seed=seed) for seed in (0, 1)], ROW)
    page, means = page_of(runs), [f1_of(run, 3).mean() for run in runs]
    for words in ("Beside the literature", "0.8000", "difference (mean of 2 seeds)", f"<td>{min(means):.4f}</td>"):
        assert words in page.html
    (row,) = page.table("published")
    assert float(row["difference"]) == pytest.approx(np.mean(means) - 0.8)
    one = page_of(runs[:1]).html
    assert "difference (one seed)" in one
    assert "lowest seed" not in one


def test_a_note_is_shown_also_without_numbers_and_without_both_there_is_no_section(page_of, make_run):
    text = "No <number> was printed."
    page = page_of([make_run(note=text), make_run(kernel_size=17, note=text)])
    assert page.text.count(text) == 1
    assert "Beside the literature" in page.text
    assert "another experiment" not in page.text
    page = page_of([make_run()])
    assert "Beside the literature" not in page.text
    assert page.table("published") == []


def along(axis, at, values, **fields):
    return Reference("A", "siren", "test", fields.pop("statistic", "mean"), axis, at, values, **fields)


def test_quantities_of_the_curve_are_read_from_the_curve(make_run, curves):
    runs = [make_run(seed=seed, curve=curves(seed)) for seed in (0, 1)]
    row = along("tolerance", (0, 5), (0.3, 0.9), quantity="break_even")
    found = beside(comparisons(with_references(runs, row))[0])
    seeds = [curve_scores(curves(seed))["break_even"][5] for seed in (0, 1)]
    assert found[1].measured == pytest.approx(np.mean(seeds))
    assert (found[1].low, found[1].high) == (min(seeds), max(seeds))
    (old,) = comparisons(with_references([make_run()], row))
    assert [each.measured for each in beside(old)] == [None, None]


def test_statistics_of_the_lines_and_bins_are_measured_on_the_lines(make_run):
    run = make_run(lines=200)
    rows = (
        along("tolerance", (0, 9), (-0.5, 0.2), statistic="spearman_pressure_kpa"),
        along("tolerance", (9,), (0.9,), statistic="q75"),
        along("bubbles", (0, 300, 1000), (0.9, 0.8), tolerance=2),
        along("pressure_kpa", (300, 400), (0.9,)),
    )
    found = [each.measured for each in beside(comparisons(with_references([run], *rows))[0])]
    assert found[1] == pytest.approx(spearmanr(f1_of(run, 9), run.lines.facts["pressure_pa"]).statistic)
    assert found[2] == pytest.approx(np.quantile(f1_of(run, 9), 0.75))
    expected = binned_statistic(run.lines.facts["bubbles"], f1_of(run, 2), bins=[0, 300, 1000]).statistic
    assert found[3:5] == pytest.approx(expected)
    assert found[5] is None  # no line in the bin


def test_rows_of_one_source_and_axis_share_a_table(make_run):
    rows = (
        along("kernel_size", (17, 65), (0.3, 0.8)),
        along("kernel_size", (17, 65), (0.4, 0.9), statistic="median"),
        along("bubbles", (0, 500, 1000), (0.9, 0.8)),
        along("kernel_size", (17, 65), (0.4, 0.9), where={"omega_0": 1.0}),
    )
    one, two = tables(comparisons(with_references([make_run("siren", 65)], *rows))[0])
    assert (one["axis"], one["places"], [row["what"] for row in one["rows"]]) == (
        "kernel_size",
        (17, 65),
        ["mean F1, test lines, tolerance 4", "median F1, test lines, tolerance 4"],
    )
    (name, (missing, there)), *others = one["rows"][0]["points"].items()
    assert (name, missing, others) == ("siren", None, [])
    assert there.at == 65
    assert two["places"] == ("0–500", "500–1000")


def test_corrected_published_numbers_make_a_new_page(page_of, tmp_path, make_run):
    runs = with_references([make_run("siren", 65)], ROW)
    page_of(runs)
    assert is_current(runs, tmp_path)
    assert not is_current(with_references(runs, dataclasses.replace(ROW, values=(0.3, 0.81))), tmp_path)


def test_a_page_may_show_published_rows_beside_the_seeds(make_run, script):
    runs = [make_run("siren", 65, seed=seed) for seed in (0, 1)] + [make_run("siren", 17)]
    wide = dataclasses.replace(ROW, at=(17, 65, 257), values=(0.3, 0.8, 0.1))
    found = {each.base: each for each in comparisons(with_references(runs, wide))}
    rows = [line.strip("| ").split(" | ") for line in script.filled(place("published"), found).splitlines()[2:-2]]
    means = [f1_of(run, 3).mean() for run in runs]
    seen = (means[0] + means[1]) / 2
    assert rows[0][-3:] == ["K = 17", "K = 65", "K = 257"]
    assert rows[2] == ["Author 2000, Table 1: mean F1, test lines, tolerance 3", "0.300", "0.800", "0.100"]
    of_seeds = f"{seen:.3f} [{min(means[:2]):.3f}, {max(means[:2]):.3f}] (2)"
    assert rows[3] == ["siren", f"{means[2]:.3f} (1)", of_seeds, "–"]
    assert rows[4] == ["siren, less the published", f"{means[2] - 0.3:+.3f}", f"{seen - 0.8:+.3f}", "–"]
    with pytest.raises(KernbenchError, match="no published number"):
        script.filled(place("published"), {each.base: each for each in comparisons(runs)})
