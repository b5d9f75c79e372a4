"""Imported data sets: complete in the cache or not there at all, found by name and digest, and written out again."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from line_files import recorded_line, write_folder

from kernbench.errors import DataError
from kernbench.ulm.data.cache import cache_folder
from kernbench.ulm.data.export import export_set
from kernbench.ulm.data.find import find_set
from kernbench.ulm.data.imported import describe_imported, import_lines
from kernbench.ulm.data.manifest import find_manifest, manifest_by_number, read_manifest, write_manifest
from kernbench.ulm.data.recipe import Recipe, draw_line, load_split
from kernbench.ulm.simulator.transducer import receive_filter
from kernbench.ulm.srml1d.formats import write_line

NUMBERS = {"train": (1, 4), "validation": (5, 6), "test": (7, 9)}


@pytest.fixture
def folder(tmp_path):
    """Nine lines with a manifest."""
    made = write_folder(tmp_path / "lines", range(1, 10))
    write_manifest(made / "manifest.json", manifest_by_number(made, NUMBERS))
    return made


@pytest.fixture
def imported(folder):
    """The same, imported."""
    return import_lines(folder, folder / "manifest.json", "mine")


def data_files():
    """What the cache holds, locks aside."""
    return [path.name for path in cache_folder().rglob("*") if path.is_file() and not path.name.endswith(".lock")]


def test_lines_come_back_in_the_order_of_the_manifest(imported):
    for split, (first, last) in NUMBERS.items():
        loaded = find_set("mine").load(split)
        expected = [recorded_line(number) for number in range(first, last + 1)]
        assert loaded.name == split
        assert (loaded.voltage == np.stack([line.voltage for line in expected])).all()
        assert (loaded.counts == np.stack([line.counts for line in expected])).all()
        assert loaded.bubbles.tolist() == [line.bubbles for line in expected]
        assert loaded.pressure_pa.tolist() == [line.pressure_pa for line in expected]
        assert loaded.starts.tolist() == [0] * len(expected)
        assert (loaded.voltage.dtype, loaded.counts.dtype) == (np.float32, np.uint8)


def test_a_set_is_found_by_name_and_by_digest(imported, folder):
    assert imported.lines == {"train": 4, "validation": 2, "test": 3}
    assert imported.digest == read_manifest(folder / "manifest.json").digest()
    by_digest = find_set(imported.digest).load("test")
    assert (by_digest.voltage == find_set("mine").load("test").voltage).all()
    assert [each.name for each in describe_imported()] == ["mine"]
    assert find_set("mine").digest == imported.digest


def test_a_folder_is_read_through_its_manifest_without_the_cache(folder):
    found = find_set(str(folder))
    assert found.splits == ("train", "validation", "test")
    assert (found.load("test").voltage[0] == recorded_line(7).voltage).all()
    assert data_files() == []


def test_importing_again_changes_nothing(imported, folder):
    before = {path: path.stat().st_mtime_ns for path in imported.folder.iterdir()}
    assert import_lines(folder, folder / "manifest.json", "mine") == imported
    assert {path: path.stat().st_mtime_ns for path in imported.folder.iterdir()} == before


def test_a_taken_name_is_refused(imported, folder):
    other = manifest_by_number(folder, {"train": (1, 2)})
    write_manifest(folder / "other.csv", other)
    with pytest.raises(DataError, match=f"data set mine is in the cache with other lines \\({imported.digest}\\)"):
        import_lines(folder, folder / "other.csv", "mine")
    with pytest.raises(DataError, match="these lines are in the cache already, as mine"):
        import_lines(folder, folder / "manifest.json", "yours")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "0123456789ab", ".hidden", "with space"])
def test_a_name_that_could_be_mistaken_is_refused(folder, name):
    with pytest.raises(DataError, match="name: expected letters"):
        import_lines(folder, folder / "manifest.json", name)


@pytest.mark.parametrize("damage", ["cut", "NaN", "word", "empty"])
def test_a_malformed_file_is_named_and_leaves_nothing(folder, damage):
    path = folder / "RFDATA00008.txt"
    text = path.read_text()
    rows = text.split("\n")
    rows[499] = {"NaN": "0,NaN,1", "word": "0,one,1"}.get(damage, rows[499])
    path.write_text({"cut": text[:50_000], "empty": ""}.get(damage, "\n".join(rows)))
    number = {"cut": text[:50_000].count("\n") + 1, "empty": 1}.get(damage, 500)
    with pytest.raises(DataError, match=f"^RFDATA00008.txt, line {number}: "):
        import_lines(folder, folder / "manifest.json", "mine")
    assert data_files() == []
    assert describe_imported() == []


def changed(folder):
    path = folder / "RFDATA00002.txt"
    path.write_text(path.read_text().replace("with test", "with another test"))


def contradicted(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('11, "pressure_kpa": 101.0', '11, "pressure_kpa": 999.0'))


def copied(folder):
    copy = folder / "RFDATA00009.txt"
    copy.write_bytes((folder / "RFDATA00001.txt").read_bytes().replace(b"\n", b"\r\n"))
    write_manifest(folder / "manifest.json", manifest_by_number(folder, NUMBERS))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (changed, r"RFDATA00002\.txt: its content is not the one of the manifest"),
        (contradicted, r"RFDATA00001\.txt: the manifest says 11 bubbles and 999 kPa, the file 11 and"),
        (copied, r"RFDATA00009\.txt holds the same signal as RFDATA00001\.txt"),
        (lambda folder: (folder / "RFDATA00009.txt").unlink(), r"RFDATA00009\.txt cannot be read: No such file"),
    ],
)
def test_a_file_that_is_not_the_one_of_the_manifest_is_refused(folder, damage, said):
    damage(folder)
    with pytest.raises(DataError, match=said):
        import_lines(folder, folder / "manifest.json", "mine")
    assert data_files() == []


def test_a_damaged_matlab_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    made = write_folder(tmp_path / "lines", [1], suffix=".mat")
    write_manifest(made / "manifest.json", manifest_by_number(made, {"test": (1, 1)}, "mat"))
    with (made / "RFDATA00001.mat").open("r+b") as file:
        file.seek(200)
        file.write(b"xxxx")
    monkeypatch.setattr("scipy.io.loadmat", lambda *_args, **_options: pytest.fail("parsed"))
    with pytest.raises(DataError, match=r"RFDATA00001\.mat: its content is not the one of the manifest"):
        import_lines(made, made / "manifest.json", "mine")


@pytest.mark.parametrize("file", ["a\0.txt", "\ud800.txt"])
def test_a_name_that_no_file_can_have_is_refused(folder, file):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("RFDATA00001.txt", json.dumps(file)[1:-1]))
    with pytest.raises(DataError, match="cannot be read: no file has such a name"):
        import_lines(folder, path, "mine")


@pytest.mark.parametrize(
    ("other", "said"), [("mine", "data set mine is in the cache with other lines"), ("yours", "already, as yours")]
)
def test_a_name_or_set_taken_while_the_files_are_read_is_refused(folder, other, said):
    write_manifest(folder / "other.json", manifest_by_number(folder, {"train": (1, 2)}))
    first = "other.json" if other == "mine" else "manifest.json"

    def meanwhile(*_progress):
        if not describe_imported():
            import_lines(folder, folder / first, other)

    with pytest.raises(DataError, match=said):
        import_lines(folder, folder / "manifest.json", "mine", meanwhile)
    assert [each.name for each in describe_imported()] == [other]


def test_damage_in_the_cache_is_noticed_and_healed_by_importing_again(imported, folder):
    with (imported.folder / "test_voltage.npy").open("r+b") as file:
        file.seek(5000)
        file.write(b"xxxx")
    with pytest.raises(DataError, match=r"imported data set mine .*another checksum\); import it again"):
        find_set("mine").load("test")
    assert describe_imported()[0].problem
    import_lines(folder, folder / "manifest.json", "mine")
    assert (find_set("mine").load("test").voltage[0] == recorded_line(7).voltage).all()


def test_an_unknown_set_offers_a_close_match(imported):
    with pytest.raises(DataError, match=r"no data set 'mime'.*did you mean 'mine'"):
        find_set("mime")


def test_a_name_too_long_for_the_file_system_is_no_set():
    with pytest.raises(DataError, match="no data set"):
        find_set("a" * 10_000)
    with pytest.raises(DataError, match="no folder a"):
        find_manifest(Path("a" * 10_000))


def test_a_damaged_set_that_says_nonsense_of_itself_is_shown_as_damaged(imported):
    manifest = imported.folder / "manifest.json"
    manifest.write_text(json.dumps({"facts": {"name": "mine", "source": "x", "splits": {"train": 5}}}))
    (found,) = describe_imported()
    assert (found.name, found.lines) == ("", {})
    assert found.problem


def test_an_unknown_split_is_refused(folder):
    write_manifest(folder / "manifest.json", manifest_by_number(folder, {"train": (1, 2)}))
    with pytest.raises(DataError, match="has no split 'test', only train"):
        find_set(str(folder)).load("test")


def test_matlab_results_are_imported_with_their_positions(tmp_path):
    rng = np.random.default_rng(1)
    z, x = (rng.uniform(low, 0.01, 12) for low in (0.004, -0.01))
    counts = np.bincount(np.floor((z + np.hypot(z, x)) / 1480 * 62.5e6 + 0.5).astype(int), minlength=8446)
    bubbles = np.stack([z, x, np.full(12, 2.4e-6)], axis=1)
    line = dataclasses.replace(recorded_line(1), counts=counts.astype(np.uint8), positions=bubbles)
    made = tmp_path / "lines"
    made.mkdir()
    write_line(made / "RFDATA00001.mat", line, "test")
    write_manifest(made / "manifest.json", manifest_by_number(made, {"test": (1, 1)}, "mat"))
    import_lines(made, made / "manifest.json", "mat")
    content = find_set("mat").content("test")
    assert (content.split.counts[0] == counts).all()
    assert (content.positions[0] == bubbles).all()


# export


@pytest.mark.parametrize("form", ["text", "mat"])
def test_an_exported_set_is_the_same_when_imported_again(imported, tmp_path, form):
    path = export_set(find_set("mine"), tmp_path / "out", form=form)
    assert len(list((tmp_path / "out").iterdir())) == 10
    import_lines(tmp_path / "out", path, f"again-{form}")
    for split in NUMBERS:
        ours, theirs = find_set(f"again-{form}").content(split), find_set("mine").content(split)
        for name in ("voltage", "counts", "bubbles", "pressure_pa"):
            assert (getattr(ours.split, name) == getattr(theirs.split, name)).all(), name
        assert (ours.field_pa == theirs.field_pa).all()


def test_simulated_lines_are_exported_with_the_positions_of_their_scenes_and_the_pressure_of_their_echoes(tmp_path):
    recipe = Recipe({"test": 1}, population="polydisperse", seed=6)
    lines = load_split(recipe, "test")
    export_set(find_set(recipe.digest()), tmp_path / "mat", form="mat")
    content = find_set(str(tmp_path / "mat")).content("test")
    assert content.split.voltage.tobytes() == lines.voltage.tobytes()
    assert (content.split.counts == lines.counts).all()
    assert content.positions[0][:, 0].tolist() == draw_line(recipe, "test", 0)[0].z_m.tolist()
    export_set(find_set(recipe.digest()), tmp_path / "text", form="text")
    text = find_set(str(tmp_path / "text")).load("test")
    assert np.abs(text.voltage - lines.voltage).max() < 1e-10
    assert np.abs(text.pressure_pa - lines.pressure_pa).max() <= 5
    echo = scipy.io.loadmat(tmp_path / "mat" / "RFDATA00001.mat")["RF"]["p"][0, 0][0]
    # the receive response is circular: what the element makes of this pressure is the line itself
    heard = np.fft.irfft(np.fft.rfft(echo) * np.fft.rfft(receive_filter().taps, n=len(echo)), n=len(echo))
    assert np.abs(heard - lines.voltage[0]).max() < 1e-4 * np.abs(lines.voltage).max()


def test_windows_are_not_exported(tmp_path):
    recipe = Recipe({"test": 1}, window=256)
    load_split(recipe, "test")
    with pytest.raises(DataError, match="windows of 256 samples; the published formats hold whole lines of 8446"):
        export_set(find_set(recipe.digest()), tmp_path / "out")
    assert not any(tmp_path.iterdir())


def test_a_split_is_not_exported_twice(imported, tmp_path):
    with pytest.raises(DataError, match="a split is asked for twice: test, test"):
        export_set(find_set("mine"), tmp_path / "out", ["test", "test"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "is the working folder"),
        ("..", "is not empty"),
        ("../lines/manifest.json", "is not a folder"),
        ("a" * 10_000, "name too long"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line(imported, tmp_path, monkeypatch, name, said):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match=said):
        export_set(find_set("mine"), Path(name))
    assert list(tmp_path.rglob("*.txt")) == list((tmp_path / "lines").glob("*.txt"))


def test_labels_that_went_through_matlab_are_no_positions(imported, tmp_path):
    export_set(find_set("mine"), tmp_path / "out", form="mat")
    content = find_set(str(tmp_path / "out")).content("test")
    assert content.positions is None
    assert (content.split.counts == find_set("mine").load("test").counts).all()
