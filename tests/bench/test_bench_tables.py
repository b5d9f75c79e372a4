"""Measured tables: what they print, the pages they enter, and peers that compute the same thing."""

import csv

import numpy as np
import pytest
import torch

from kernbench.bench import convolution, simulation, training_tables
from kernbench.bench.table import BenchTable, as_markdown, into_page, value_text, write_csv
from kernbench.bench.timing import Timing
from kernbench.conv import convolve
from kernbench.errors import KernbenchError

TABLE = BenchTable("one", "A title", ["K", "time [ms]"], [[17, 1.23456], [2111, None]])


def test_values_are_short():
    found = [value_text(value) for value in (None, 1234.5, 0.012345, 2048, "x")]
    assert found == ["–", "1,234", "0.0123", "2,048", "x"]


def test_a_page_is_filled_between_its_marks_again_and_again(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:one -->\nold\n<!-- /bench -->\nafter <!-- bench:two --><!-- /bench -->\n")
    other = BenchTable("three", "No mark", ["a"], [[1]])
    for _ in range(2):
        assert into_page([TABLE, other], page, "A machine.") == ["one"]
    text = page.read_text()
    assert text.count(as_markdown(TABLE)) == text.count("A machine.") == 1
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after <!-- bench:two --><!-- /bench -->\n")


def test_a_page_that_cannot_be_used_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:one --> and no end")
    with pytest.raises(KernbenchError, match="not followed"):
        into_page([TABLE], page, "")
    assert page.read_text() == "<!-- bench:one --> and no end"
    with pytest.raises(KernbenchError, match="cannot be read"):
        into_page([TABLE], tmp_path / "absent.md", "")


def test_files_keep_all_digits_or_are_refused(tmp_path):
    with write_csv(TABLE, tmp_path / "new").open() as file:
        assert list(csv.reader(file)) == [["K", "time [ms]"], ["17", "1.23456"], ["2111", ""]]
    (tmp_path / "file").touch()
    with pytest.raises(KernbenchError, match="cannot be written"):
        write_csv(TABLE, tmp_path / "file")


@pytest.mark.parametrize(
    ("sizes", "channels", "expected"),
    [
        ([17, 65], 22, [("conv_memory_22", [17, 65])]),  # none of the sizes that are measured with 64 channels
        ([17, 263], 22, [("conv_memory_22", [17, 263]), ("conv_memory_64", [263])]),
        ([17, 263], 64, [("conv_memory_64", [17, 263])]),  # the same channels: one table, and one file
    ],
)
def test_tables_of_memory_have_rows_and_names_of_their_own(monkeypatch, sizes, channels, expected):
    monkeypatch.setattr(convolution, "fresh_peak", lambda *_: 1.0)
    tables = convolution.memory_tables(sizes, channels=channels, progress=lambda _text: None)
    assert [(table.name, table.column("K")) for table in tables] == expected
    assert all("Peak resident memory" in table.title for table in tables)


def test_scipy_computes_what_we_compute():
    generator = torch.Generator().manual_seed(0)
    signal, kernel = torch.randn(2, 3, 90, generator=generator), torch.randn(4, 3, 17, generator=generator)
    for name in ("fftconvolve", "oaconvolve"):
        theirs = convolution._scipy(getattr(convolution.scipy.signal, name), signal, kernel)
        np.testing.assert_allclose(theirs, convolve(signal, kernel).numpy(), atol=1e-4)


def test_ratios_are_those_of_the_times():
    table = convolution.time_table([9, 33], channels=2, batch=1, samples=200, turns=1, progress=lambda _: None)
    for row in table.rows:
        found = dict(zip(table.columns, row, strict=True))
        assert found["fft_conv / auto"] == pytest.approx(found["fft_conv [ms]"] / found["auto [ms]"])
        assert found["direct / auto"] == pytest.approx(found["direct [ms]"] / found["auto [ms]"])
        assert found["auto takes"] in ("direct", "fft", "overlap_save")
    assert convolution.growth(table) is None
    ours, logs = convolution.growth(table, 9, 33)
    assert ours > 0
    assert logs == pytest.approx(np.log(33) / np.log(9))


def test_the_general_solver_moves_a_bubble_as_ours_does():
    trace, radii = simulation._traces(2, seed=3)
    for bubble, radius in enumerate(radii):
        assert simulation._disagreement(trace, bubble, radius, simulation.solve(trace, bubble, radius)) < 0.005


def test_ratios_are_to_the_first_way_and_rates_to_the_matrix_product(monkeypatch):
    timings = {"a": Timing(2.0, 1.0), "matmul": Timing(3.0, 4.0)}
    ratios = training_tables.ratio_table("n", "t", {"w": timings})
    assert (ratios.column("times the first"), ratios.column("in CPU time")) == ([1.0, 1.5], [1.0, 4.0])
    monkeypatch.setattr(training_tables.training, "DILATED_FLOP", 2048**3)
    assert training_tables.step_table(timings).column("share of matmul") == [4.0, 1.0]
