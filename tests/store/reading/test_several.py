"""Several databases: each once, and each with a name of its own."""

from kernbench.store.reading.several import database_names, distinct


def test_a_database_counts_once_whatever_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to("a.db")
    same = ["sqlite:///a.db", "sqlite:///./a.db", f"sqlite:///{tmp_path}/a.db", "sqlite:///link.db"]
    server = ["postgresql+psycopg://me:secret@host/one", "postgresql://other@host:5432/one?connect_timeout=3"]
    others = ["sqlite:///sub/a.db", "postgresql://me@host:5433/one", "postgresql://me@host/two"]
    assert distinct([*same, *server, *others, *same]) == [same[0], server[0], *others]


def test_names_are_short_where_they_differ_and_hold_no_password():
    urls = ["sqlite:///a.db", "sqlite:///sub/a.db", "sqlite:///b.db", "postgresql://me:secret@host/one"]
    assert database_names(urls) == ["a.db", "sub/a.db", "b.db", "one"]
    named = database_names(["postgresql://me:secret@host/one", "postgresql://me:secret@else/one"])
    assert len(set(named)) == 2
    assert "secret" not in "".join(named)
