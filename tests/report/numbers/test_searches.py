"""Searches in the report: chosen on validation lines alone, spending counted, the default setting beside the best."""

import dataclasses

import numpy as np
import pytest
from html_page import f1_of
from hypothesis import given
from hypothesis import strategies as st
from result_places import place

from kernbench.errors import KernbenchError
from kernbench.report.figures.searches import search_figure
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.searches import choose, searches_of
from kernbench.report.numbers.tuning import gain_of, tuning_rows, tuning_text
from kernbench.store.reading.records import Scores

SPACE = {"omega_0": {"low": 1.0, "high": 200.0, "log": True, "default": 30.0}}


def definition(family="siren", trials=4):
    tuned = SPACE if family == "siren" else {}
    return {
        "tuning": {"sampler": "tpe", "seed": 3, "trials": trials, "pruner": "median"},
        "kernel": {"family": family, "hyper": {}, "tuned": tuned, "draws": trials if tuned else 1},
        "training": {"epochs": 60},
    }


@pytest.fixture(scope="module")
def make_draw(make_run):
    """Factory of draws: about the F1 asked for on validation lines, and another one on test lines."""

    def make(number, validation=0.5, test=0.5, family="siren", size=65, seed=0, trials=4, **fields):
        params = {"kernel_size": size, "draw": number, "seed": seed}
        if family == "siren":
            params["omega_0"] = 30.0 + number
        run = make_run(family, size, seed, validation, params=params, definition=definition(family, trials), **fields)
        if run.scores:
            other = make_run(family, size, seed, test)
            run = dataclasses.replace(run, scores=run.scores | {"test": other.scores["test"]})
        return run

    return make


@pytest.fixture(scope="module")
def tuned(make_draw):
    """Two kernel sizes of one family, one draw diverged, one ended early, and a family with nothing to tune."""
    runs = [make_draw(n, f, t) for n, (f, t) in enumerate([(0.5, 0.6), (0.8, 0.7), (0.6, 0.9), (0.7, 0.2)])]
    runs += [make_draw(0, 0.5, 0.5, size=9), make_draw(1, 0.4, 0.9, size=9)]
    runs += [make_draw(2, size=9, status="pruned", epochs=15), make_draw(3, size=9, status="diverged", epochs=3)]
    return [*runs, make_draw(0, 0.55, 0.5, "discrete"), make_draw(0, 0.5, 0.5, "discrete", 9)]


def search_at(runs, size, family="siren"):
    return next(s for s in searches_of(runs) if s.point["kernel_size"] == size and s.family == family)


def test_the_draw_of_the_highest_validation_score_is_chosen(tuned, make_draw):
    search = search_at(tuned, 65)
    assert search.chosen.params["draw"] == 1  # draw 2 is far better on the test lines
    assert search.validation == {n: f1_of(tuned[n], split="validation").mean() for n in range(4)}
    assert search_at(tuned, 9).chosen.params["draw"] == 0
    untested = make_draw(0)
    del untested.scores["test"]
    assert searches_of([untested])[0].chosen is untested


@given(st.dictionaries(st.integers(0, 99), st.floats(0, 1), min_size=1))
def test_the_choice_is_the_highest_and_of_equals_the_first(validation):
    chosen = choose(validation)
    assert validation[chosen] == max(validation.values())
    assert all(validation[number] < validation[chosen] for number in validation if number < chosen)
    assert choose({}) is None


@given(st.data())
def test_test_scores_cannot_influence_the_choice(tuned, data):
    before = {repr((s.family, s.point)): (s.chosen.params, s.validation) for s in searches_of(tuned)}

    def other_test(run):
        if not run.scores:
            return run
        shape = run.scores["test"].tp.shape
        tp, fp, fn = (np.full(shape, data.draw(st.integers(0, 9))) for _ in range(3))
        test = Scores(run.scores["test"].tolerances, tp, fp, fn, run.scores["test"].thresholds)
        return dataclasses.replace(run, scores=run.scores | {"test": test})

    changed = searches_of([other_test(run) for run in tuned])
    assert {repr((s.family, s.point)): (s.chosen.params, s.validation) for s in changed} == before


def test_a_comparison_shows_the_chosen_draws_and_keeps_all_cells(tuned):
    (comparison,) = comparisons(tuned)
    assert (comparison.axis, len(comparison.runs)) == ("kernel_size", 10)
    assert [series.name for series in comparison.series] == ["discrete", "siren"]
    siren = comparison.series[1]
    assert [point.params for point in siren.points] == [{"kernel_size": 9}, {"kernel_size": 65}]
    assert siren.points[1].interval.mean == pytest.approx(f1_of(tuned[1]).mean())
    assert [run.status for run in comparison.not_ok] == ["diverged"]  # ended early is no failure


def test_seeds_are_chosen_apart_and_meaned_afterwards(make_draw):
    runs = [
        make_draw(n, f, 0.5, seed=s) for s, scores in enumerate([(0.4, 0.7), (0.7, 0.4)]) for n, f in enumerate(scores)
    ]
    (comparison,) = comparisons(runs)
    (point,) = comparison.points
    assert [search.chosen.params["draw"] for search in comparison.searches] == [1, 0]
    assert point.interval.seeds == 2


def test_a_search_without_any_score_is_shown_as_what_it_is(make_draw):
    (comparison,) = comparisons([make_draw(0, status="diverged"), make_draw(1, status="error")])
    assert comparison.points[0].interval is None
    assert comparison.searches[0].chosen is None
    assert tuning_rows(comparison)[0]["chosen"] == "–"


def test_what_was_spent_and_saved_is_counted(tuned, make_draw):
    search = search_at(tuned, 9)
    assert (search.epochs, search.whole_epochs, search.saved_epochs) == (60 + 60 + 15 + 3, 240, 45)
    assert (search.count("pruned"), search.count("diverged"), len(search.draws)) == (1, 1, 4)
    assert search.seconds == 4 * 47.0
    text = " ".join(tuning_text(comparisons(tuned)[0]))
    assert "siren: 8 of 8 draws, 378 of 480 epochs; 1 draw ended early and saved 45 epochs." in text
    assert "discrete: 2 of 2 draws, 120 of 120 epochs; it has nothing to tune" in text
    assert "4 draws by tpe (seed 3)" in text
    assert "not finished" not in text
    unfinished = " ".join(tuning_text(comparisons([make_draw(0), make_draw(1)])[0]))
    assert "2 of 4 draws" in unfinished
    assert "not finished" in unfinished


def test_the_gain_over_the_default_is_paired_on_test_lines(tuned):
    gain = gain_of(search_at(tuned, 65))
    assert gain.mean == pytest.approx((f1_of(tuned[1]) - f1_of(tuned[0])).mean())
    assert gain.low < gain.mean < gain.high
    assert gain_of(search_at(tuned, 65, "discrete")) is None


def test_best_so_far_never_falls_and_skips_what_has_no_score(tuned, make_draw):
    numbers, best = search_at(tuned, 65).best_so_far()
    validation = [f1_of(run, split="validation").mean() for run in tuned[:4]]
    assert numbers.tolist() == [0, 1, 2, 3]
    assert best.tolist() == np.maximum.accumulate(validation).tolist()
    assert search_at(tuned, 9).best_so_far()[1].tolist() == [search_at(tuned, 9).validation[0]] * 4
    _, best = searches_of([make_draw(0, status="diverged"), make_draw(1)])[0].best_so_far()
    assert np.isnan(best).tolist() == [True, False]


def test_the_figure_has_a_panel_for_each_point_with_the_true_curves(tuned):
    figure = search_figure(comparisons(tuned)[0])
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["a  K = 9", "b  K = 65"]
    drawn = [list(line.get_ydata()) for line in figure.axes[1].lines]
    assert search_at(tuned, 65).best_so_far()[1].tolist() in drawn
    low, high = figure.axes[0].get_ylim()
    assert low == 0
    assert high > max(search_at(tuned, size).validation[1 if size == 65 else 0] for size in (9, 65))


def test_page_and_tables_hold_it_all(tuned, page_of):
    page = page_of(tuned)
    for words in ("<h3>Tuning</h3>", "nothing to tune", "omega_0 = 31"):
        assert words in page.html
    draws = page.table("draws")
    assert len(draws) == 10
    assert not [name for name in draws[0] if "test" in name]
    chosen = [(row["point"], row["draw"]) for row in draws if row["chosen"] == "1" and row["family"] == "siren"]
    assert sorted(chosen) == [("kernel_size=65, seed=0", "1"), ("kernel_size=9, seed=0", "0")]
    (row,) = (r for r in page.table("searches") if (r["family"], r["point"]) == ("siren", "kernel_size=65, seed=0"))
    assert float(row["f1_test"]) == pytest.approx(f1_of(tuned[1]).mean())
    assert float(row["f1_validation"]) == pytest.approx(f1_of(tuned[1], split="validation").mean())
    assert float(row["f1_test_default"]) == pytest.approx(f1_of(tuned[0]).mean())
    assert (row["draws"], row["epochs"], row["epochs_unpruned"]) == ("4", "240", "240")


def test_a_grid_has_no_section_and_no_tables_of_it(make_run, page_of):
    page = page_of([make_run()])
    assert "<h3>Tuning</h3>" not in page.html
    assert page.table("draws") == []


def test_a_page_may_list_the_searches(script, tuned, make_run):
    found = {each.base: each for each in comparisons(tuned)}
    (comparison,) = found.values()
    lines = script.filled(place("searches"), found).strip().splitlines()
    rows = [[each.strip() for each in line.strip("|").split("|")] for line in lines[4:-2]]
    assert [row[:2] for row in rows] == [["discrete", "9"], ["discrete", "65"], ["siren", "9"], ["siren", "65"]]
    at_65 = next(row for row in tuning_rows(comparison) if (row["family"], row["x"]) == ("siren", "65"))
    assert rows[3][3:] == [at_65[name] for name in ("setting", "test", "test_default", "gain")]
    assert "omega_0 = 31" in rows[3][3]
    sizes = {run.params["draw"]: 100 + int(run.params["draw"]) for run in tuned}
    sized = [dataclasses.replace(run, values=run.values | {"n_params": sizes[run.params["draw"]]}) for run in tuned]
    of_draws = {each.base: each for each in comparisons(sized)}
    for size, draw in ((9, 0), (65, 1)):  # the one search of each size chose this draw
        words = f"chosen_parameters siren {size}"
        assert script.filled(place(words), of_draws) == place(words, str(100 + draw))
    grid = {each.base: each for each in comparisons([make_run(seed=seed) for seed in (0, 1)])}
    for words in ("searches", "chosen_parameters siren 65"):
        with pytest.raises(KernbenchError, match="has no searches"):
            script.filled(place(words), grid)


def test_what_choosing_alone_gains_is_that_of_the_training_with_the_best_validation_score(script, make_run):
    """Of three trainings of one setting, the second is the best on validation lines."""
    runs = [make_run("siren", 65, seed, quality) for seed, quality in enumerate((0.7, 0.8, 0.6))]
    runs += [make_run("siren", 129, seed, 0.7) for seed in range(2)]
    found = {each.base: each for each in comparisons(runs)}
    (comparison,) = found.values()
    (point,) = (each for each in comparison.scored if each.x == 65)
    means = point.f1().mean(axis=1)
    assert means.argmax() == 1
    shown = script.filled(place("picked 3 65 129"), found)
    assert shown == place("picked 3 65 129", f"{means[1] - means.mean():+.3f}")
    for words in ("picked 4 65", "picked 3 129", "picked 3"):
        with pytest.raises(KernbenchError, match="has no point with"):
            script.filled(place(words), found)
