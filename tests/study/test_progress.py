"""Progress of a cell: what was stored is read, and anything else is nothing."""

import json

import pytest

from kernbench.study.progress import Progress, read

STORED = Progress(12, 50, 0.01234, 301.2)


def test_it_survives_json_and_is_one_line():
    assert read(json.loads(json.dumps(STORED.stored()))) == STORED
    assert STORED.text == "epoch 12 of 50, loss 0.0123, 5 min 1 s left"


@pytest.mark.parametrize(
    "change", [{"epoch": 51}, {"epoch": -1}, {"loss": "x"}, {"loss": None}, {"left_s": float("nan")}, {"loss": 10**400}]
)
def test_anything_else_is_nothing(change):
    assert read(STORED.stored() | change) is None
    assert read({name: 1 for name in STORED.stored() if name not in change}) is None
    assert read(list(change)) is None
