"""Cells chosen by their names: values, ranges, several names, and what is said of a choice that means nothing."""

import pytest

from kernbench.errors import StudyError
from kernbench.study.selection import ALL, read_selection

CELLS = [f"kernel_size={size},seed={seed}" for size in (17, 65, 129) for seed in (0, 1)]


def chosen(*given, cells=CELLS):
    selection = read_selection(given)
    selection.check(cells)
    return [cell for cell in cells if cell in selection]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], CELLS),
        (["kernel_size=65"], CELLS[2:4]),
        (["kernel_size=65,129"], CELLS[2:]),
        (["kernel_size=65", "kernel_size=129"], CELLS[2:]),
        (["kernel_size=17..65"], CELLS[:4]),
        (["kernel_size=17,100..200"], [*CELLS[:2], *CELLS[4:]]),
        (["kernel_size = 65", "seed=0"], [CELLS[2]]),
        (["seed=0,1", "kernel_size=129.0"], CELLS[4:]),
    ],
)
def test_values_of_one_name_are_any_and_names_are_all(given, expected):
    assert chosen(*given) == expected


def test_texts_fractions_and_networks_of_files_are_values():
    cells = ["kernel_size=9,name=a,rate=0.001", "kernel_size=9,name=mine@0123,rate=0.01", "kernel_size=9,name=b,c"]
    assert chosen("name=mine", cells=cells) == cells[1:2]
    assert chosen("rate=1e-3", cells=cells) == cells[:1]
    assert chosen("rate=0..0.005", cells=cells) == cells[:1]
    noise = ["test_noise_percent=-1.0", "test_noise_percent=16.0"]
    assert chosen("test_noise_percent=-1..0", cells=noise) == noise[:1]


@pytest.mark.parametrize("given", ["kernel_size", "=65", "kernel_size=", "kernel_size=65,", "kernel_size=1,,2"])
def test_another_form_is_refused(given):
    with pytest.raises(StudyError, match="expected NAME=VALUE, such as kernel_size=65"):
        read_selection([given])


@pytest.mark.parametrize("given", ["kernel_size=65..17", "kernel_size=a..b", "kernel_size=17..", "kernel_size=..17"])
def test_a_range_has_two_numbers_in_order(given):
    with pytest.raises(StudyError, match="expected a range of two numbers, the smaller first"):
        read_selection([given])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["kernal_size=65"],
            "kernal_size: no study here has an axis 'kernal_size'; did you mean 'kernel_size'?",
        ),
        (["rate=1"], "no study here has an axis 'rate'; known: kernel_size, seed"),
        (["kernel_size=66"], "--only kernel_size=66: selects nothing; kernel_size is 17, 65, 129"),
        (["kernel_size=65,66"], "--only kernel_size=66: selects nothing"),
        (["kernel_size=200..300"], "kernel_size=200..300: selects nothing"),
    ],
)
def test_what_means_no_cell_is_refused_with_what_there_is(given, said):
    with pytest.raises(StudyError) as error:
        chosen(*given)
    assert said in str(error.value)


def test_values_that_no_cell_has_together_are_refused():
    with pytest.raises(StudyError, match="no cell has kernel_size = 65, seed = 1 together"):
        chosen("kernel_size=65", "seed=1", cells=["kernel_size=65,seed=0", "kernel_size=17,seed=1"])


def test_it_says_itself_to_a_reader_and_to_a_command_line():
    selection = read_selection(["kernel_size=17..65,129", "seed=0"])
    assert selection.text == "kernel_size = 17 to 65 or 129, seed = 0"
    assert read_selection(selection.options[1::2]) == selection
    assert set(selection.options[::2]) == {"--only"}
    assert not ALL
    assert ALL.text == ""
