"""Two studies of one page's data as one: what changes from the first to the second, and what is left out."""

import dataclasses
import re

import pytest
import result_places

from kernbench.errors import KernbenchError
from kernbench.report.numbers.comparison import comparisons
from kernbench.statistics import compare
from kernbench.statistics.contrast import contrast
from kernbench.statistics.moderation import seed_prior

BUDGET = "param_budget.v1.quick"
BOTH = f"k_sweep.v1.quick+{BUDGET}"


def place(words, shown="", base=BOTH):
    return result_places.place(words, shown, base)


def other_study(run):
    return dataclasses.replace(run, base=BUDGET, study=f"{BUDGET}/{run.family}", digest="of another")


@pytest.fixture(scope="module")
def found(make_run):
    """Free taps with the same trainings in both studies; one family that gains, one that loses, one in the first."""
    default = {"discrete": 0.75, "siren": 0.7, "gabor": 0.8, "log": 0.7}
    budget = {"siren": 0.85, "gabor": 0.7}
    runs = [
        make_run(family, size, seed, level)
        for family, level in default.items()
        for size in (65, 129)
        for seed in range(4)
    ]
    runs += [other_study(run) for run in runs if run.family == "discrete"]
    runs += [
        other_study(make_run(family, size, seed + 10, level))
        for family, level in budget.items()
        for size in (65, 129)
        for seed in range(3)
    ]
    return {each.base: each for each in comparisons(runs)}


def test_a_change_is_the_contrast_of_the_two_cells(script, found):
    def cell(base, family, size):
        points = found[base].scored
        return next(each for each in points if (each.runs[0].family, each.x) == (family, size)).f1()

    bases = (BUDGET, "k_sweep.v1.quick")
    prior = seed_prior(
        [cell(base, family, size) for base in bases for family in ("siren", "gabor") for size in (65, 129)]
    )
    expected = contrast([cell(base, "siren", 65) for base in bases], (1, -1), prior)
    low, high = expected.interval(0.95)
    words = "change better study k_sweep siren 65 study=param_budget"
    text = f"{expected.value:+.3f} [{low:+.3f}, {high:+.3f}], rises"
    assert script.filled(place(words), found) == place(words, text)


def test_families_that_move_are_counted_and_named_at_each_size(script, found):
    for word, family in (("better", "siren"), ("worse", "gabor")):
        words = f"moved {word} study k_sweep param_budget 65"
        assert script.filled(place(words), found) == place(words, "1 of 2")
        words = f"movers {word} study k_sweep param_budget 129"
        assert script.filled(place(words), found) == place(words, f"`{family}`")
    words = "movers equivalent study k_sweep param_budget 129"
    assert script.filled(place(words), found) == place(words, "none")


def test_the_table_has_a_column_for_each_size_and_its_rows_in_order(script, found):
    lines = script.filled(place("change_table study k_sweep param_budget 65"), found).splitlines()
    assert lines[2] == "| family | K = 65 | K = 129 |"
    assert [line.split(" | ")[0] for line in lines[4:6]] == ["| siren", "| gabor"]
    assert all(line.count(word) == 2 for line, word in zip(lines[4:6], ("rises", "falls"), strict=True))
    by_name = script.filled(place("change_table study k_sweep param_budget"), found).splitlines()
    assert [line.split(" | ")[0] for line in by_name[4:6]] == ["| gabor", "| siren"]


def test_the_same_trainings_in_both_are_left_out(script, found):
    with pytest.raises(KernbenchError, match=r"no score of discrete at kernel_size = 65"):
        script.filled(place("f1 discrete 65 study=k_sweep"), found)


def test_a_family_of_one_study_is_left_out(script, found):
    with pytest.raises(KernbenchError, match=r"no score of log"):
        script.filled(place("f1 log 65 study=k_sweep"), found)


def test_a_study_without_free_taps_is_compared_with_those_of_another(script, make_run):
    taps = [make_run("discrete", 65, seed, 0.7) for seed in range(4)]
    starts = [
        make_run("poles", seed=seed, quality=0.8, base=BUDGET, params={"kernel_size": 65, "start": start, "seed": seed})
        for start in ("echo", "ring")
        for seed in range(3)
    ]
    found = {each.base: each for each in comparisons([*taps, *starts])}
    points = [
        each
        for base in (BUDGET, "k_sweep.v1.quick")
        for each in found[base].scored
        if each.params.get("start") != "echo"
    ]
    alone = compare(*(point.f1() for point in points), prior=found["k_sweep.v1.quick"].spread.prior)
    text = f"{alone.difference:+.3f} [{alone.low:+.3f}, {alone.high:+.3f}]"
    words = "reference k_sweep.v1.quick poles start=ring"
    assert script.filled(place(words, base=BUDGET), found) == place(words, text, base=BUDGET)
    other = [dataclasses.replace(run, data_digest="others") for run in taps]
    found = {each.base: each for each in comparisons([*other, *starts])}
    with pytest.raises(KernbenchError, match="no score of discrete at kernel_size = 65 on the lines of poles"):
        script.filled(place(words, base=BUDGET), found)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (f"k_sweep.v1.quick+{BUDGET}+{BUDGET}", "expected one study, or two"),
        ("k_sweep.v1.quick+param_budgt.v1.quick", "no 'param_budgt.v1.quick'; did you mean"),
        (f"{BUDGET}+{BUDGET}", "have no point in common"),
    ],
)
def test_names_that_join_nothing_are_refused(script, found, base, said):
    with pytest.raises(KernbenchError, match=re.escape(said)):
        script.filled(place("cells", base=base), found)


def test_studies_on_other_lines_have_nothing_in_common(script, make_run):
    runs = [make_run("siren", 65, seed, 0.8) for seed in range(3)]
    other = [
        dataclasses.replace(other_study(make_run("siren", 65, seed, 0.7)), data_digest="others") for seed in range(3)
    ]
    found = {each.base: each for each in comparisons([*runs, *other])}
    with pytest.raises(KernbenchError, match="have no point in common"):
        script.filled(place("cells"), found)


def test_verdicts_of_the_families_that_another_study_has_leave_out_the_others(script, found):
    """`log` is worse, and the second study has none; its free taps and seeds 0 to 2 of others are those that count."""
    words = f"verdicts_alike {BUDGET} worse 65"
    (first,) = (each for name, each in found.items() if name == "k_sweep.v1.quick")
    assert script.filled(place("verdicts worse 65", base=first.base), found).endswith("2 of 3<!-- / -->")
    same = {each.base: each for each in comparisons([*first.runs, *(other_study(run) for run in first.runs[:16])])}
    shown = script.filled(place(words, base=first.base), same)
    assert shown.endswith("-->1 of 1<!-- / -->")  # free taps and siren alone
    later = [dataclasses.replace(run, params=run.params | {"seed": 99 + int(run.params["seed"])}) for run in first.runs]
    other = {BUDGET: comparisons(map(other_study, later))[0]}
    with pytest.raises(KernbenchError, match="no cell of"):
        script.filled(place(words, base=first.base), same | other)


def test_what_families_gain_over_free_taps_is_the_contrast_of_the_four_cells(script, found, make_run):
    with pytest.raises(KernbenchError, match="nothing to compare along study"):  # free taps are the same in both
        script.filled(place("gain_table study k_sweep param_budget 65"), found)
    runs = [run for each in found.values() for run in each.runs if (each.base, run.family) != (BUDGET, "discrete")]
    runs += [other_study(make_run("discrete", size, seed + 10, 0.8)) for size in (65, 129) for seed in range(3)]
    tuned = {each.base: each for each in comparisons(runs)}
    table = script.filled(place("gain_table study k_sweep param_budget 129"), tuned)
    mean = {
        (family, base): tuned_mean(tuned[base], family) for family in ("siren", "gabor", "discrete") for base in tuned
    }
    for family, word in (("siren", "gains more"), ("gabor", "gains less")):
        gain = [mean[name, BUDGET] - mean[name, "k_sweep.v1.quick"] for name in (family, "discrete")]
        (row,) = (line for line in table.splitlines() if line.startswith(f"| {family} "))
        assert row.split("|")[3].startswith(f" {gain[0] - gain[1]:+.3f} [")
        assert row.count(word) == 2
    assert table.index("| siren") < table.index("| gabor")
    for word, family in (("better", "siren"), ("worse", "gabor")):
        words = f"gainers {word} study k_sweep param_budget 129"
        assert script.filled(place(words), tuned) == place(words, f"`{family}`")
    with pytest.raises(KernbenchError, match=r"expected one of .*got 'rises'"):
        script.filled(place("gainers rises study k_sweep param_budget 129"), tuned)


def tuned_mean(comparison, family):
    (point,) = (each for each in comparison.scored if (each.runs[0].family, each.x) == (family, 129))
    return point.f1().mean()


def test_verdicts_alike_take_no_notice_of_what_the_other_study_alone_varies(script, found):
    (first,) = (each for name, each in found.items() if name == "k_sweep.v1.quick")
    drawn = [
        dataclasses.replace(other_study(run), params=run.params | {"draw": draw}, cell=f"{run.cell},draw={draw}")
        for run in first.runs
        if run.family in ("discrete", "siren")
        for draw in (0, 1)
    ]
    searched = {each.base: each for each in comparisons([*first.runs, *drawn])}
    shown = script.filled(place(f"verdicts_alike {BUDGET} worse 65", base=first.base), searched)
    assert shown.endswith("-->1 of 1<!-- / -->")


def test_studies_that_differ_in_their_test_lines_alone_have_the_same_networks_and_seeds_are_paired(script, make_run):
    """Networks far apart, each raised alike: decided where pairs are seen, and not where they are not."""
    definition = {"data": {"seed": 1}, "network": {"name": "shallow"}}
    other = {**definition, "data": {"seed": 1, "test_kernels": "resampled"}}
    runs = []
    for family in ("discrete", "siren"):
        for seed, level in enumerate((0.7, 0.73, 0.76, 0.79, 0.82)):
            params = {"kernel_size": 65, "test_rate": 31.25, "seed": seed}
            asked = make_run(family, seed=seed, quality=level, params=params, definition=definition)
            raised = make_run(family, seed=seed, quality=level + 0.03, params=params, definition=other)
            runs += [asked, dataclasses.replace(other_study(raised), definition=other)]
    found = {each.base: each for each in comparisons(runs)}
    shown = script.filled(place("changed test_kernels evaluated"), found)
    assert shown.count("| test_kernels = resampled |") == 2
    assert shown.count("| rises |") == 2
    apart = [dataclasses.replace(run, definition=run.definition | {"network": {"name": run.base}}) for run in runs]
    separate = {each.base: each for each in comparisons(apart)}
    assert script.filled(place("changed study k_sweep"), separate).count("| not decided |") == 2
