"""What a report claims about families: no more than its runs can carry."""

import dataclasses
import re
from dataclasses import replace

import numpy as np
import pytest
from crossed import crossed

from kernbench.report.numbers.calibration import calibration_text
from kernbench.report.numbers.comparison import comparisons
from kernbench.report.numbers.sentences import cautions, headline, spread_text
from kernbench.statistics import adjusted, compare
from kernbench.ulm.scoring.seed_spread import measured_spread

WORDS = "better best worst more less highest lowest beats wins ahead rises falls"
RANKING = re.compile(rf"\b({WORDS.replace(' ', '|')})\b")


@pytest.fixture
def cells(make_run):
    """Runs of one family at one kernel size with the given F1 (seeds, lines) at the headline tolerance."""

    def make(family, f1, kernel_size=65, **fields):
        runs = []
        for seed, row in enumerate(np.atleast_2d(f1)):
            run = make_run(family, kernel_size, seed, lines=len(row), **fields)
            hits = np.round(np.clip(row, 0.001, 1) * 10_000).astype(int)
            test = dataclasses.replace(
                run.scores["test"],
                tp=np.tile(hits, (10, 1)),
                fn=np.tile(10_000 - hits, (10, 1)),
                fp=np.tile(10_000 - hits, (10, 1)),
            )
            runs.append(dataclasses.replace(run, scores=run.scores | {"test": test}))
        return runs

    return make


@pytest.fixture(scope="module")
def same_training(reference):
    with np.load(reference / "aa_quick_k65.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored}


def said(comparison):
    return " ".join([*headline(comparison), *cautions(comparison), spread_text(comparison)])


def test_one_seed_claims_nothing_about_identical_trainings(cells, same_training):
    rng = np.random.default_rng(0)
    for _ in range(100):
        scores = same_training[rng.choice(["discrete", "siren"])]
        one, other = rng.choice(8, 2, replace=False)
        (found,) = comparisons([*cells("discrete", scores[one]), *cells("siren", scores[other])])
        assert [each.verdict for each in found.differences] == ["undecided"]
        text = said(found).replace("no family can be called better or worse", "").replace("run more seeds", "")
        assert not RANKING.search(text), text
        assert "one seed supports no claim about families: run more seeds" in said(found)


def test_a_page_of_one_seed_holds_no_word_of_a_ranking(cells, same_training, page_of):
    runs = []
    for size, place in ((33, 0), (65, 2), (129, 4)):
        runs += cells("discrete", same_training["discrete"][place], size)
        runs += cells("siren", same_training["discrete"][place + 1] - 0.05, size)
    text = page_of(runs, drawn=True).text.partition("How to read this page F1")[0]
    assert "siren" in text
    for allowed in ("no family can be called better or worse", "worse than a blind guess"):
        text = text.replace(allowed, "")
    assert re.findall(r"\b(?:best|better|worse|worst|beats|wins|ahead|rises|falls|outperforms)\b", text) == []


def test_several_seeds_call_identical_trainings_different_in_at_most_seven_percent(cells, same_training):
    rng, verdicts = np.random.default_rng(1), []
    for number in range(200):
        scores, seeds = same_training["discrete" if number % 2 else "siren"], 2 + number % 3
        order = rng.permutation(8)
        first, second = scores[order[:seeds]], scores[order[seeds : 2 * seeds]]
        (found,) = comparisons([*cells("discrete", first), *cells("siren", second)])
        verdicts += [each.verdict for each in found.differences]
        text = said(found)
        assert ("siren (kernel_size = 65) is better" in text) == (verdicts[-1] == "better")
        assert ("siren (kernel_size = 65) is worse" in text) == (verdicts[-1] == "worse")
    assert len(verdicts) == 200
    assert sum(verdict in {"better", "worse"} for verdict in verdicts) <= 0.07 * 200


def test_a_true_difference_is_named_with_its_size_its_seeds_and_its_p_value(cells):
    first, second = crossed(np.random.default_rng(2), (0.85, 0.70), (0.01, 0.01), (5, 5), 64)
    (found,) = comparisons([*cells("discrete", second), *cells("siren", first)])
    assert found.spread.source == "2 points of this study with several seeds"
    (sentence,) = [text for text in headline(found) if "better" in text]
    assert re.match(
        r"\+0\.1\d\d \[\+0\.1\d\d, \+0\.\d{3}\] in mean F1: siren \(kernel_size = 65\) is better than discrete, "
        r"0\.8\d\d against 0\.[67]\d\d, 5 seeds each, p < 1e-6\.",
        sentence,
    )


def test_what_is_better_is_named_before_what_is_worse_and_the_rest_is_counted(cells):
    levels = {"discrete": 0.8, "siren": 0.83, "a": 0.5, "b": 0.55, "c": 0.6, "d": 0.65, "e": 0.7}
    tables = crossed(np.random.default_rng(2), list(levels.values()), [0.01] * len(levels), [4] * len(levels), 64)
    runs = [run for name, table in zip(levels, tables, strict=True) for run in cells(name, table)]
    named = re.findall(r"in mean F1: (\w+) .*? is (better|worse) than discrete", said(comparisons(runs)[0]))
    assert named == [("siren", "better"), ("a", "worse"), ("b", "worse"), ("c", "worse")]
    assert "Further differences decided: 2 worse; see the table." in said(comparisons(runs)[0])


def test_scores_are_named_of_the_reference_family_however_low_it_is(cells):
    levels = {"discrete": 0.7, "a": 0.8, "b": 0.8, "c": 0.8, "d": 0.8, "e": 0.8}
    tables = crossed(np.random.default_rng(2), list(levels.values()), [0.01] * len(levels), [4] * len(levels), 64)
    runs = [run for name, table in zip(levels, tables, strict=True) for run in cells(name, table)]
    sentences = headline(comparisons(runs)[0])
    named = [match[1] for text in sentences if (match := re.search(r"is the mean F1 of (\w+)", text))]
    assert (named[0], len(named)) == ("discrete", 5)
    assert any(text.startswith("Named with their scores are 5 of 6 series, ") for text in sentences)
    one = headline(comparisons([run for run in runs if run.params["seed"] == 0])[0])
    assert not any(RANKING.search(text) for text in one if text.startswith(("Named", "0.")))
    few = [run for run in runs if run.family in ("discrete", "a", "b")]
    assert "Named with their scores" not in said(comparisons(few)[0])


def test_undecided_says_what_could_be_found_and_how_many_seeds_would_decide(cells):
    first, second = crossed(np.random.default_rng(3), (0.80, 0.795), (0.015, 0.015), (3, 3), 200)
    (found,) = comparisons([*cells("discrete", second), *cells("siren", first)])
    assert re.search(r"Not decided: 1 of 1 comparison .* find no difference below 0\.\d{3} reliably", said(found))
    assert re.search(r"would need about \d+ seeds each", said(found))


def test_verdicts_of_a_study_are_corrected_together(cells):
    rng = np.random.default_rng(4)
    tables = crossed(rng, [0.8] * 8, [0.012] * 8, [3] * 8, 64)
    runs = []
    for place, size in enumerate((17, 33, 65, 129)):
        runs += cells("discrete", tables[2 * place], size) + cells("siren", tables[2 * place + 1], size)
    together = comparisons(runs)[0].differences
    alone = [comparisons([r for r in runs if r.params["kernel_size"] == each.first.x])[0] for each in together]
    assert len(together) == 4
    for each, single in zip(together, alone, strict=True):
        assert each.found.difference == pytest.approx(single.differences[0].found.difference)
    assert sum(each.verdict in {"better", "worse"} for each in together) == 0


def test_a_trend_needs_seeds_and_an_interval_without_zero(cells):
    rng, sizes = np.random.default_rng(5), (17, 65, 257)
    rising = crossed(rng, (0.6, 0.7, 0.8), [0.01] * 3, [3] * 3, 64)
    runs = [run for size, table in zip(sizes, rising, strict=True) for run in cells("siren", table, size)]
    text = said(comparisons(runs)[0])
    assert re.search(
        r"\+0\.0\d\d \[\+[^]]*\] in mean F1 each time the kernel size doubles, "
        r"on average over sizes from 17 to 257: siren \(p = ",
        text,
    ), text
    two = [run for run in runs if run.params["kernel_size"] < 257]
    assert re.search(r"each time the kernel size doubles, from 17 to 65: siren", said(comparisons(two)[0]))
    single = [run for run in runs if run.params["seed"] == 0]
    assert "doubles" not in said(comparisons(single)[0])


def test_the_spread_is_borrowed_from_the_same_profile_and_said_to_be(cells):
    several = crossed(np.random.default_rng(6), (0.8,), (0.02,), (6,), 64)
    one = cells("siren", several[0][0])
    (alone,) = comparisons(one)
    assert alone.spread == measured_spread("quick", {})
    assert "97 points of 41 families, network shallow, K = 33 to 257, 3 to 8 trainings each" in said(alone)
    both = comparisons([*one, *cells("siren", several[0], base="other.v1.quick")])
    assert [found.spread.source for found in both] == [
        "1 point of other.v1.quick with several seeds",
        "1 point of this study with several seeds",
    ]
    (unknown,) = comparisons(cells("siren", several[0][0], base="k_sweep.v1.thesis"))
    assert unknown.spread.prior is None
    # other training: neither the documented spread, nor that of cells trained for longer
    usual = {"batch_size": 8, "update": "per-batch", "decay_epoch": 80, "decay_factor": 0.1}
    usual |= {"soft_weight": 1.0, "hard_weight": 1.6, "alpha": 0.1}
    short = {"training": {"epochs": 3} | usual, "evaluation": {"tolerance": 4, "threshold_split": "validation"}}
    shorter = [replace(run, definition=short) for run in one]
    apart = comparisons([*shorter, *cells("siren", several[0], base="other.v1.quick")])
    assert apart[0].spread.prior is None
    assert "nothing is known about how far two trainings of one cell lie apart" in said(unknown)


def test_a_report_checks_its_intervals_on_its_own_seeds(cells):
    rng = np.random.default_rng(9)
    six, one = crossed(rng, (0.8, 0.7), (0.012, 0.012), (6, 1), 64)
    (found,) = comparisons([*cells("discrete", six), *cells("siren", one)])
    text = " ".join(calibration_text(found))
    assert re.search(r"called different in \d\.\d % of splits \(1 point with four seeds or more\)", text), text
    deviation = float(re.search(r"between seeds: (0\.\d{4}), worth 2 degrees of freedom", text)[1])
    assert deviation == pytest.approx(six.mean(axis=1).std(ddof=1), abs=1e-4)
    (single,) = comparisons(cells("siren", one, base="x.v1.thesis"))
    assert "unknown; no point above the blind floor has two" in " ".join(calibration_text(single))


@pytest.mark.parametrize(("level", "stored"), [(0.2, True), (0.001, None)])
def test_a_network_on_the_plateau_is_named(cells, level, stored):
    """By what its cell has stored; cells of before that was stored, where they have no hit."""
    rng = np.random.default_rng(8)
    stuck, well = cells("siren", [np.full(32, level), rng.uniform(0.7, 0.9, 32)])
    others = cells("discrete", np.full((2, 32), 0.8))
    (found,) = comparisons([replace(stuck, plateau=stored), well, *others])
    assert [point.status for point in found.points] == ["ok", "ok 1, plateau 1"]
    words = "stayed on the plateau, with F1 and loss" if stored else "had no hit"
    assert f"1 network {words}" in said(found)
    assert "siren (kernel_size = 65)" in next(text for text in cautions(found) if words in text)
    for known in (False, None):
        (none,) = comparisons([replace(run, plateau=known) for run in cells("siren", rng.uniform(0.1, 0.2, (2, 32)))])
        assert "plateau" not in said(none)


def test_points_below_the_floor_lend_no_spread(cells):
    silent = cells("siren", np.full((4, 32), 0.001))
    (found,) = comparisons(silent)
    assert found.spread.prior is None  # nor is another borrowed, where its own seeds show one


def test_restless_seeds_below_the_floor_decide_nothing_by_a_spread_from_elsewhere(cells):
    rng = np.random.default_rng(11)
    restless, low = crossed(rng, (0.55, 0.3), (0.08, 0.003), (2, 2), 64)
    (found,) = comparisons([*cells("discrete", restless), *cells("siren", low)])
    assert {point.place for point in found.scored} <= {"below", "unsure"}
    (difference,) = found.differences
    assert difference.found == adjusted([compare(difference.first.f1(), difference.second.f1())])[0]
    text = said(found)
    assert "No point is surely above a blind guess" in headline(found)[0]
    assert "is worse" not in text


def test_families_without_the_reference_are_said_not_to_be_compared(cells):
    tables = crossed(np.random.default_rng(12), (0.8, 0.7), (0.01, 0.01), (3, 3), 64)
    (found,) = comparisons([*cells("siren", tables[0]), *cells("gaussian", tables[1])])
    assert found.differences == []
    (text,) = (each for each in cautions(found) if "is tested here" in each)
    assert text.startswith("No difference between gaussian, siren is tested here: differences are from")


def test_families_with_different_numbers_of_seeds_are_compared_and_one_seed_is_named(cells):
    first, second = crossed(np.random.default_rng(7), (0.9, 0.6), (0.01, 0.01), (4, 1), 64)
    (found,) = comparisons([*cells("discrete", first), *cells("siren", second)])
    (difference,) = found.differences
    assert difference.found.seeds == (1, 4)
    assert difference.verdict == "undecided"
    assert "is worse" not in said(found)
    assert "Some cells have one seed: these cannot be called better or worse." in said(found)


def test_text_below_a_table_names_no_spread_from_elsewhere(cells):
    (found,) = comparisons(cells("siren", np.random.default_rng(1).uniform(0.2, 0.4, (2, 32))))  # below the floor
    assert spread_text(found) == "Intervals cover the choice of seeds and of test lines."


def test_verdicts_with_diverged_cells_at_the_floor_are_said_beside_those_without(cells, make_run):
    rng = np.random.default_rng(4)
    runs = []
    for size, means in ((65, (0.7, 0.8)), (129, (0.8, 0.5))):
        first, second = crossed(rng, means, (0.003, 0.003), (6, 6), 64)
        runs += cells("discrete", first, size) + cells("siren", second, size)
    assert "diverged" not in said(comparisons(runs)[0])
    lost = [make_run("siren", size, seed, status="diverged") for size in (65, 129) for seed in (6, 7, 8)]
    (found,) = comparisons([*runs, *lost])
    assert [each.verdict for each in found.differences] == ["better", "worse"]
    comb = max(found.scored[0].floors())
    counted = []
    for each in found.differences:
        rows = np.concatenate([each.first.f1(), np.full((3, 64), comb)])
        counted.append(compare(rows, each.second.f1(), prior=found.spread.prior))
    verdicts = [each.verdict for each in adjusted(counted)]
    assert verdicts == ["undecided", "worse"]
    (text,) = (each for each in cautions(found) if "diverged" in each)
    assert text == (
        "With diverged cells counted at the blind floor, the verdict for siren (kernel_size = 65) against discrete is "
        "not decided (better without them); the verdict for siren (kernel_size = 129) against discrete is worse "
        "(as without them)."
    )
    unknown = [dataclasses.replace(run, lines=None) for run in [*runs, *lost]]
    assert not [each for each in cautions(comparisons(unknown)[0]) if "blind floor" in each]
