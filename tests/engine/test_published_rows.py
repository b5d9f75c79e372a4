import json

import pytest

from kernbench.engine.reference import Reference, from_json, read_references
from kernbench.engine.study import available_studies, load_study
from kernbench.errors import StudyError
from kernbench.registry import find_family

GOOD = {
    "source": "Author 2000",
    "family": "siren",
    "split": "test",
    "statistic": "mean",
    "axis": "kernel_size",
    "at": [17, 65],
    "values": [0.3, 0.8],
}
AXES = {"kernel_size": (17, 65), "omega_0": (30.0,)}


def test_a_reference_goes_through_json_and_back():
    (row,) = read_references([GOOD | {"where": {"omega_0": 30.0}}], AXES, "file")
    assert from_json(json.loads(json.dumps(row.as_json()))) == row
    assert isinstance(row, Reference)
    assert row.tolerance == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sorce": "x"}, "file: reference 1: unknown key sorce; did you mean 'source'"),
        ({"statistic": "men"}, "statistic: expected one of mean, median, got 'men'; did you mean 'mean'"),
        ({"axis": "omega"}, "axis: expected one of kernel_size, omega_0, tolerance, got 'omega'; did you mean"),
        ({"values": [0.3]}, "at has 2 values, values has 1"),
        ({"where": {"rate": 1}}, "rate is no axis"),
    ],
)
def test_a_wrong_reference_is_refused(change, message):
    with pytest.raises(StudyError) as error:
        read_references([GOOD | change], AXES, "file")
    assert message in str(error.value)


def test_a_missing_key_is_named():
    with pytest.raises(StudyError, match="values missing"):
        read_references([{key: value for key, value in GOOD.items() if key != "values"}], AXES, "file")


@pytest.mark.parametrize("name", sorted(available_studies()))
@pytest.mark.parametrize("profile", ["quick", "thesis"])
def test_every_bundled_study_loads_and_its_references_meet_its_axes(name, profile):
    study = load_study(name, find_family("siren"), profile)
    for row in study.references:
        if row.axis != "tolerance" and profile == "thesis":
            assert set(row.at) <= set(study.axes[row.axis])
        assert all(0 < value <= 1 for value in row.values)


def test_references_are_no_part_of_the_definition():
    study = load_study("jonker_large", find_family("siren"), "thesis")
    assert study.references
    assert "reference" not in json.dumps(study.definition)


@pytest.mark.parametrize(("study", "key"), [("blanken_hs01", "HS_01"), ("blanken_hs001", "HS_001")])
def test_published_rows_equal_the_stored_arrays(reference, study, key):
    import numpy as np

    published = np.load(reference / "srml1d" / "ModelComparison" / f"F1_test_{key}.npy", allow_pickle=False)
    (row,) = load_study(study, find_family("discrete"), "thesis").references
    assert np.allclose(row.values, published, atol=5e-5)
