"""The [budget] table of a study: part of its definition where it is given, and of no other study's."""

import pytest

from kernbench.errors import StudyError
from kernbench.registry import find_family
from kernbench.study.task import load

TEXT = "version = 1\n[axes]\nkernel_size = [9, 33]\n[data]\ntrain = 8\nvalidation = 4\ntest = 6\nwindow = 512\n"


def study(tmp_path, text, family="siren"):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT + text)
    return load(str(path), find_family(family), "quick")


# As they were before studies could have a budget: what is stored under them goes on.
@pytest.mark.parametrize(
    ("family", "profile", "digest"),
    [
        ("siren", "quick", "da6399c5260b"),
        ("siren", "thesis", "1b4780a153d1"),
        ("discrete", "quick", "bd9040bf130c"),
        ("discrete", "thesis", "1e3305547592"),
    ],
)
def test_a_study_without_a_budget_keeps_its_digest(family, profile, digest):
    assert load("k_sweep", find_family(family), profile).digest == digest


def test_the_definition_says_what_is_solved_for_and_has_no_value_of_it(tmp_path):
    found = study(tmp_path, '[budget]\nlike = "discrete"\n')
    assert found.definition["budget"] == {"quantity": "parameters", "like": "discrete"}
    kernel = found.definition["kernel"]
    assert "hidden" not in kernel["hyper"]
    assert "omega_0" in kernel["hyper"]
    assert kernel["solved"] == {"hidden": {"low": 4, "high": 128, "log": True, "default": 32}}
    assert found.digest != study(tmp_path, "").digest
    assert found.digest != study(tmp_path, "[budget]\ntotal = 500\n").digest


def test_a_profile_may_say_the_count_where_the_study_says_a_family(tmp_path):
    for own, other in (('like = "discrete"', "total = 500"), ("total = 500", 'like = "discrete"')):
        found = study(tmp_path, f"[budget]\n{own}\n[profiles.quick.budget]\n{other}\n")
        assert found.definition["budget"] == study(tmp_path, f"[budget]\n{other}\n").definition["budget"]
    kept = study(tmp_path, '[budget]\nlike = "discrete"\n[profiles.quick.budget]\nquantity = "operations"\n')
    assert kept.definition["budget"] == {"quantity": "operations", "like": "discrete"}


def test_what_the_study_fixes_is_not_solved_for(tmp_path):
    fixed = study(tmp_path, "[budget]\ntotal = 500\n[hyper.siren]\nhidden = 8\n").definition["kernel"]
    assert (fixed["hyper"]["hidden"], fixed["solved"]) == (8, {})
    path = tmp_path / "axis.toml"
    path.write_text(TEXT.replace("[data]", "hidden = [4, 8]\n[data]") + "[budget]\ntotal = 500\n")
    assert load(str(path), find_family("siren"), "quick").budget.solved == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budget]\nlik = 'discrete'", "unknown key budget.lik; did you mean 'like'"),
        ("[budget]\nlike = 'discret'", "budget.like: no kernel family 'discret'; did you mean 'discrete'"),
        ("[budget]\nlike = './mine.py:mine'", "budget.like: expected the name of an installed family, got the file"),
        ("[budget]\ntotal = 0", "budget.total: expected a whole number >= 1, got 0"),
        ("[budget]\ntotal = 9\nlike = 'discrete'", 'expected like = "FAMILY" or total = NUMBER, got both; keep one'),
        ("[budget]\nquantity = 'parameters'", "got neither"),
        ("[budget]\ntotal = 9\nquantity = 'parameter'", "did you mean 'parameters'"),
        ("[budget]\ntotal = 9\n[tuning]\ntrials = 3", "budget: cannot be combined with [tuning]"),
        ("[profiles.quick]\nbudget = 3", "budget: expected a table, got 3"),
    ],
)
def test_a_budget_that_says_nothing_clear_is_refused_with_file_and_key(tmp_path, text, said):
    with pytest.raises(StudyError) as error:
        study(tmp_path, text)
    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'mine.toml'}: ")
    assert "\n" not in str(error.value)
