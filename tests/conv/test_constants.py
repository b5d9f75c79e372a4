"""Constants of `auto`: those that come with kernbench, those that a fit leaves behind, and what follows from them."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from kernbench.conv import auto, constants, convolve, fit
from kernbench.conv.plan import cut
from kernbench.conv.predict import TERMS, CostTable, seconds_direct, seconds_in_blocks, work
from kernbench.errors import KernbenchError


@pytest.fixture
def small_fit(monkeypatch):
    """A fit of few and small convolutions."""
    monkeypatch.setattr(fit, "_SHAPES", [(1, *c, 300, 9, 1) for c in ((2, 2, 1), (1, 2, 1), (2, 2, 2))])
    monkeypatch.setattr(fit, "_TAPS", (3, 9))
    monkeypatch.setattr(fit, "_KINDS", {kind: ((2, 4), (200, 300), known[2]) for kind, known in fit._KINDS.items()})
    return fit.fit(passes=1)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("channels", [(1, 1, 1), (1, 8, 1), (22, 22, 1), (64, 64, 64), (6, 12, 3)])
@pytest.mark.parametrize("dilation", [1, 7])
@pytest.mark.parametrize("batch", [1, 3])
def test_built_in_constants_price_every_kind_of_layer(device, channels, dilation, batch):
    known = constants.constants(device)
    inputs, outputs, groups = channels
    signal, kernel = (batch, inputs, 4000), (outputs, inputs // groups, 33)
    for taken in (
        seconds_direct(signal, kernel, dilation, known),
        seconds_in_blocks(signal, kernel, cut(4000, 33, dilation, 128), known),
    ):
        assert 1e-6 < taken < 10
    assert constants.origin(device).startswith("built-in ")


def test_a_fit_is_stored_and_found_by_this_machine_only(small_fit, monkeypatch):
    before = constants.constants("cpu")
    path = constants.store(small_fit, "cpu")
    constants._load.cache_clear()
    assert asdict(constants.constants("cpu")) == asdict(small_fit.constants) != asdict(before)
    assert constants.origin("cpu").startswith("fitted ")
    stored = json.loads(path.read_text())
    assert stored["format"] == constants.FORMAT
    assert stored["machine"]["torch"] == torch.__version__
    assert constants._path(path.parent, "cpu", 1) != constants._path(path.parent, "cpu", 2)
    monkeypatch.setattr(constants, "processor", lambda: "another processor")
    constants._path.cache_clear()
    assert constants.origin("cpu").startswith("built-in ")
    assert not list(path.parent.glob(".*"))


def test_a_process_keeps_the_constants_that_it_began_with(small_fit):
    before = constants.constants("cpu")
    assert not constants.fitted_path("cpu").exists()
    constants.store(small_fit, "cpu")
    assert constants.constants("cpu") is before


def test_a_fit_explains_what_it_measured(small_fit):
    assert small_fit.cases > 3
    assert 0 <= small_fit.median_error <= small_fit.largest_error
    for prices in (small_fit.constants.matrix, small_fit.constants.elementwise):
        assert set(prices) == set(TERMS)
        assert all(price >= 0 for price in prices.values())
        assert any(prices.values())


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1, "constants": {"call": 1}}', "\x00"])
def test_a_damaged_file_is_one_clear_line(content):
    path = constants.fitted_path("cpu")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(KernbenchError, match="remove it or fit again") as caught:
        convolve(torch.zeros(1, 1, 50), torch.zeros(1, 1, 9))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_another_format_is_refused(small_fit):
    path = constants.store(small_fit, "cpu")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    constants._load.cache_clear()
    with pytest.raises(KernbenchError, match="expected format 2, got 99"):
        constants.constants("cpu")


def test_a_folder_that_cannot_be_written_is_one_clear_line(small_fit, own_cache):
    (own_cache / "convolution").write_text("a file")
    with pytest.raises(KernbenchError, match=r"cannot write .*File exists"):
        constants.store(small_fit, "cpu")
    with pytest.raises(KernbenchError, match=r"cannot be written .*is not a folder.*KERNBENCH_CACHE"):
        constants.check_writable("cpu")


def test_the_choice_is_the_least_predicted_time():
    known = constants.constants("cpu")
    for taps in (3, 17, 65, 527):
        signal, kernel = (4, 22, 8446), (22, 22, taps)
        plan = auto.block_plan(signal, kernel, 1, "cpu")
        direct, blocks = seconds_direct(signal, kernel, 1, known), seconds_in_blocks(signal, kernel, plan, known)
        chosen = auto.choose(signal, kernel, 1, "cpu")
        assert (chosen == "direct") == (direct < blocks)


def test_work_is_counted_by_hand():
    # 2 lines of 100 samples at dilation 2, 3 taps: blocks of 16 give 14 of 48 outputs of a phase, so 4 blocks
    plan = cut(100, 3, 2, 16)
    columns, rows = 2 * 2 * 4, 2 * (2 * 2 * 4) * (3 + 5) + 2 * 15
    counted = dict(zip(TERMS, work((2, 3, 100), (5, 3, 3), plan), strict=True))
    assert counted["row"] == rows
    assert counted["sample_log"] == rows * 16 * 4
    assert counted["sample_mixed"] == 0
    assert counted["sample_dilated"] == 2 * columns * 8 * 14
    assert counted["matrix"] == 3 * 9
    assert counted["multiply_add"] == 3 * 4 * 9 * columns * 15
    assert counted["pointwise"] == 0
    assert dict(zip(TERMS, work((2, 3, 100), (6, 1, 3), plan), strict=True))["pointwise"] == 3 * 9 * columns * 6


def test_a_table_is_exact_at_its_nodes_and_between_them_elsewhere():
    table = CostTable((100, 400), (1, 4), (3, 12), (((8.0, 2.0), (4.0, 1.0)), ((16.0, 4.0), (8.0, 2.0))), 0)
    assert table.at(100, 1, 3) == pytest.approx(8)
    assert table.at(400, 4, 12) == pytest.approx(2)
    assert table.at(200, 1, 3) == pytest.approx(math.sqrt(8 * 16))
    assert table.at(100, 2, 6) == pytest.approx((8 * 2 * 4 * 1) ** 0.25)
    assert table.at(1, 1, 1) == table.at(100, 1, 3)
    assert table.at(9999, 64, 99) == table.at(400, 4, 12)


def test_few_taps_are_priced_by_channels_in_whole_blocks():
    table = CostTable((100,), (8, 16), (3, 20), (((40.0, 5.0), (10.0, 5.0)),), 0, padded=2)
    assert [table.at(100, width, 3) for width in (8, 16)] == pytest.approx([40, 10])
    assert table.at(100, 12, 3) == pytest.approx(10 * (16 / 12) ** 2)  # 10 for each of 16 x 16
    assert table.at(100, 12, 20) == pytest.approx(5)


def test_a_short_single_line_has_a_table_of_its_own():
    known = constants.constants("cpu")
    flat = {kind: CostTable((9,), (9,), (9,), (((1.0,),),), 1e9 * number) for number, kind in enumerate(known.direct)}
    kinds, flat = list(flat), replace(known, direct=flat)

    def kind(batch, inputs, outputs, groups, length):
        seconds = seconds_direct((batch, inputs, length), (outputs, inputs // groups, 3), 1, flat)
        return kinds[round(seconds)]

    assert kind(1, 2, 2, 1, 2048) == "dense_single"
    assert kind(1, 22, 22, 1, 2048) == kind(2, 2, 2, 1, 2048) == kind(1, 4, 4, 2, 2048) == "dense"
    assert kind(1, 1, 8, 1, 8446) == "first_single"
    assert kind(1, 1, 8, 1, 30000) == kind(2, 1, 8, 1, 8446) == "first"
    assert kind(1, 8, 8, 8, 2048) == "depthwise"
