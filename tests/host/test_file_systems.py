"""The file system under a folder: Linux lists mount points as bytes, with blanks in octal."""

import os

import pytest

from kernbench.host import file_systems
from kernbench.host.file_systems import file_system


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """Lets these (point, type) be all mounts."""

    def listed(*mounted):
        lines = [b"device " + os.fsencode(point) + b" " + kind + b" rw,a=b 0 0\n" for point, kind in mounted]
        (tmp_path / "mounts").write_bytes(b"".join(lines))
        monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "mounts")

    return listed


def test_the_nearest_mount_counts_and_of_two_on_one_point_the_later_one(mounts, tmp_path):
    mounts(
        ("/", b"ext4"),
        (tmp_path, b"nfs4"),
        (tmp_path / "a", b"xfs"),
        (tmp_path / "ab", b"ext4"),
        (tmp_path / "a", b"cifs"),
    )
    assert file_system(tmp_path) == "nfs4"
    assert file_system(tmp_path / "a" / "b") == "cifs"
    assert file_system(tmp_path / "abc") == "nfs4"


def test_a_mount_point_with_blanks_is_found(mounts, tmp_path):
    folder = tmp_path / "my data\tand\\more\n#1"
    (folder / "deep").mkdir(parents=True)
    written = str(folder)
    for letter in "\\ \t\n#":  # as the kernel does
        written = written.replace(letter, f"\\{ord(letter):03o}")
    mounts(("/", b"ext4"), (written, b"nfs4"))
    assert file_system(folder / "deep") == "nfs4"


def test_a_mount_point_that_is_no_utf8_is_found_and_disturbs_no_other(mounts, tmp_path):
    folder = tmp_path / os.fsdecode(b"d\xe4t\xe4")
    folder.mkdir()
    mounts(("/", b"ext4"), (folder, b"nfs4"))
    assert file_system(folder) == "nfs4"
    assert file_system(tmp_path) == "ext4"


def test_a_link_leads_to_another_file_system(mounts, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    mounts(("/", b"ext4"), (tmp_path / "far", b"nfs4"))
    assert file_system(tmp_path / "link") == "nfs4"


def test_without_such_a_list_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "missing")
    assert file_system(tmp_path) is None
    (tmp_path / "empty").write_bytes(b"\n odd\n")
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "empty")
    assert file_system(tmp_path) is None


def test_this_system_lists_its_mounts():
    assert not file_systems.MOUNTS.exists() or file_system(file_systems.MOUNTS.parent) == "proc"
