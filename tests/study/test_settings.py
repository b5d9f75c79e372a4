import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernbench.errors import StudyError
from kernbench.study.budget import BUDGET
from kernbench.study.reading import profiles
from kernbench.study.settings import SETTINGS, axis_home, check_table, runtime_settings
from kernbench.study.tuning import TUNING

NUMBERS = [(t, n) for t, known in SETTINGS.items() for n, s in known.items() if s.kind in (int, float)]


@pytest.mark.parametrize("profile", ["smoke", "quick", "day", "thesis"])
def test_profiles_name_every_setting_but_the_kernel_size_and_those_that_came_later(profile):
    table = profiles()[profile]
    for name, known in SETTINGS.items():
        late = {each for each, setting in known.items() if setting.default is not None}
        assert set(table[name]) == set(known) - {"kernel_size", "reach", "field"} - late
        assert check_table(name, table[name], "profiles.toml") == table[name]


@settings(max_examples=500)
@given(st.sampled_from(NUMBERS), st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none()))
def test_a_number_passes_only_in_its_type_and_range(where, value):
    table, name = where
    setting = SETTINGS[table][name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    right = number and (setting.kind is float or isinstance(value, int)) and setting.low <= value <= setting.high
    right = right and (not setting.numbers or value in setting.numbers)
    if right:
        assert check_table(table, {name: value}, "file")[name] == value
    else:
        wanted = "a whole number" if setting.kind is int else "a number"
        with pytest.raises(StudyError, match=f"file: {table}.{name}: expected {wanted} "):
            check_table(table, {name: value}, "file")


def test_axes_come_from_network_and_training_only():
    assert axis_home("kernel_size") == "network"
    assert axis_home("update") == "training"
    assert axis_home("train") is None
    assert axis_home("noise_percent") == "data"
    assert axis_home("test_rate") == "data"
    assert axis_home("delay") == "data"
    assert axis_home("omega_0") is None


@pytest.mark.parametrize("value", [0, 1, "true", None, 1.0])
def test_a_switch_is_true_or_false(value):
    assert check_table("training", {"recompute": True}, "file") == {"recompute": True}
    with pytest.raises(StudyError, match=r"file: training\.recompute: expected true or false"):
        check_table("training", {"recompute": value}, "file")


def test_how_a_cell_is_computed_is_no_axis():
    assert runtime_settings() == {"recompute", "compile", "checkpoint_seconds"}
    assert [axis_home(name) for name in sorted(runtime_settings())] == [None, None, None]


def test_axis_numbers_have_finite_ranges():
    axes = [s for table, known in SETTINGS.items() for name, s in known.items() if axis_home(name) == table]
    assert all(setting.kind in (str, bool) or math.isfinite(setting.high) for setting in axes)


def test_the_studies_page_lists_every_setting():
    page = (Path(__file__).resolve().parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+\.\w+)` \| (.*?) \|", page, flags=re.MULTILINE))
    tables = SETTINGS | {"tuning": TUNING, "budget": BUDGET}
    assert rows == {f"{t}.{n}": s.doc for t, known in tables.items() for n, s in known.items()}
