"""Checkpoints: a kill, a full disk or a hostile file never costs more than the time since the last one."""

import errno
import io
import os
import pickle
import resource
import zipfile

import pytest
import torch

from kernbench.errors import KernbenchWarning, StorageError
from kernbench.host import files
from kernbench.store.files import checkpoints

KEY = "0123456789abcdef"
DIGEST = "feedfeedfeed"


def state(number=1.0, digest=DIGEST):
    """A state as training saves it."""
    return {
        "digest": digest,
        "epoch": 3,
        "weights": {"a": torch.full((4,), number)},
        "curve": [{"epoch": 0, "f": None}],
    }


def write(folder, trial, number=1.0, digest=DIGEST):
    """Save a state as an attempt does."""
    path = folder / f"{KEY}.{trial}.pt"
    checkpoints.save(path, state(number, digest))
    return path


def value(folder):
    """What the newest intact checkpoint holds."""
    loaded = checkpoints.load_newest(folder, KEY, DIGEST)
    return None if loaded is None else float(loaded["weights"]["a"][0])


def test_what_was_saved_is_loaded(tmp_path):
    write(tmp_path, 0)
    loaded = checkpoints.load_newest(tmp_path, KEY, DIGEST)
    assert loaded["curve"] == state()["curve"]
    assert torch.equal(loaded["weights"]["a"], state()["weights"]["a"])


def test_the_newest_attempt_wins_by_number_not_by_name(tmp_path):
    for trial in (2, 10, 9):
        write(tmp_path, trial, trial)
    assert value(tmp_path) == 10


def test_no_checkpoint_means_starting_again(tmp_path):
    assert value(tmp_path) is None
    assert value(tmp_path / "missing") is None


def test_checkpoints_of_other_cells_and_other_definitions_are_ignored(tmp_path):
    write(tmp_path, 5, 5.0, digest="another")
    checkpoints.save(tmp_path / f"{KEY[::-1]}.9.pt", state(9.0))
    assert value(tmp_path) is None
    write(tmp_path, 1, 1.0)
    assert value(tmp_path) == 1.0


class Marker:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def hostile(path, marker):
    """A torch file whose pickle runs code, otherwise well formed."""
    write(path.parent, 99)
    torch.save({"digest": DIGEST, "weights": Marker(marker)}, path)


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "zip", "pickle", "no dict"])
def test_a_damaged_file_is_reported_and_the_one_before_is_used(tmp_path, damage):
    write(tmp_path, 1, 1.0)
    newest = write(tmp_path, 2, 2.0)
    whole = newest.read_bytes()
    if damage == "cut":
        newest.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "garbage":
        newest.write_bytes(bytes(range(256)) * 8)
    elif damage == "zip":
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as file:
            file.writestr("hello", "world")
        newest.write_bytes(content.getvalue())
    elif damage == "pickle":
        newest.write_bytes(pickle.dumps(Marker(tmp_path / "ran"), protocol=2))
    else:
        torch.save([1, 2], newest)
        assert value(tmp_path) == 1.0  # another kind of state is simply not this cell's
        return
    with pytest.warns(KernbenchWarning, match=r"\.2\.pt is damaged") as said:
        assert value(tmp_path) == 1.0
    assert "\n" not in str(said[0].message)
    assert not (tmp_path / "ran").exists()


def test_code_in_a_checkpoint_is_never_executed(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    path = folder / f"{KEY}.3.pt"
    hostile(path, tmp_path / "ran")
    for file in folder.glob("*.99.pt"):
        file.unlink()
    with pytest.warns(KernbenchWarning, match="damaged"):
        assert value(folder) is None
    assert not (tmp_path / "ran").exists()


def test_a_link_is_not_followed(tmp_path):
    target = tmp_path / "elsewhere.pt"
    checkpoints.save(target, state())
    (tmp_path / f"{KEY}.7.pt").symlink_to(target)
    with pytest.warns(KernbenchWarning, match="no plain file and skipped"):
        assert value(tmp_path) is None
    checkpoints.remove(tmp_path, KEY)
    assert target.exists()


@pytest.mark.parametrize("moment", ["save", "fsync"])
def test_a_full_disk_is_one_line_and_the_old_file_stays_whole(tmp_path, monkeypatch, moment):
    path = write(tmp_path, 1, 1.0)
    before = path.read_bytes()

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def half(_state, file):
        file.write(before[:100])
        raise RuntimeError("PytorchStreamWriter failed writing file: file write failed")

    target = {"save": ("torch.save", half), "fsync": ("os.fsync", full)}
    monkeypatch.setattr(*target[moment])
    with pytest.raises(StorageError, match="cannot be written") as error:
        checkpoints.save(path, state(2.0))
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_may_not_grow_is_reported(tmp_path):
    path = tmp_path / f"{KEY}.1.pt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            checkpoints.save(path, state())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["below a file", "proc"])
def test_a_folder_that_cannot_be_written_is_reported(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "checkpoints" if place == "below a file" else checkpoints.Path("/proc/kernbench")
    with pytest.raises(StorageError, match="cannot be written"):
        checkpoints.save(folder / f"{KEY}.1.pt", state())


def test_the_folder_is_made_when_first_needed(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    write(folder / "c", 1, 4.0)
    assert value(folder / "c") == 4.0


def test_removing_takes_all_of_a_cell_and_nothing_else(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    with files.whole_file(tmp_path / f"{KEY}.3.pt") as file:  # what a kill at this moment leaves
        file.write(b"half")
        [half] = tmp_path.glob("*.part")
        os.link(half, half.with_name(half.name.replace(f"{os.getpid()}-", "4194305-")))
    other = tmp_path / f"{KEY[::-1]}.1.pt"
    checkpoints.save(other, state())
    assert len(list(tmp_path.iterdir())) == 5
    checkpoints.remove(tmp_path, KEY)
    assert list(tmp_path.iterdir()) == [other]
    checkpoints.remove(tmp_path, KEY)


def test_a_name_without_a_number_is_no_newer_than_the_numbered_ones(tmp_path):
    write(tmp_path, 0, 5.0)
    checkpoints.save(tmp_path / f"{KEY}.copy.pt", state(6.0))
    assert value(tmp_path) == 5.0
