"""The page and its tables: right numbers, nothing from outside, hostile names harmless, failures shown."""

import base64
import dataclasses
import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from html_page import Page, f1_of
from scipy import stats

from kernbench.errors import KernbenchError, KernbenchWarning, StorageError
from kernbench.report.page import html
from kernbench.report.page.html import is_current, write_report
from kernbench.ulm.scoring.seed_spread import measured_spread


@pytest.fixture(scope="module")
def report(tmp_path_factory, sweep):
    path = write_report(sweep, tmp_path_factory.mktemp("report"))
    return Page(path.read_text(encoding="utf-8"), path.parent)


def test_summary_table_and_csv_hold_the_means(report, sweep):
    rows = report.table("summary")
    assert len(rows) == 10
    for run in sweep[:8]:
        f1 = f1_of(run)
        row = next(r for r in rows if r["family"] == run.family and r["kernel_size"] == str(run.params["kernel_size"]))
        assert float(row["f1_mean"]) == pytest.approx(f1.mean())
        assert float(row["f1_median"]) == pytest.approx(np.median(f1))
        floor = run.lines.floors["comb"][4]
        assert float(row["skill"]) == pytest.approx((f1.mean() - floor) / (1 - floor))
        seed = measured_spread("quick", {}).prior  # one seed each: the spread between trainings is borrowed
        parts = stats.t.ppf(0.975, [len(f1) - 1, seed.df]) * np.sqrt([f1.var(ddof=1) / len(f1), seed.variance])
        assert float(row["f1_high"]) - float(row["f1_low"]) == pytest.approx(2 * np.hypot(*parts), rel=0.01)
        shown = next(r for r in report.rows if r[:2] == [run.family, str(run.params["kernel_size"])])
        assert shown[2].startswith(f"{f1.mean():.3f} [")
        assert shown[-2] == "ok"


def test_tables_of_many_lines_are_written_beside_the_drawing_and_are_the_same(report, sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MANY_LINES", 0)
    write_report(sweep, tmp_path)
    tables = {path.name: path.read_text(encoding="utf-8") for path in report.folder.glob("*.csv")}
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.csv")} == tables
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.html


def test_tolerances_csv_has_units_and_floors(report, sweep):
    rows = [r for r in report.table("tolerances") if r["point"] == "siren (kernel_size = 65)"]
    assert [int(r["tolerance_samples"]) for r in rows] == list(range(10))
    for t, row in enumerate(rows):
        assert float(row["f1_mean"]) == pytest.approx(f1_of(sweep[1], t).mean())
        assert float(row["tolerance_ns"]) == pytest.approx(16 * t)
        assert float(row["floor_comb"]) == pytest.approx(sweep[1].lines.floors["comb"][t])


def test_lines_csv_has_every_line_also_of_cells_that_know_nothing_of_theirs(page_of, make_run):
    known, unknown = make_run("=a", lines=5), dataclasses.replace(make_run("siren", lines=5), lines=None)
    table = page_of([known, unknown]).table("lines")
    for run in (known, unknown):
        rows = [row for row in table if row["study"] == run.study]
        assert [int(row["line"]) for row in rows] == list(range(5))
        assert [float(row["f1"]) for row in rows] == f1_of(run).tolist()
        for name in ("bubbles", "pressure_pa"):
            expected = [""] * 5 if run is unknown else list(map(str, run.lines.facts[name].tolist()))
            assert [row[name] for row in rows] == expected


def test_differences_csv_is_paired(report, sweep):
    row = next(r for r in report.table("differences") if r["kernel_size"] == "65")
    assert row["first"].startswith("siren")
    assert float(row["difference"]) == pytest.approx((f1_of(sweep[1]) - f1_of(sweep[5])).mean())


def test_headline_names_scores_and_floors_and_ranks_nothing(report, sweep):
    best = sweep[5]
    for words in (
        f"{f1_of(best).mean():.3f} [",
        "is the mean F1 of discrete (kernel_size = 65), chosen on the validation lines",
        "on 64 test lines, 1 seed, at a tolerance of 4 samples",
        "Not decided: 4 of 4 comparisons with discrete",
        "one seed supports no claim about families",
        "One seed per cell: no family can be called better or worse.",
        "64 ns, 47.4 µm two-way depth",
        f"0 is a blind guess (a comb, F1 {best.lines.floors['comb'][4]:.3f} on the same lines)",
        "below the blind floor",
        "Without a score: 1 diverged, 1 oom",
    ):
        assert words in report.text


def test_cells_that_are_not_ok_are_listed_with_the_reason(report):
    for status in ("diverged", "oom"):
        row = next(r for r in report.rows if f"it was {status}" in r)
        assert row[0] == "k_sweep.v1.quick/gaussian"
        assert status in row
    assert [r["status"] for r in report.table("cells")].count("ok") == 8


def test_page_needs_nothing_from_outside(report):
    assert "link" not in report.tags
    script = report.html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in report.html
    assert report.tags.count("script") == 1
    assert report.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in report.sources)
    for link in report.links:
        assert link.startswith(("#", "data:text/csv;"))
    known = set(re.findall(r'id="([^"]+)"', report.html))
    assert {link[1:] for link in report.links if link.startswith("#")} <= known
    texts = "".join(line for line in report.html.splitlines() if "data:" not in line)
    assert set(re.findall(r'https?://[^" ]*', texts)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_hostile_names_are_only_text(page_of, tmp_path, make_run):
    name = "<script>alert('x')</script>\"&'$\\frac{1}$ ünïcødé ../../etc"
    message = "</td><img src=http://x/y onerror=z>"
    base, params = "../<b>/é.v1.quick", {"kernel_size": 65, "axis<i>": "=1+1", "seed": 0}
    run = make_run(name, base=base, artifacts=True, params=params)
    failed = make_run(name, base=base, status="error", message=message, params=params | {"axis<i>": "b"})
    before = set(tmp_path.parent.rglob("*"))
    page = page_of([run, failed], drawn=True)
    assert page.tags.count("script") == 1
    assert "i" not in page.tags
    assert name in page.text
    assert message in page.text
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    written = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.parent.rglob("*")) - before}
    tables = {"summary.csv", "cells.csv", "lines.csv", "tolerances.csv", "line_statistics.csv", "bins.csv"}
    assert written <= {"report.html", "kernbench-report.json", "figures", "environments.csv", *tables}
    assert all(row["family"] == name for row in page.table("summary"))
    assert "'=1+1" in [row["axis<i>"] for row in page.table("summary")]


def test_what_all_points_share_is_said_once(page_of, make_run):
    params = [{"kernel_size": 3, "rate": rate, "depth": rate * 10, "seed": 0} for rate in (1, 2, 3)]
    page = page_of([make_run(params=each) for each in params])
    head = next(row for row in page.rows if row[0] == "family")
    rows = [row for row in page.rows if row[0] == "siren" and "ok" in row]
    assert "All points: kernel_size = 3." in page.text
    assert head[1:3] == ["depth", "other values"]
    assert [row[1:3] for row in rows] == [["10", "rate = 1"], ["20", "rate = 2"], ["30", "rate = 3"]]


def test_scores_of_the_other_metric_and_costs_have_tables_of_their_own(page_of, make_run):
    matched = {name: [0.25 + place / 100] * 10 for place, name in enumerate(("f1", "precision", "recall"))}
    page = page_of([make_run(matched=matched | {"rmse_samples": [1.5] * 10})])
    heads = [row for row in page.rows if row[0] == "family"]
    assert len(heads) == 3
    assert max(map(len, heads)) <= 10
    rows = [row for row in page.rows if row[:2] == ["siren", "65"]]
    assert rows[1][2:4] == ["4,321", "4,000"]
    assert rows[2][2:7] == ["0.250", "0.260", "0.270", "1.50", "17.8"]


def test_no_runs_is_one_clear_line(tmp_path):
    with pytest.raises(KernbenchError, match="nothing to report"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_one_run_with_one_line_gives_the_same_page_each_time(page_of, make_run):
    runs = [make_run(lines=1, artifacts=True)]
    page = page_of(runs, drawn=True)
    assert "is the mean F1 of siren (kernel_size = 65), on 1 test line" in page.text
    assert page.figures == 7
    assert page_of(runs, drawn=True).html == page.html


def test_only_failed_runs(page_of, make_run):
    runs = [make_run(status="diverged"), make_run(kernel_size=17, status="killed", environment={}, plugin="")]
    page = page_of(runs, drawn=True)
    assert "No cell of k_sweep.v1.quick has a score yet: 1 diverged, 1 killed." in page.text
    assert page.sources == []


def test_several_seeds_and_comparisons(page_of, make_run):
    runs = [make_run(seed=seed) for seed in (0, 1, 2)] + [make_run(base="other.v1.quick")]
    page = page_of(runs)
    row = next(r for r in page.rows if r[:2] == ["siren", "65"] and "3" in r)
    assert row[2].startswith(f"{np.mean([f1_of(run).mean() for run in runs[:3]]):.3f}")
    assert "on 64 test lines, 3 seeds," in page.text
    assert {"#c1", "#c2"} <= set(page.links)


def test_damaged_and_missing_artifacts_are_said(page_of, make_run):
    run = make_run(artifacts=True)
    run.artifacts["cell.npz"].write_bytes(b"not an archive")
    run.artifacts["curve.csv"].write_text("epoch,train_loss\n1,abc\n")
    page = page_of([run], drawn=True)
    assert "cell.npz cannot be read" in page.text
    assert "curve.csv cannot be read" in page.text
    assert page.figures == 4


def test_mixed_conditions_are_said_and_equal_ones_are_not(page_of, make_run):
    runs = [
        make_run("siren", settings_digest="a"),
        make_run("siren", 129, plugin="kernbench 0.2.0", kernbench_version="0.2.0"),
        make_run("discrete", environment={"python": "3.13.0", "threads": 1}, device="cuda:0"),
        make_run("gaussian", data_digest="otherdata", settings_digest="b"),
    ]
    text = page_of(runs).text
    for words in (
        "versions of the plugin of siren: kernbench 0.1.0 (1 cell), kernbench 0.2.0 (1 cell)",
        "kernbench versions: 0.1.0 (3 cells), 0.2.0 (1 cell)",
        "devices: cpu (3 cells), cuda:0 (1 cell)",
        "Cells ran in 3 environments, which differ in cpu, device, packages.kernbench,",
        "There are several versions of the plugin of siren",
        "different data sets (ba9876543210, otherdata)",
        "different settings (siren: a; gaussian: b)",
        "One seed per cell",
    ):
        assert words in text[: text.index("Every point")]
    assert "Before comparing" not in page_of([make_run(seed=0), make_run(seed=1)]).text


def test_cells_that_wait_and_files_that_are_gone_are_said_before_the_numbers(page_of, tmp_path, make_run):
    runs = [make_run(seed=seed, asked=4, lacking=2) for seed in range(3)] + [make_run("discrete", asked=1)]
    text = page_of(runs).text
    before = text[: text.index("Every point")]
    assert "k_sweep.v1.quick/siren is not finished: 1 of its 4 cells has not ended" in before
    assert "discrete is not finished" not in text
    assert "6 artifacts of 3 cells are not where the database says" in before
    assert is_current(runs, tmp_path)
    assert not is_current([dataclasses.replace(run, missing={"a": ("seed=1",)}) for run in runs], tmp_path)
    runs[0] = dataclasses.replace(runs[0], lacking=0)
    assert not is_current(runs, tmp_path)  # a file that came back belongs on the page


@pytest.mark.skipif(os.name != "posix", reason="needs a path that cannot be a folder")
def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path, make_run):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report([make_run()], tmp_path / "file" / "report")


def test_a_page_that_cannot_be_finished_leaves_the_old_one(page_of, tmp_path, make_run, monkeypatch):
    old, new = [make_run()], [make_run(), make_run("siren")]
    before = page_of(old).html

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"cannot be written to .*No space left"):
        page_of(new)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before
    assert not list(tmp_path.glob("*.part"))
    assert not is_current(new, tmp_path)  # half a page would say that it is: the line is near its top


def test_figures_that_fail_are_one_warning_and_one_line(page_of, make_run, monkeypatch):
    def unlucky(*_args, **_options):
        raise RuntimeError("latex could not be found")

    for name in ("page.pictures.sweep_figure", "page.pictures.tolerance_figure", "page.cell_pictures.kernel_figure"):
        monkeypatch.setattr(f"kernbench.report.{name}", unlucky)
    with pytest.warns(KernbenchWarning) as warned:
        page = page_of([make_run("siren", artifacts=True)], drawn=True)
    line = (
        "k_sweep.v1.quick, kernels of siren (kernel_size = 65); k_sweep.v1.quick, sweep; k_sweep.v1.quick, tolerance: "
        "RuntimeError: latex could not be found"
    )
    assert [str(each.message) for each in warned] == [f"the report goes without figures: {line}"]
    assert line in page.text
    assert "Figure 1." in page.text  # the others are there
    assert page.table("summary")


def test_names_that_become_the_same_file_name_keep_their_figures(page_of, make_run):
    page = page_of([make_run(name, artifacts=True) for name in ("a/b", "a?b")])
    files = re.findall(r"figures/(\S+kernels[^<]*)", page.html)
    assert len(set(files)) == len(files) == 2
    assert all((page.folder / "figures" / name).is_file() for name in files)


def test_the_report_needs_no_torch():
    heavy = "{'torch', 'optuna', 'scipy.stats', 'matplotlib.pyplot'}"
    code = f"import sys, kernbench.report.page.html; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_page_is_current_for_its_own_runs_only(page_of, tmp_path, make_run):
    runs = [make_run(), make_run(kernel_size=17)]
    assert not is_current(runs, tmp_path)
    page_of(runs)
    assert is_current(list(reversed(runs)), tmp_path)
    assert not is_current(runs[1:], tmp_path)


def test_cells_that_are_kept_apart_have_names_and_rows_of_their_own(page_of, make_run):
    runs = [make_run("discrete", size, seed) for size in (17, 65) for seed in (0, 1)]
    for plugin, quality in (("ext 1", 0.5), ("ext 2", 0.97)):
        runs += [make_run("siren", 65, seed, quality, plugin=plugin, artifacts=seed == 0) for seed in (0, 1)]
    page = page_of(runs)
    names = [f"siren (kernel_size = 65, plugin {plugin})" for plugin in ("ext 1", "ext 2")]
    assert [row["first"] for row in page.table("differences")] == names
    assert [row["verdict"] for row in page.table("differences")] == ["worse", "better"]
    assert [row["apart"] for row in page.table("summary")] == ["", "", "plugin ext 1", "plugin ext 2"]
    ids = re.findall(r' id="([^"]+)"', page.html)
    assert len(set(ids)) == len(ids)
    assert all(f"Kernels of {name}" in page.text for name in names)


def test_a_study_of_one_test_line_has_a_page(page_of, make_run):
    runs = [
        make_run(family, size, seed, lines=1) for family in ("discrete", "siren") for size in (9, 65) for seed in (0, 1)
    ]
    page = page_of(runs, drawn=True)
    assert "nan" not in page.text
    assert page.figures


def test_one_of_anything_is_no_plural(page_of, make_run):
    """One cell of one line and one seed, at a tolerance of one sample, with one file lost and one cell to come."""
    run = make_run("siren", lines=1, tolerance=1, asked=2, lacking=1)
    page = page_of([run, make_run("discrete", tolerance=1, lines=1)])
    nouns = "artifact|cell|comparison|draw|environment|line|point|run|sample|seed|sentence|series"
    for each in re.finditer(rf"(?<![\d.,])\b1 (?:test |further )?(?:{nouns})s\b", page.text):
        pytest.fail(page.text[max(0, each.start() - 60) : each.end() + 20])
    assert "1 artifact of 1 cell is not where the database says" in page.text
    assert "tolerance 1 sample" in page.text


def test_the_page_says_which_memory_is_meant(page_of, make_run):
    text = page_of([make_run()]).text
    assert "peak memory [MiB]" in text
    for said in ("on a CPU the largest resident memory of the process", "on CUDA it is the largest memory that torch"):
        assert said in text


@pytest.mark.parametrize(
    ("quality", "said"),
    [(0.66, "not surely above the blind floor"), (0.3, "below the blind floor, worse than a blind guess"), (0.9, "")],
)
def test_worse_than_a_blind_guess_needs_an_interval(page_of, make_run, quality, said):
    text = page_of([make_run(seed=seed, quality=quality) for seed in range(3)]).text.partition("Every point")[0]
    told = [words for words in ("not surely above the blind floor", "worse than a blind guess") if words in text]
    assert [words for words in told if words in said] == told
    assert bool(told) == bool(said)
