"""Split manifests: made by an explicit rule, read back, and refused where they are ambiguous."""

import hashlib
import json

import pytest
from line_files import write_folder

from kernbench.errors import DataError
from kernbench.ulm.data.manifest import find_manifest, manifest_by_number, read_manifest, write_manifest

RANGES = {"train": (1, 3), "test": (11, 12)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("lines"), [1, 2, 3, 4, 11, 12])


@pytest.fixture(scope="module")
def manifest(folder):
    return manifest_by_number(folder, RANGES)


def test_a_rule_gives_file_hash_split_position_bubbles_and_pressure(folder, manifest):
    assert manifest.rule == "number in the file name: train 1-3, test 11-12"
    assert [line.file for line in manifest.lines] == [f"RFDATA{n:05d}.txt" for n in (1, 2, 3, 11, 12)]
    assert [(line.split, line.position) for line in manifest.lines] == [
        ("train", 0),
        ("train", 1),
        ("train", 2),
        ("test", 0),
        ("test", 1),
    ]
    last = manifest.lines[-1]
    assert last.sha256 == hashlib.sha256((folder / last.file).read_bytes()).hexdigest()
    assert (last.bubbles, last.pressure_kpa) == (22, 112.0)
    assert manifest.splits == ["train", "test"]


@pytest.mark.parametrize("name", ["manifest.json", "manifest.csv"])
def test_a_manifest_comes_back(manifest, tmp_path, name):
    write_manifest(tmp_path / name, manifest)
    assert read_manifest(tmp_path / name) == manifest
    assert find_manifest(tmp_path) == tmp_path / name


def test_the_order_of_entries_does_not_matter(manifest, tmp_path):
    write_manifest(tmp_path / "m.csv", manifest)
    rule, header, *rows = (tmp_path / "m.csv").read_text().splitlines()
    (tmp_path / "m.csv").write_text("\n".join([rule, header, *reversed(rows)]) + "\n")
    assert read_manifest(tmp_path / "m.csv") == manifest


def test_the_digest_is_that_of_contents_and_order(folder, manifest, tmp_path):
    renamed = [entry(line, file=f"other/{line.position}-{line.split}.txt") for line in manifest.lines]
    assert read_manifest(as_json(tmp_path, renamed)).digest() == manifest.digest()
    swapped = [entry(line, position=[1, 0, 2][line.position]) for line in manifest.lines]
    assert read_manifest(as_json(tmp_path, swapped)).digest() != manifest.digest()
    moved = [entry(line, split="validation" if line.split == "test" else "train") for line in manifest.lines]
    assert read_manifest(as_json(tmp_path, moved)).digest() != manifest.digest()
    assert len(manifest.digest()) == 12


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("RFDATA00003.txt", None, r"no file of number 2 \(\.txt\), asked for by test"),
        ("copy_1.txt", None, r"files RFDATA00001.txt, copy_1.txt of number 1"),
        ("RFDATA00002.txt", lambda _content: b"nothing\n", r"RFDATA00002.txt, line"),
        ("RFDATA00002.txt", lambda content: content, r"content [0-9a-f]{64} is listed twice"),
    ],
)
def test_numbers_that_give_no_manifest_are_refused(tmp_path, name, change, said):
    content = (write_folder(tmp_path, [1]) / "RFDATA00001.txt").read_bytes()
    (tmp_path / name).write_bytes(change(content) if change else b"x")
    with pytest.raises(DataError, match=said):
        manifest_by_number(tmp_path, {"train": (1, 1), "test": (2, 2)})


def test_a_folder_without_a_manifest_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(DataError, match="never by the order of a directory; `kernbench data manifest"):
        find_manifest(tmp_path)


def test_the_same_line_cannot_be_in_two_splits(tmp_path):
    write_folder(tmp_path, [1, 2])
    (tmp_path / "RFDATA00002.txt").write_bytes((tmp_path / "RFDATA00001.txt").read_bytes())
    with pytest.raises(DataError, match=r"content [0-9a-f]{64} is listed twice"):
        manifest_by_number(tmp_path, {"train": (1, 1), "test": (2, 2)})


def entry(line, **changed):
    row = {name: getattr(line, name) for name in ("file", "sha256", "split", "position", "bubbles", "pressure_kpa")}
    return {key: value for key, value in (row | changed).items() if value is not None}


def as_json(folder, rows, **changed):
    path = folder / "changed.json"
    path.write_text(json.dumps({"version": 1, "rule": "by hand", "lines": rows} | changed))
    return path


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"split": "trian"}, "split expected train, validation, test, got 'trian'"),
        ({"position": 7}, "positions of train must be 0 to 2"),
        ({"position": "x"}, "must be integers >= 0"),
        ({"position": 0.7}, "must be integers >= 0"),
        ({"position": False}, "must be integers >= 0"),
        ({"position": -1}, "must be integers >= 0"),
        ({"bubbles": 11.9}, "must be integers >= 0"),
        ({"pressure_kpa": float("nan")}, "pressure_kpa a number"),
        ({"pressure_kpa": 10**400}, "pressure_kpa a number"),
        ({"split": ["train"]}, "split must be text"),
        ({"file": "a" * 5000}, "file has 5000 characters"),
        ({"position": None}, "position is missing"),
        ({"sha256": "abc"}, "sha256 expected 64 hexadecimal digits"),
        ({"file": "../outside.txt"}, "must be a path below the folder"),
        ({"file": "/etc/passwd"}, "must be a path below the folder"),
        ({"file": "RFDATA00002.txt"}, "file RFDATA00002.txt is listed twice"),
        ({"presure_kpa": 1}, "unknown key 'presure_kpa'; did you mean 'pressure_kpa'"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_number(manifest, tmp_path, changed, said):
    rows = [entry(line) for line in manifest.lines]
    rows[0] = entry(manifest.lines[0], **changed)
    with pytest.raises(DataError) as refused:
        read_manifest(as_json(tmp_path, rows))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


COLUMNS = "file,sha256,split,position,bubbles,pressure_kpa\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.json", "", "is not JSON with version, rule and lines"),
        ("m.json", "{}", "is not JSON with"),
        ("m.json", "[1]", "is not JSON with"),
        ("m.json", "\x00", "is not JSON with"),
        pytest.param("m.json", "[" * 100_000, "is not JSON with", id="deep"),
        ("m.json", '{"version": 1, "rule": "x", "lines": 5}', "a list of lines"),
        ("m.json", '{"version": 2, "rule": "x", "lines": []}', "expected version 1 .*, got 2"),
        ("m.json", '{"version": 1, "rule": 5, "lines": []}', "rule must be text, got 5"),
        ("m.json", '{"version": 1, "rule": "x", "lines": []}', "has no lines"),
        ("m.csv", COLUMNS, "has no lines"),
        pytest.param("m.csv", COLUMNS + "a" * 200_000, "is not CSV", id="long"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"manifest .*m\.(json|csv).*{said}"):
        read_manifest(tmp_path / name)


@pytest.mark.parametrize("name", ["m.json", "m.csv"])
def test_the_byte_order_mark_of_spreadsheets_is_no_part_of_a_manifest(manifest, tmp_path, name):
    write_manifest(tmp_path / name, manifest)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes().replace(b"\n", b"\r\n"))
    assert read_manifest(tmp_path / name) == manifest


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(manifest, tmp_path, monkeypatch):
    path = tmp_path / "m.json"
    path.write_text("old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"m\.json cannot be written: No space left"):
        write_manifest(path, manifest)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["m.json"]


def test_a_file_name_that_is_no_text_is_one_line(tmp_path):
    write_folder(tmp_path, [1])
    (tmp_path / "RFDATA00001.txt").rename(tmp_path / "caf\udce9_1.txt")
    made = manifest_by_number(tmp_path, {"train": (1, 1)})
    write_manifest(tmp_path / "m.json", made)
    assert read_manifest(tmp_path / "m.json") == made
    with pytest.raises(DataError, match=r"a file name is not UTF-8"):
        write_manifest(tmp_path / "m.csv", made)
    assert not (tmp_path / "m.csv").exists()
