"""Line files of SRML-1D: text, read, refused and written."""

import numpy as np
import pytest
from recorded_lines import read, recorded

from kernbench.errors import DataError
from kernbench.ulm.line import SAMPLES
from kernbench.ulm.srml1d.formats import parse_line, read_bytes, write_line

HEADER = [
    '"Generated with a test"',
    '"Number of bubbles:",3',
    '"Acoustic pressure (kPa):",123.45',
    '"Bubble count","Voltage (a.u)","Pressure field (Pa)"',
]


@pytest.fixture(scope="module")
def rows():
    """Rows of a well-formed file: three bubbles."""
    counts = np.zeros(SAMPLES, int)
    counts[[400, 8000]] = 1, 2
    voltage = 50 * np.sin(np.arange(SAMPLES) / 7)
    field = 123469 - np.arange(SAMPLES)
    return [f"{c},{v:.10f},{p:.0f}" for c, v, p in zip(counts, voltage, field, strict=True)]


def content(rows, header=HEADER, end="\n"):
    return ("\n".join([*header, *rows]) + end).encode()


# text: reading


def test_a_text_line_is_read_as_numpy_reads_it(reference):
    path = reference / "RFDATA00001.txt"
    line = read(path)
    table = np.loadtxt(path, delimiter=",", skiprows=4)
    assert (line.counts == table[:, 0]).all()
    assert (line.voltage == table[:, 1].astype(np.float32)).all()
    assert (line.field_pa == table[:, 2]).all()
    assert line.bubbles == 10
    assert line.pressure_pa == 224690.0
    assert (line.counts.dtype, line.voltage.dtype) == (np.uint8, np.float32)


@pytest.mark.parametrize(
    ("plain", "other"), [(b"\n", b"\r\n"), (b'"Generated with a test"', b'"' + 10_000 * b"a" + b'"')]
)
def test_line_ends_of_windows_and_a_long_source_are_read(rows, plain, other):
    expected, got = (parse_line(each, "a.txt") for each in (content(rows), content(rows).replace(plain, other)))
    assert (got.voltage == expected.voltage).all()


def replaced(place, text):
    return lambda rows: content([*rows[:place], text, *rows[place + 1 :]])


MALFORMED = {
    "empty": (lambda rows: b"", 1, "empty"),
    "blank": (lambda rows: b"\n \n", 1, "empty"),
    "header only": (lambda rows: content([]), 4, "cut"),
    "half a header": (lambda rows: "\n".join(HEADER[:2]).encode(), 2, "header"),
    "no source": (lambda rows: content(rows, ["text", *HEADER[1:]]), 1, "quoted"),
    "no number of bubbles": (lambda rows: content(rows, [HEADER[0], '"Number of bubbles:",x', *HEADER[2:]]), 2, "'"),
    "no pressure": (lambda rows: content(rows, [*HEADER[:2], '"Pressure:",1', HEADER[3]]), 3, "Acoustic pressure"),
    "other columns": (lambda rows: content(rows, [*HEADER[:3], '"a","b"']), 4, "Bubble count"),
    "a number of bubbles without end": (
        lambda rows: content(rows, [HEADER[0], f'"Number of bubbles:",{"9" * 3000}', *HEADER[2:]]),
        2,
        "Number of bubbles",
    ),
    "a pressure beyond numbers": (
        lambda rows: content(rows, [*HEADER[:2], f'"Acoustic pressure (kPa):",{"9" * 400}', HEADER[3]]),
        3,
        "Acoustic pressure",
    ),
    "headers missing": (lambda rows: content(rows, []), 1, "quoted"),
    "cut between rows": (lambda rows: content(rows[:5000]), 5004, "expected 8450 complete lines, got 5004"),
    "cut within a row": (lambda rows: content(rows)[:100_000], None, "is cut here"),
    "cut within the last number": (lambda rows: content(rows, end=""), 8450, "is cut here"),
    "too long": (lambda rows: content([*rows, rows[-1]]), 8451, "goes on"),
    "text behind the end": (lambda rows: content(rows, end="\nx"), 8451, "goes on"),
    "a word": (replaced(100, "0,abc,1"), 105, "'abc' is not a number"),
    "an empty cell": (replaced(100, "0,,1"), 105, "'' is not a number"),
    "a blank row": (replaced(0, ""), 5, "expected count,voltage,pressure, got ''"),
    "two columns": (replaced(8445, "0,1.5"), 8450, "expected count,voltage,pressure"),
    "four columns": (replaced(7, "0,1.5,3,4"), 12, "expected count,voltage,pressure"),
    "NaN": (replaced(77, "0,NaN,1"), 82, "finite"),
    "infinity": (replaced(77, "0,-inf,1"), 82, "finite"),
    "beyond float32": (replaced(77, "0,1e60,1"), 82, "too large"),
    "a comment": (replaced(3, "# 0,1,2"), 8, "not a number"),
    "not text": (replaced(3, "0,\x00\x00,2"), 8, "not a number"),
    "a line end of old Macs in a row": (replaced(3, "0,1\r,2"), 8, "'1\\r' is not a number"),
    "half a bubble": (replaced(9, "0.5,1,1"), 14, "bubble count"),
    "a negative count": (replaced(9, "-1,1,1"), 14, "bubble count"),
    "too many in a sample": (replaced(9, "256,1,1"), 14, "bubble count"),
    "another number than the header's": (replaced(9, "1,1,1"), 2, "says 3 bubbles, column 1 adds up to 4"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_text_line_is_named_with_its_line_number(rows, name):
    damage, number, said = MALFORMED[name]
    damaged = damage(rows)
    number = damaged.count(b"\n") + 1 if number is None else number
    with pytest.raises(DataError) as refused:
        parse_line(damaged, "RFDATA00007.txt")
    assert str(refused.value).startswith(f"RFDATA00007.txt, line {number}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"absent.txt cannot be read: No such file"):
        read_bytes(tmp_path / "absent.txt")


def test_another_suffix_is_refused():
    with pytest.raises(DataError, match=r"a\.tx: expected a file \.txt or \.mat; did you mean '\.txt'"):
        parse_line(b"", "a.tx")


# text: writing


def test_a_published_text_line_comes_back(reference, tmp_path):
    source = reference / "RFDATA00001.txt"
    line = read(source)
    write_line(tmp_path / "a.txt", line, "writeResultsToTxt.m from RFDATA00001.mat")
    ours, theirs = (path.read_text().split("\n") for path in (tmp_path / "a.txt", source))
    assert ours[:4] == theirs[:4]
    assert len(ours) == len(theirs)
    for mine, published in zip(ours[4:-1], theirs[4:-1], strict=True):
        (count, voltage, field), expected = mine.split(","), published.split(",")
        assert (count, field) == (expected[0], expected[2])
        assert np.float32(voltage) == np.float32(expected[1])
    again = read(tmp_path / "a.txt")
    assert again.voltage.tobytes() == line.voltage.tobytes()
    write_line(tmp_path / "b.txt", again, "writeResultsToTxt.m from RFDATA00001.mat")
    assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()


def test_voltages_lose_less_than_the_last_decimal(tmp_path):
    line = recorded(np.random.default_rng(1))
    write_line(tmp_path / "a.txt", line, "test")
    again = read(tmp_path / "a.txt")
    large = np.abs(line.voltage) > 1e-3
    assert (again.voltage[large] == line.voltage[large]).all()
    assert np.abs(again.voltage - line.voltage).max() <= 0.5e-10
    assert (again.counts == line.counts).all()
    assert again.pressure_pa == line.pressure_pa


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_line(tmp_path / "absent" / "a.txt", recorded(np.random.default_rng(0)), "test")
