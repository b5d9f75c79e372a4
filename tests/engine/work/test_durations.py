"""Durations as they are typed and shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernbench.engine.work.durations import in_words, seconds_of
from kernbench.errors import KernbenchError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("45", 45), ("30m", 1800), ("2h", 7200), ("3h30m", 12600), ("1d2h3m4s", 93784), (" 90m ", 5400)],
)
def test_a_duration_is_read(text, seconds):
    assert seconds_of(text, "--cell-limit") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1h", "2x", "m", "1.5h", "30m2h", "two hours", "٣h", "2h 30m"])
def test_anything_else_is_refused_with_the_option(text):
    with pytest.raises(KernbenchError, match=r"--cell-limit: expected a duration such as 45s"):
        seconds_of(text, "--cell-limit")


@given(st.integers(1, 10**7))
def test_what_is_shown_can_be_read_again(seconds):
    assert seconds_of(in_words(seconds), "--x") == seconds
