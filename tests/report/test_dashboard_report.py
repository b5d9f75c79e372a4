"""The report under /report/ of the dashboard: files of its manifest, for reading, and nothing else of the disk."""

import io
from wsgiref.util import setup_testing_defaults

import pytest

from kernbench.report.dashboard.report_files import report_files, report_folder
from kernbench.report.page.manifest import Manifest, names_in, write_manifest

FILES = {"report.html": b"<p>page</p>", "cells.csv": b"a,b\n", "figures/one.svg": b"<svg/>"}
SECRET = b"secret"


def write(folder, urls, files=FILES):
    """A report of these databases, as its manifest says; its folder."""
    (folder / "figures").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    write_manifest(folder, Manifest("digest", names_in(folder, urls), dict.fromkeys(files, "html")))
    return folder


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A database of which nothing is read, in a folder that is not the working folder, with secrets around it."""
    home = tmp_path / "home"
    home.mkdir()
    for place in (tmp_path, home):
        (place / "secret.csv").write_bytes(SECRET)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return f"sqlite:///{home}/kernbench.db"


@pytest.fixture
def folder(url, tmp_path):
    """A report beside the database."""
    found = write(tmp_path / "home" / "kernbench-report", [url])
    (found / "secret.csv").write_bytes(SECRET)  # of the user, so not in the manifest
    return found


def get(url, path):
    """Status, headers and body of a request; a server hands paths on as they are once decoded."""
    environ, seen = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.input": io.BytesIO()}, {}
    setup_testing_defaults(environ)
    body = b"".join(report_files(url)(environ, lambda status, headers: seen.update(headers, status=int(status[:3]))))
    return seen["status"], seen, body


@pytest.mark.usefixtures("folder")
def test_the_page_and_the_files_of_its_manifest_are_served(url):
    assert get(url, "/report/")[::2] == (200, FILES["report.html"])
    for name, content in FILES.items():
        code, headers, body = get(url, f"/report/{name}")
        assert (code, body, headers["Content-Length"]) == (200, content, str(len(content)))
        assert headers["X-Content-Type-Options"] == "nosniff"
    code, headers, _ = get(url, "/report")  # links of the page are relative to the folder
    assert (code, headers["Location"]) == (302, "/report/")


@pytest.mark.parametrize(
    "path",
    [
        "secret.csv",
        "../secret.csv",
        "../../secret.csv",
        "figures/../secret.csv",
        "figures/../../secret.csv",
        "./report.html",
        "%2e%2e/secret.csv",
        "..%2fsecret.csv",
        "%252e%252e%252fsecret.csv",
        "..\\secret.csv",
        "/etc/passwd",
        "//etc/passwd",
        "report.html\0",
        "figures",
        "figures/",
        "kernbench-report.json",
        "report.html/",
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_the_manifest_does_not_list_is_not_there(url, path):
    code, _, body = get(url, f"/report/{path}")
    assert code == 404
    assert SECRET not in body
    assert b"root:" not in body


def test_links_are_not_followed(url, folder, tmp_path):
    (folder / "cells.csv").unlink()
    (folder / "cells.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "figures").rename(folder / "drawn")
    (folder / "figures").symlink_to(folder / "drawn")
    assert get(url, "/report/cells.csv")[0] == 404
    assert get(url, "/report/figures/one.svg")[0] == 404


def test_a_manifest_of_another_kind_gives_nothing(url, folder):
    manifest = (folder / "kernbench-report.json").read_text()
    (folder / "kernbench-report.json").write_text(manifest.replace("cells.csv", "../secret.csv"))
    assert get(url, "/report/")[0] == 404
    assert get(url, "/report/../secret.csv")[0] == 404


def test_a_report_of_this_database_alone_comes_before_one_of_several(url, tmp_path):
    other = f"sqlite:///{tmp_path}/home/other.db"
    assert report_folder(url) is None
    code, headers, body = get(url, "/report/")
    assert (code, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert b"`kernbench report`" in body
    write(tmp_path / "home" / "kernbench-report-a", [other])
    assert report_folder(url) is None
    both = write(tmp_path / "home" / "kernbench-report-b", [url, other])
    assert report_folder(url) == both
    mine = write(tmp_path / "work" / "kernbench-report", [url])
    assert report_folder(url).resolve() == mine


def test_a_page_that_is_gone_is_no_report(url, folder):
    (folder / "report.html").unlink()
    assert report_folder(url) is None
