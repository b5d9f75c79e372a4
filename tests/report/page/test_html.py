"""The page and its tables: right numbers, nothing from outside, hostile names harmless, failures shown."""

import csv
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from html_page import Page

from kernbench.errors import KernbenchError, StorageError
from kernbench.report.page.html import is_current, write_report
from kernbench.ulm.scoring.scores import f1_scores


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def report(tmp_path_factory, sweep):
    path = write_report(sweep, tmp_path_factory.mktemp("report"))
    return Page(path.read_text(encoding="utf-8")), path.parent


def f1_of(run, tolerance=4):
    scores = run.scores["test"]
    return f1_scores(scores.tp[tolerance], scores.fn[tolerance], scores.fp[tolerance])


def test_summary_table_and_csv_hold_the_means(report, sweep):
    page, folder = report
    rows = read(folder / "summary.csv")
    assert len(rows) == 10
    for run in sweep[:8]:
        f1 = f1_of(run)
        row = next(r for r in rows if r["family"] == run.family and r["kernel_size"] == str(run.params["kernel_size"]))
        assert float(row["f1_mean"]) == pytest.approx(f1.mean())
        assert float(row["f1_median"]) == pytest.approx(np.median(f1))
        floor = run.lines.floors["comb"][4]
        assert float(row["skill"]) == pytest.approx((f1.mean() - floor) / (1 - floor))
        half = 1.96 * f1.std() / np.sqrt(len(f1))
        assert float(row["f1_high"]) - float(row["f1_low"]) == pytest.approx(2 * half, rel=0.15)
        shown = next(r for r in page.rows if r[:2] == [run.family, str(run.params["kernel_size"])])
        assert shown[2].startswith(f"{f1.mean():.3f} [")
        assert shown[-1] == "ok"


def test_tolerances_csv_has_units_and_floors(report, sweep):
    rows = [r for r in read(report[1] / "tolerances.csv") if r["point"] == "siren (kernel_size = 65)"]
    assert [int(r["tolerance_samples"]) for r in rows] == list(range(10))
    for t, row in enumerate(rows):
        assert float(row["f1_mean"]) == pytest.approx(f1_of(sweep[1], t).mean())
        assert float(row["tolerance_ns"]) == pytest.approx(16 * t)
        assert float(row["floor_comb"]) == pytest.approx(sweep[1].lines.floors["comb"][t])


def test_lines_csv_has_every_line(report, sweep):
    rows = [r for r in read(report[1] / "lines.csv") if r["study"] == sweep[1].study and r["cell"] == sweep[1].cell]
    assert [float(r["f1"]) for r in rows] == pytest.approx(f1_of(sweep[1]).tolist())
    assert [int(r["bubbles"]) for r in rows] == sweep[1].lines.facts["bubbles"].tolist()


def test_lines_csv_of_cells_of_which_some_say_nothing_of_their_lines(tmp_path, make_run):
    known, unknown = make_run("=a", lines=5), dataclasses.replace(make_run("siren", lines=5), lines=None)
    write_report([known, unknown], tmp_path)
    rows = {run.study: [r for r in read(tmp_path / "lines.csv") if run.study in r["study"]] for run in (known, unknown)}
    assert [r["study"] for r in rows[known.study]] == [f"'{known.study}" if known.study[0] == "=" else known.study] * 5
    for run in (known, unknown):
        assert [int(r["line"]) for r in rows[run.study]] == list(range(5))
        assert [float(r["f1"]) for r in rows[run.study]] == f1_of(run).tolist()
    assert [float(r["pressure_pa"]) for r in rows[known.study]] == known.lines.facts["pressure_pa"].tolist()
    assert {(r["bubbles"], r["pressure_pa"]) for r in rows[unknown.study]} == {("", "")}


def test_differences_csv_is_paired(report, sweep):
    row = next(r for r in read(report[1] / "differences.csv") if r["kernel_size"] == "65")
    assert row["first"].startswith("siren")
    assert float(row["difference"]) == pytest.approx((f1_of(sweep[1]) - f1_of(sweep[5])).mean())


def test_headline_names_the_winner_and_the_floor(report, sweep):
    text = report[0].text
    winner = sweep[5]
    assert "discrete (kernel_size = 65) scores highest on the validation lines" in text
    assert f"its mean F1 on 64 test lines is {f1_of(winner).mean():.3f} [" in text
    assert "64 ns, 47.4 µm two-way depth" in text
    assert f"0 is a blind guess (a comb, F1 {winner.lines.floors['comb'][4]:.3f} on the same lines)" in text
    assert "below the blind floor" in text
    assert "Without a score: 1 diverged, 1 oom" in text


def test_cells_that_are_not_ok_are_listed_with_the_reason(report):
    page, folder = report
    for status in ("diverged", "oom"):
        row = next(r for r in page.rows if f"it was {status}" in r)
        assert row[0] == "k_sweep.v1.quick/gaussian"
        assert status in row
    assert [r["status"] for r in read(folder / "cells.csv")].count("ok") == 8


def test_page_needs_nothing_from_outside(report):
    page, folder = report
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    for link in page.links:
        assert link.startswith("#") or (folder / link).is_file()
    assert "http" not in "".join(
        line for line in (folder / "report.html").read_text().splitlines() if "data:" not in line
    ).replace("http-equiv", "")


def test_hostile_names_are_only_text(tmp_path, make_run):
    name = "<script>alert('x')</script>\"&'$\\frac{1}$ ünïcødé ../../etc"
    run = make_run(
        name, base="../<b>/é.v1.quick", artifacts=True, params={"kernel_size": 65, "axis<i>": "=1+1", "seed": 0}
    )
    failed = make_run(
        name,
        base="../<b>/é.v1.quick",
        status="error",
        message="</td><img src=http://x/y onerror=z>",
        params={"kernel_size": 65, "axis<i>": "b", "seed": 0},
    )
    folder = tmp_path / "deep" / "report"
    page = Page(write_report([run, failed], folder).read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert name in page.text
    assert "</td><img src=http://x/y onerror=z>" in page.text
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    written = {
        path.relative_to(folder).parts[0] for path in tmp_path.rglob("*") if path.is_file() and folder in path.parents
    }
    tables = {"summary.csv", "cells.csv", "lines.csv", "tolerances.csv", "line_statistics.csv", "bins.csv"}
    assert written <= {"report.html", "figures", "environments.csv", *tables}
    assert all(row["family"] == name for row in read(folder / "summary.csv"))
    assert "'=1+1" in [row["axis<i>"] for row in read(folder / "summary.csv")]


def test_what_all_points_share_is_said_once(tmp_path, make_run):
    params = [{"kernel_size": 3, "rate": rate, "depth": rate * 10, "seed": 0} for rate in (1, 2, 3)]
    page = Page(write_report([make_run(params=each) for each in params], tmp_path).read_text())
    head = next(row for row in page.rows if row[0] == "family")
    rows = [row for row in page.rows if row[0] == "siren" and row[-1] == "ok"]
    assert "All points: kernel_size = 3." in page.text
    assert head[1:3] == ["depth", "other values"]
    assert [row[1:3] for row in rows] == [["10", "rate = 1"], ["20", "rate = 2"], ["30", "rate = 3"]]


def test_scores_of_the_other_metric_and_costs_have_tables_of_their_own(tmp_path, make_run):
    matched = {name: [0.25 + place / 100] * 10 for place, name in enumerate(("f1", "precision", "recall"))}
    page = Page(write_report([make_run(matched=matched | {"rmse_samples": [1.5] * 10})], tmp_path).read_text())
    heads = [row for row in page.rows if row[0] == "family"]
    assert len(heads) == 3
    assert max(map(len, heads)) <= 10
    rows = [row for row in page.rows if row[:2] == ["siren", "65"]]
    assert rows[1][2:7] == ["0.250", "0.260", "0.270", "1.50", "17.8"]
    assert rows[2][2:4] == ["4,321", "4,000"]


def test_no_runs_is_one_clear_line(tmp_path):
    with pytest.raises(KernbenchError, match="nothing to report"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_one_run_with_one_line(tmp_path, make_run):
    page = Page(write_report([make_run(lines=1, artifacts=True)], tmp_path).read_text())
    assert "siren (kernel_size = 65) scores highest" in page.text
    assert len(page.sources) == 7


def test_only_failed_runs(tmp_path, make_run):
    runs = [make_run(status="diverged"), make_run(kernel_size=17, status="killed", environment={}, plugin="")]
    page = Page(write_report(runs, tmp_path).read_text())
    assert "No cell of k_sweep.v1.quick has a score yet: 1 diverged, 1 killed." in page.text
    assert page.sources == []


def test_several_seeds_and_comparisons(tmp_path, make_run):
    runs = [make_run(seed=seed) for seed in (0, 1, 2)] + [make_run(base="other.v1.quick")]
    page = Page(write_report(runs, tmp_path).read_text())
    row = next(r for r in page.rows if r[:2] == ["siren", "65"] and "3" in r)
    assert row[2].startswith(f"{np.mean([f1_of(run).mean() for run in runs[:3]]):.3f}")
    assert "on 64 test lines and 3 seeds" in page.text
    assert {"#comparison-1", "#comparison-2"} <= set(page.links)


def test_damaged_and_missing_artifacts_are_said(tmp_path, make_run):
    run = make_run(artifacts=True)
    run.artifacts["cell.npz"].write_bytes(b"not an archive")
    run.artifacts["curve.csv"].write_text("epoch,train_loss\n1,abc\n")
    page = Page(write_report([run], tmp_path / "report").read_text())
    assert "cell.npz cannot be read" in page.text
    assert "curve.csv cannot be read" in page.text
    assert len(page.sources) == 4


def test_mixed_conditions_are_said(tmp_path, make_run):
    runs = [
        make_run("siren"),
        make_run("siren", 129, plugin="kernbench 0.2.0", kernbench_version="0.2.0"),
        make_run("discrete", environment={"python": "3.13.0", "threads": 1}, device="cuda:0"),
        make_run("gaussian", data_digest="otherdata", settings_digest="b"),
    ]
    runs[0] = dataclasses.replace(runs[0], settings_digest="a")
    text = Page(write_report(runs, tmp_path).read_text()).text
    for words in (
        "versions of the plugin of siren: kernbench 0.1.0 (1 cell), kernbench 0.2.0 (1 cell)",
        "kernbench versions: 0.1.0 (3 cells), 0.2.0 (1 cell)",
        "devices: cpu (3 cells), cuda:0 (1 cell)",
    ):
        assert words in text[: text.index("Summary")]
    assert "Cells ran in 3 environments, which differ in cpu, device, packages.kernbench," in text
    assert "There are several versions of the plugin of siren" in text
    assert "different data sets (ba9876543210, otherdata)" in text
    assert "different settings (siren: a; gaussian: b)" in text
    assert "One seed per cell" in text


def test_equal_conditions_raise_no_caution(tmp_path, make_run):
    text = Page(write_report([make_run(seed=0), make_run(seed=1)], tmp_path).read_text()).text
    assert "Before comparing" not in text


def test_cells_that_wait_and_files_that_are_gone_are_said_before_the_numbers(tmp_path, make_run):
    runs = [make_run(seed=seed, asked=4, lacking=2) for seed in range(3)] + [make_run("discrete", asked=1)]
    page = write_report(runs, tmp_path)
    text = Page(page.read_text()).text
    before = text[: text.index("Summary")]
    assert "k_sweep.v1.quick/siren is not finished: 1 of its 4 cells has not ended" in before
    assert "discrete is not finished" not in text
    assert "6 artifacts of 3 cells are not where the database says" in before
    assert is_current(runs, tmp_path)
    runs[0] = dataclasses.replace(runs[0], lacking=0)
    assert not is_current(runs, tmp_path)  # a file that came back belongs on the page


def test_same_runs_same_page(tmp_path, make_run):
    runs = [make_run(artifacts=True)]
    pages = [write_report(runs, tmp_path / name).read_bytes() for name in ("one", "two")]
    assert pages[0] == pages[1]


@pytest.mark.skipif(os.name != "posix", reason="needs a path that cannot be a folder")
def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path, make_run):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report([make_run()], tmp_path / "file" / "report")


def test_a_page_that_cannot_be_finished_leaves_the_old_one(tmp_path, make_run, monkeypatch):
    old, new = [make_run()], [make_run(), make_run("siren")]
    before = write_report(old, tmp_path).read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"cannot be written to .*No space left"):
        write_report(new, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
    assert not is_current(new, tmp_path)  # half a page had said that it is: the line stands at its top


def test_names_that_become_the_same_file_name_keep_their_figures(tmp_path, make_run):
    runs = [make_run(name, artifacts=True) for name in ("a/b", "a?b")]
    page = Page(write_report(runs, tmp_path).read_text())
    files = [link for link in page.links if link.startswith("figures/")]
    assert len(set(files)) == len(files) == 9


def test_the_report_needs_no_torch():
    heavy = "{'torch', 'optuna', 'scipy.stats', 'matplotlib.pyplot'}"
    code = f"import sys, kernbench.report.page.html; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_page_is_current_for_its_own_runs_only(tmp_path, make_run):
    runs = [make_run(), make_run(kernel_size=17)]
    assert not is_current(runs, tmp_path)
    write_report(runs, tmp_path)
    assert is_current(list(reversed(runs)), tmp_path)
    assert not is_current(runs[1:], tmp_path)
