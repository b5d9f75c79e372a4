"""`kernbench baselines` on the lines of the smoke study: results, refusals, and where they are seen again."""

import csv

import pytest

from kernbench.ulm.baselines import METHODS

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
    assert [row["method"] for row in found] == [
        name for name in ("comb", "matched-filter", "fir-257") for _ in range(10)
    ]
    assert [row["tolerance_samples"] for row in found[:10]] == [str(t) for t in range(10)]
    assert {row["parameters"] for row in found[20:]} == {"258"}
    assert {row["threshold_split"] for row in found} == {"validation"}
    assert all(0 < float(row["f1"]) <= 1 for row in found)


def test_another_noise_level_and_another_method_are_kept_apart(ended, smoke_bench):
    again = smoke_bench.run(*SMOKE, "--methods", "random", "--noise", "8")
    assert again.code == 0, again
    more = smoke_bench.run(*SMOKE, "--methods", "random")
    assert more.code == 0, more
    clean, noisy = stored(smoke_bench)
    assert clean.stem.rpartition("-")[2] == "0"
    assert noisy.stem == f"{clean.stem.rpartition('-')[0]}-8"
    assert {row["method"] for row in rows(noisy)} == {"random"}
    assert {row["method"] for row in rows(clean)} == {"random", "comb", "matched-filter", "fir-257"}


def test_the_same_command_gives_the_same_scores(ended, smoke_bench):
    before = rows(*stored(smoke_bench))
    smoke_bench.run(*SMOKE, "--methods", "comb,matched-filter,fir-257")
    after = rows(*stored(smoke_bench))
    for one, other in zip(before, after, strict=True):
        assert {**one, "fit_seconds": "", "line_ms": ""} == {**other, "fit_seconds": "", "line_ms": ""}


def test_lines_that_are_in_the_cache_are_named_by_their_digest(ended, smoke_bench):
    digest = stored(smoke_bench)[0].stem.partition("-")[0]
    by_name = smoke_bench.run(
        "baselines", "--study", "smoke", "--profile", "quick", "--data", digest, "--methods", "comb", "--out", "other"
    )
    assert by_name.code == 0, by_name
    ours = rows(smoke_bench.folder / "out" / "baselines.csv")[:10]
    assert [row["f1"] for row in rows(smoke_bench.folder / "other" / "baselines.csv")] == [row["f1"] for row in ours]


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


@pytest.mark.slow
def test_the_report_shows_them_beside_the_networks(ended, smoke_bench):
    smoke_bench.run("run", "--plugin", "discrete", "--study", "smoke", "--profile", "quick")
    page = (smoke_bench.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    assert "Classical detectors on the same lines" in page
    assert "matched-filter" in page
