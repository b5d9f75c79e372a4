"""Storage URLs: what is refused before anything is connected, what is shown, which folders belong to a database."""

from pathlib import Path

import pytest

from kernbench.errors import StorageError
from kernbench.store.database.url import (
    DEFAULT_URL,
    holds_password,
    resolve_source,
    resolve_url,
    shown_url,
    side_folder,
)


def test_the_url_falls_back_to_the_environment_and_then_to_the_working_folder(monkeypatch):
    assert resolve_url(None) == DEFAULT_URL
    monkeypatch.setenv("KERNBENCH_STORAGE", "sqlite:///elsewhere.db")
    assert resolve_url(None) == "sqlite:///elsewhere.db"
    assert resolve_source("") == resolve_source(None) == "sqlite:///elsewhere.db"  # not the working folder
    assert resolve_url("sqlite:///here.db") == "sqlite:///here.db"


def test_a_source_is_a_url_or_a_folder_of_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert resolve_source("out") == "tables:///out"
    with pytest.raises(StorageError, match=r"'nowhere' is no folder that `kernbench storage export` wrote, nor a URL"):
        resolve_source("nowhere")
    with pytest.raises(StorageError) as error:
        resolve_source("postgresql:me:secret@host/name")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "kernbench.db",
        "/data/kernbench.db",
        "mysql://me@host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a{b}.db",
        "sqlite:///file:a.db?mode=ro&uri=true",
        "postgresql+psycopg://me@host:port/name",
        "postgresql+psycopg://me@host/na\nme",
        "sqlite:///\udcff.db",
        f"sqlite:///{'x' * 5000}.db",
        "x" * 5000,
        "postgresql+psycopg2://me@host/name",
        "sqlite://folder/x.db",
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line(url):
    with pytest.raises(StorageError) as error:
        resolve_url(url)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("postgresql+psycopg2://me:secret@host:5433/name", "postgresql+psycopg://me:***@host:5433/name"),
        (
            "postgresql+psycopg_async://me@host/name?sslmode=require",
            "postgresql+psycopg://me@host/name?sslmode=require",
        ),
        ("postgresql+asyncpg://host/name", "postgresql+psycopg://host/name"),
        ("postgresql://me@host/name", "postgresql+psycopg://me@host/name"),
        ("postgres://me@host/name", "postgresql+psycopg://me@host/name"),
        ("sqlite+aiosqlite:///x.db", "sqlite:///x.db"),
        ("sqlite+pysqlcipher:////data/x.db", "sqlite:////data/x.db"),
        ("mysql+pymysql://me@host/name", "sqlite:///file.db or postgresql+psycopg://user@host/name"),
        ("sqlite://x.db", "sqlite:///x.db"),
        ("sqlite://folder/x.db", "sqlite:///folder/x.db"),
    ],
)
def test_another_driver_is_refused_with_what_to_write_instead(url, right):
    with pytest.raises(StorageError) as error:
        resolve_url(url)
    assert str(error.value).endswith(f" {right}")
    assert "secret" not in str(error.value)


def test_the_drivers_that_are_used_may_be_named():
    for url in ("sqlite+pysqlite:///x.db", "postgresql+psycopg://me@host/name"):
        assert resolve_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:secret@host/name",
        "postgresql+psycopg://me:secret@host/{name}",
        "postgresql+psycopg://host/name?user=me&password=secret&sslpassword=secret",
        "postgresql+psycopg://me:pass/secret@host:port/name?password=secret",
        "postgresql+psycopg://me:pass@secret@host/name",
        "postgresql+psycopg://me:pass@word/secret@host/name",
        "mysql://host/name?password=secret",
        "secret@host?password=secret",
    ],
)
def test_a_password_is_shown_nowhere(url):
    try:
        said = shown_url(resolve_url(url))
        assert holds_password(url)
    except StorageError as error:
        said = str(error)
    assert "secret" not in said


def test_side_folders_lie_beside_the_database_and_two_databases_do_not_share_them(tmp_path):
    assert side_folder("sqlite:///kernbench.db", "artifacts") == Path("kernbench.artifacts")
    assert side_folder(f"sqlite:///{tmp_path}/my.db", "checkpoints") == tmp_path / "my.checkpoints"
    names = ["a.db", "a.sqlite", "results.v1", "results.v2"]
    assert len({side_folder(f"sqlite:///{name}", "artifacts") for name in names}) == len(names)
