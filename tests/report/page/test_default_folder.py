"""The folder of a report without --out belongs to the databases that it shows."""

import shutil

import pytest

from kernbench.report.page.default_folder import default_folder
from kernbench.report.page.manifest import Manifest, names_in, write_manifest

SERVER = "postgresql+psycopg://me:secret@host:5433/thesis"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def reported(*urls):
    """Where a report on these goes, and that it was written there."""
    folder, why = default_folder(urls)
    folder.mkdir(exist_ok=True)
    write_manifest(folder, Manifest("a", names_in(folder, urls), {}))
    return str(folder), why


def test_the_first_database_has_the_usual_folder_and_each_other_one_its_own():
    shows = "kernbench-report shows kernbench.db"
    first, second, same_name = "sqlite:///kernbench.db", "sqlite:///results/other.db", "sqlite:///other.db"
    expected = {
        (first,): ("kernbench-report", ""),
        (second,): ("kernbench-report-other", shows),
        (same_name,): ("kernbench-report-other-2", shows),
        (SERVER,): ("kernbench-report-thesis", shows),
        (first, second): ("kernbench-report-kernbench-other", shows),
    }
    for _ in range(2):
        for urls, place in expected.items():
            assert reported(*urls) == place
    assert reported("sqlite:///./kernbench.db") == ("kernbench-report", "")


def test_a_moved_working_folder_keeps_its_report(here, monkeypatch):
    reported("sqlite:///kernbench.db")
    moved = shutil.move(here, here.with_name("moved"))
    monkeypatch.chdir(moved)
    assert reported("sqlite:///kernbench.db") == ("kernbench-report", "")


def test_a_report_that_does_not_say_its_database_is_replaced_as_ever(here):
    (here / "kernbench-report").mkdir()
    (here / "kernbench-report" / "report.html").write_text("of an older kernbench")
    assert default_folder(["sqlite:///other.db"])[1] == ""


def test_a_manifest_holds_no_user_and_no_password(here):
    reported(SERVER)
    text = (here / "kernbench-report" / "kernbench-report.json").read_text()
    assert "postgresql://host:5433/thesis" in text
    assert "me:" not in text
    assert "secret" not in text
