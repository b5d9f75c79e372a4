"""What another sampling rate does to kernels, on the terminal and as facts for a file."""

import json
import math

from kernbench.cli.terminal.rates import said
from kernbench.networks.rates import LayerChange


def test_kernels_without_a_sum_or_energy_have_a_dash_and_no_number_in_the_file(capsys):
    facts = said([LayerChange(17, 0.5, 1, math.nan, math.nan), LayerChange(17, 0.5, 1, 0.25, 0.5)], 2)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert [(each["dc_drift"], each["high_energy"]) for each in facts["layers"]] == [(None, None), (0.25, 0.5)]
    shown = capsys.readouterr().out
    assert "nan" not in shown
    assert "25.00%" in shown
    assert "–" in shown
