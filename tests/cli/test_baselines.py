"""`kernbench baselines` on the lines of the smoke study, and within `kernbench run`: results, refusals, reports."""

import csv
import os
import signal

import pytest

from kernbench.ulm.detectors import catalogue
from kernbench.ulm.detectors.names import METHODS, QUICK

pytestmark = pytest.mark.usefixtures("no_pictures")

SMOKE = ("baselines", "--study", "smoke", "--profile", "quick")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stored(bench):
    return sorted((bench.folder / "kernbench.artifacts" / "baselines").glob("*.csv"))


@pytest.fixture
def ended(smoke_bench):
    """Three quick methods, scored."""
    return smoke_bench.run(*SMOKE, "--methods", "comb,matched-filter,fir-257", "--out", "out")


def test_results_are_shown_and_stored(ended, smoke_bench):
    assert ended.code == 0, ended
    for name in ("comb", "matched-filter", "fir-257", "one-to-one F1", "RMSE", "µm of two-way depth"):
        assert name in ended.out, ended
    (path,) = stored(smoke_bench)
    found = rows(path)
    assert found == rows(smoke_bench.folder / "out" / "baselines.csv")
    assert [row["method"] for row in found[::10]] == ["comb", "matched-filter", "fir-257"]
    assert len(found) == 30
    assert [row["tolerance_samples"] for row in found[:10]] == [str(t) for t in range(10)]
    assert {row["parameters"] for row in found[20:]} == {"258"}
    assert [row["threshold_split"] for row in found[::10]] == ["test", "validation", "validation"]
    assert all(0 < float(row["f1"]) <= 1 for row in found)
    # the same lines, by their digest
    words = ("--data", path.stem.partition("-")[0], "--methods", "comb", "--out", "other")
    by_name = smoke_bench.run(*SMOKE, *words)
    assert by_name.code == 0, by_name
    again = rows(smoke_bench.folder / "other" / "baselines.csv")
    assert [row["f1"] for row in again] == [row["f1"] for row in found[:10]]


def test_the_same_again_gives_the_same_and_another_noise_level_and_method_are_kept_apart(ended, smoke_bench):
    before = rows(*stored(smoke_bench))
    smoke_bench.run(*SMOKE, "--methods", "comb,matched-filter,fir-257")
    for one, other in zip(before, rows(*stored(smoke_bench)), strict=True):
        assert {**one, "fit_seconds": "", "line_ms": ""} == {**other, "fit_seconds": "", "line_ms": ""}
    again = smoke_bench.run(*SMOKE, "--methods", "random", "--noise", "8")
    assert again.code == 0, again
    more = smoke_bench.run(*SMOKE, "--methods", "random")
    assert more.code == 0, more
    clean, noisy = stored(smoke_bench)
    assert clean.stem.rpartition("-")[2] == "0"
    assert noisy.stem == f"{clean.stem.rpartition('-')[0]}-8-noise2"
    assert {row["method"] for row in rows(noisy)} == {"random"}
    assert {row["method"] for row in rows(clean)} == {"random", "comb", "matched-filter", "fir-257"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--methods", "winer"), "did you mean 'wiener'?"),
        (("--methods", "fir-1025"), "512 samples of padding on each side, the lines have 512"),
        (("--data", "nowhere"), "no data set 'nowhere'"),
        (("--noise", "-1"), "-1"),
    ],
)
def test_what_cannot_be_done_is_refused(smoke_bench, words, said):
    before = smoke_bench.files()
    ended = smoke_bench.run(*SMOKE, *words)
    assert ended.code == 2, ended
    assert said in ended.err, ended
    assert smoke_bench.files() == before


def test_the_help_page_names_every_method(bench):
    page = " ".join(bench.run("baselines", "--help").out.split())
    assert all(name in page for name in METHODS)


NOISY = """
version = 1
[axes]
kernel_size = [9]
{axis} = [0.0, 8.0]
[network]
channels = 2
depth = 1
[data]
train = 4
validation = 3
test = 3
window = 512
[training]
epochs = 1
batch_size = 4
"""


@pytest.fixture
def cheap(monkeypatch):
    """Two methods for every run instead of six."""
    monkeypatch.setattr("kernbench.ulm.detectors.names.QUICK", ("comb", "matched-filter"))
    return {"comb", "matched-filter"}


def run(bench, *words):
    return bench.run("run", "--plugin", "discrete", "--study", "smoke", "--profile", "quick", *words)


def page(bench):
    return (bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")


def test_a_run_adds_the_quick_ones_and_its_report_shows_them(smoke_bench):
    ended = run(smoke_bench)
    assert ended.code == 0, ended
    (path,) = stored(smoke_bench)
    assert {row["method"] for row in rows(path)} == set(QUICK)
    assert "Classical detectors on the same lines" in page(smoke_bench)
    assert "fista-single" in page(smoke_bench)
    left = ",".join(name for name in METHODS if name not in QUICK and name not in ("fir-1025", "fir-4097"))
    assert f"kernbench baselines --study smoke --profile quick --methods {left}" in page(smoke_bench)


def test_what_is_stored_is_not_run_again(smoke_bench, cheap, monkeypatch):
    assert smoke_bench.run(*SMOKE, "--methods", "comb").code == 0
    names = []
    real = catalogue.run_method
    monkeypatch.setattr(catalogue, "run_method", lambda name, *rest: names.append(name) or real(name, *rest))
    assert run(smoke_bench).code == 0
    assert names == ["matched-filter"]
    before = stored(smoke_bench)[0].read_bytes()
    again = run(smoke_bench)
    assert "up to date" in again.out, again
    assert names == ["matched-filter"]
    assert stored(smoke_bench)[0].read_bytes() == before


def test_a_run_without_baselines_has_none(smoke_bench):
    assert run(smoke_bench, "--no-baselines").code == 0
    assert stored(smoke_bench) == []
    assert "Not run:" in page(smoke_bench)


@pytest.mark.filterwarnings("always::kernbench.errors.KernbenchWarning")
def test_a_method_that_fails_is_one_warning_and_the_others_are_there(smoke_bench, cheap, no_report, monkeypatch):
    real = catalogue.run_method

    def failing(name, *rest):
        if name == "comb":
            raise ValueError("no teeth\nat all")
        return real(name, *rest)

    monkeypatch.setattr(catalogue, "run_method", failing)
    ended = run(smoke_bench)
    assert ended.code == 0, ended
    warned = [line for line in ended.err.splitlines() if "warning" in line]
    assert warned == ["kernbench: warning: comb: no results beside the networks (ValueError: no teeth)"]
    assert {row["method"] for row in rows(*stored(smoke_bench))} == {"matched-filter"}


@pytest.mark.filterwarnings("always::kernbench.errors.KernbenchWarning")
def test_a_damaged_file_of_results_is_one_warning(smoke_bench, cheap, no_report):
    assert smoke_bench.run(*SMOKE, "--methods", "comb").code == 0
    stored(smoke_bench)[0].write_text("nonsense\n1\n")
    ended = run(smoke_bench)
    assert ended.code == 0, ended
    assert ended.err.count("warning: classical detectors: no results beside the networks (DataError: ") == 1, ended


def test_an_interruption_keeps_what_is_complete(smoke_bench, cheap, no_report, monkeypatch):
    real = catalogue.run_method

    def interrupted(name, *rest):
        if name == "matched-filter":
            os.kill(os.getpid(), signal.SIGINT)
        return real(name, *rest)

    monkeypatch.setattr(catalogue, "run_method", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        ended = run(smoke_bench)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.code == 130, ended
    assert {row["method"] for row in rows(*stored(smoke_bench))} == {"comb"}
    monkeypatch.setattr(catalogue, "run_method", real)
    assert run(smoke_bench).code == 0
    assert {row["method"] for row in rows(*stored(smoke_bench))} == cheap


@pytest.mark.parametrize(
    ("axis", "names", "shown"),
    [
        ("noise_percent", ["0", "8-noise2"], ["noise 0 %", "noise 8 %"]),
        ("test_noise_percent", ["0", "0-test8-noise2"], ["noise of the test lines 0 %", "noise of the test lines 8 %"]),
    ],
)
def test_every_level_of_a_noise_axis_has_its_own(smoke_bench, cheap, axis, names, shown):
    file = smoke_bench.folder / "noisy.toml"
    file.write_text(NOISY.format(axis=axis), encoding="utf-8")
    ended = smoke_bench.run("run", "--plugin", "discrete", "--study", str(file), "--profile", "quick")
    assert ended.code == 0, ended
    paths = sorted(stored(smoke_bench), key=lambda path: len(path.stem))
    assert [path.stem.partition("-")[2] for path in paths] == names
    assert all({row["method"] for row in rows(path)} == cheap for path in paths)
    assert all(each in page(smoke_bench) for each in shown)
    clean, noisy = (rows(path)[10:] for path in paths)
    assert [row["f1"] for row in clean] != [row["f1"] for row in noisy]
    if axis == "test_noise_percent":  # fitted on the same clean lines
        assert [row["threshold"] for row in clean] == [row["threshold"] for row in noisy]
    by_hand = smoke_bench.run("baselines", "--study", str(file), "--profile", "quick", "--methods", "comb")
    assert by_hand.code == 0, by_hand
    assert by_hand.out.count("results: ") == 2, by_hand


def test_thresholds_of_the_training_lines_have_results_of_their_own(smoke_bench, cheap, no_report):
    file = smoke_bench.folder / "mine.toml"
    text = NOISY.format(axis="noise_percent").replace("[0.0, 8.0]", "[0.0]")
    file.write_text(text + '[evaluation]\nthreshold_split = "train"\n', encoding="utf-8")
    ended = smoke_bench.run("run", "--plugin", "discrete", "--study", str(file), "--profile", "quick")
    assert ended.code == 0, ended
    (path,) = stored(smoke_bench)
    assert path.stem.endswith("-0-train")
    assert {row["threshold_split"] for row in rows(path) if row["method"] != "comb"} == {"train"}


def test_a_study_about_a_family_is_read_for_it(smoke_bench):
    words = ("--study", "jonker_omega", "--profile", "quick", "--methods", "fir-4097")
    unread = smoke_bench.run("baselines", *words)
    assert "axes.omega_0" in unread.err, unread
    refused = smoke_bench.run("baselines", *words, "--plugin", "siren", "--data", "nowhere")
    assert "no data set 'nowhere'" in refused.err, refused
