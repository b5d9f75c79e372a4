"""Several databases: each once, and each with a name of its own."""

import pytest
from fakes import NINE, THIRTY_THREE, World

from kernbench.errors import StudyError
from kernbench.registry import find
from kernbench.store.reading.several import database_names, distinct, load_several
from kernbench.study.selection import read_selection


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


@pytest.mark.filterwarnings("ignore::kernbench.errors.KernbenchWarning")
def test_families_and_cells_may_be_in_some_of_the_databases(tmp_path, empty_database):
    worlds = []
    for name, family, sizes in (("a", "discrete", [9]), ("b", "siren", [33])):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, empty_database)
        world.found = find(family)
        world.run(world.study(sizes))
        worlds.append(world)
    urls = [world.url for world in worlds]

    def found(families=(), *only):
        return [(run.family, run.cell) for run in load_several(urls, [], None, families, read_selection(only))]

    assert found() == [("discrete", NINE), ("siren", THIRTY_THREE)]
    assert found(["siren"]) == found((), "kernel_size=33") == [("siren", THIRTY_THREE)]
    assert found((), "kernel_size=9..33", "seed=0") == found()
    with pytest.raises(StudyError, match=r"no study of kernel family 'log'.*stored: discrete, siren"):
        found(["log"])
    with pytest.raises(StudyError, match="kernel_size=65: selects nothing; kernel_size is 9, 33"):
        found((), "kernel_size=65")
    with pytest.raises(StudyError, match=r"kernel_size=33: selects nothing; kernel_size is 9$"):
        found(["discrete"], "kernel_size=33")
