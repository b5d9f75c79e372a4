"""The table of differences says why a row has no verdict."""

import pytest


@pytest.mark.parametrize(
    ("level", "seeds", "said"),
    [(0.8, 1, "none: one seed"), (0.3, 3, "none: both blind"), (0.8, 2, "not decided"), (0.8, 3, "equivalent")],
)
def test_a_row_without_a_verdict_says_why(page_of, make_run, level, seeds, said):
    runs = [make_run(family, 65, seed, level) for family in ("siren", "discrete") for seed in range(seeds)]
    (row,) = (row for row in page_of(runs).rows if row[1:2] == ["discrete (kernel_size = 65)"])
    assert row[4] == said
