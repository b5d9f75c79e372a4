"""Published numbers in study files: what may be written, and that it is what the published arrays hold."""

import itertools
import json

import numpy as np
import pytest
from preset_families import FAMILIES
from scipy.stats import binned_statistic, spearmanr

from kernbench.errors import StudyError
from kernbench.registry import find_family
from kernbench.study.reading import available_studies, load_study
from kernbench.study.reference import Reference, from_json, read_references

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
    assert row.quantity == "f1"


def test_bins_go_through_json_and_back_and_name_their_places():
    bins = GOOD | {"axis": "bubbles", "at": [0, 100, 200.5], "tolerance": 0}
    (row,) = read_references([bins], AXES, "file")
    assert from_json(json.loads(json.dumps(row.as_json()))).edges == row.edges == (0, 100, 200.5)
    assert row.places == ("0–100", "100–200.5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sorce": "x"}, "file: reference 1: unknown key sorce; did you mean 'source'"),
        (
            {"statistic": "men"},
            "statistic: expected one of 'mean', 'median', 'sd', 'min', 'q05', 'q25', 'q75', 'max', 'spearman_bubbles'",
        ),
        ({"statistic": "men"}, "got 'men'; did you mean 'mean'"),
        ({"axis": "omega"}, "expected one of 'kernel_size', 'omega_0', 'tolerance', 'bubbles', 'pressure_kpa', got"),
        ({"values": [0.3]}, "at has 2 values, values has 1"),
        ({"where": {"rate": 1}}, "rate is no axis"),
        ({"quantity": "brek_even"}, "quantity: expected one of 'f1', 'average_precision', 'break_even'"),
        ({"quantity": "brek_even"}, "did you mean 'break_even'"),
        ({"at": 17}, "at: expected a list, got 17"),
        ({"source": 3}, "source: expected text, got 3"),
        ({"tolerance": True}, "tolerance: expected a whole number >= 0, got True"),
        ({"where": 65}, "where: expected a table, got 65"),
        ({"values": [0.3, "x"]}, "values: expected numbers, got 'x'"),
        ({"values": [0.3, float("nan")]}, "values: expected numbers, got nan"),
        ({"axis": "tolerance", "at": [0, 4.5]}, "at: expected whole tolerances, got [0, 4.5]"),
        ({"axis": "bubbles", "at": [0, 100]}, "at has 2 edges, so values must have one less; got 2"),
        ({"axis": "bubbles", "at": [0, 200, 100]}, "expected rising edges of bins of bubbles, got [0, 200, 100]"),
        ({"axis": "pressure_kpa", "at": ["a", 1, 2]}, "expected rising edges of bins of pressure_kpa"),
        (
            {"axis": "bubbles", "at": [0, 1, 2], "statistic": "median"},
            "axis bubbles needs split 'test' and statistic 'mean'",
        ),
        (
            {"quantity": "max_f1", "split": "train"},
            "quantity max_f1 needs split 'test' and statistic 'mean', got split 'train'",
        ),
        ({"quantity": "max_f1", "axis": "bubbles", "at": [0, 1, 2]}, "quantity max_f1 has no bins"),
        ({"statistic": "spearman_bubbles", "split": "validation"}, "spearman_bubbles needs split 'test'"),
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
    study = load_study(name, find_family(FAMILIES.get(name, "siren")), profile)
    for row in study.references:
        if row.axis in study.axes and profile == "thesis":
            assert set(row.at) <= set(study.axes[row.axis])
        for key, value in (row.where or {}).items():
            assert profile != "thesis" or value in study.axes[key]
        assert all(0 < abs(value) <= 1 for value in row.values)
        assert all(value > 0 for value in row.values) or row.statistic.startswith("spearman")


def test_references_and_notes_are_read_and_stay_out_of_the_definition():
    large, small = (load_study(f"jonker_{name}", find_family("siren"), "thesis") for name in ("large", "k3"))
    assert large.references
    assert "comparable" in small.note
    assert not any(word in json.dumps([large.definition, small.definition]) for word in ("reference", "comparable"))


def references(study):
    return load_study(study, find_family("discrete"), "thesis").references


ROWS = [
    *((study, {}, key) for study, key in (("blanken_hs01", "HS_01"), ("blanken_hs001", "HS_001"))),
    ("blanken_noise", {"noise_percent": 0.0}, "HS_001"),
    *(("blanken_noise", {"noise_percent": float(level)}, f"{level}%") for level in (1, 2, 4, 8, 16, 32)),
    ("blanken_poly", {}, "HS_001_polydisperse"),
    *(
        ("blanken_loss", {"hard_weight": weight, "alpha": alpha}, f"{name}_{text}")
        for name, weight in (("HS", 1.6), ("S", 0.0))
        for text, alpha in (("001", 0.01), ("01", 0.1), ("1", 1.0))
    ),
]


@pytest.mark.parametrize(("study", "where", "key"), ROWS, ids=str)
def test_published_rows_equal_the_stored_arrays(reference, study, where, key):
    published = np.load(reference / "srml1d" / "ModelComparison" / f"F1_test_{key}.npy", allow_pickle=False)
    (row,) = (
        r
        for r in references(study)
        if (dict(r.where or {}), r.statistic, r.quantity) == (where, "mean", "f1") and r.axis == "tolerance"
    )
    assert row.at == tuple(range(10))
    assert np.allclose(row.values, published, atol=5.01e-5)


def test_every_noise_level_and_every_loss_has_its_row():
    for name, axes in (("blanken_noise", ["noise_percent"]), ("blanken_loss", ["hard_weight", "alpha"])):
        study = load_study(name, find_family("discrete"), "thesis")
        points = itertools.product(*(study.axes[axis] for axis in axes))
        assert {tuple(row.where[axis] for axis in axes) for row in study.references} == set(points)


def test_the_published_curve_equals_the_stored_matrices(reference):
    folder = reference / "srml1d" / "PrecisionRecall"
    precision, recall, f1 = (np.load(folder / f"{name}_matrix.npy") for name in ("precision", "recall", "F1"))
    thresholds = np.load(folder / "threshold_list.npy")
    rows = {row.quantity: row for row in references("blanken_hs01") if row.quantity != "f1"}
    assert len(rows) == 6
    for t in rows["max_f1"].at:
        best = f1[t].argmax()
        grid = np.linspace(0, 1, 100_001)
        envelope = np.where(recall[t] >= grid[:, None], precision[t], 0).max(axis=1)
        fine = np.linspace(0, 43, 430_001)
        p, r = (np.interp(fine, np.arange(44), each[t]) for each in (precision, recall))
        expected = {
            "max_f1": f1[t, best],
            "max_f1_threshold": thresholds[best],
            "max_f1_precision": precision[t, best],
            "max_f1_recall": recall[t, best],
            "average_precision": envelope.mean(),
            "break_even": p[np.abs(p - r).argmin()],
        }
        for name, value in expected.items():
            assert rows[name].values[t] == pytest.approx(value, abs=1e-4), (name, t)


def test_the_published_lines_equal_the_stored_arrays(reference):
    folder = reference / "srml1d" / "Statistics_HS_001"
    f1, bubbles, pressure = (np.load(folder / f"{name}_matrix.npy") for name in ("F1", "num_bub", "press_acc"))
    known = {"bubbles": bubbles[0], "pressure_kpa": pressure[0]}
    over = {"median": np.median, "sd": np.std, "min": np.min, "max": np.max}
    over |= {f"q{percent:02}": lambda x, q=percent: np.quantile(x, q / 100) for percent in (5, 25, 75)}
    over |= {f"spearman_{name}": lambda x, by=by: spearmanr(x, by).statistic for name, by in known.items()}
    rows = [row for row in references("blanken_hs001") if row.source.endswith("Fig. 8")]
    assert {row.statistic for row in rows} == {"mean", *over}
    for row in rows:
        if row.axis == "tolerance":
            expected = [over[row.statistic](f1[t]) for t in row.at]
        else:
            expected = binned_statistic(known[row.axis], f1[row.tolerance], bins=row.at).statistic
        assert row.values == pytest.approx(expected, abs=5.1e-4 if "spearman" in row.statistic else 5.1e-5)
