"""Names and files of others: refused in one line or kept as text; nothing is executed or written elsewhere."""

import dataclasses
import io
import pickle

import fakes
import numpy as np
import pytest
import torch
from fakes import NINE
from sqlalchemy import text

from kernbench.cli.terminal import console
from kernbench.errors import KernbenchWarning, PluginError, StudyError
from kernbench.kernels.family import KernelFamily
from kernbench.kernels.space import Choice, Float
from kernbench.registry import Found
from kernbench.report.page.html import write_report
from kernbench.store.database.url import side_folder
from kernbench.store.files.checkpoints import CellCheckpoints
from kernbench.store.reading.runs import load_runs, stored_states, stored_studies
from kernbench.study.reading import load_study

HOSTILE = {
    "path": "../../escaped",
    "absolute": "/escaped",
    "quotes": "a'b\"c",
    "statement": "x'; DROP TABLE trials; --",
    "newline": "a\nb",
    "control": "a\x1b[2Jb\x00c",
    "braces": "{0.__class__} {study} %s %(x)s :name",
    "comma": "a,seed=0",
    "unicode": "größe 泡 \u202e🫧",
    "long": "x" * 10_000,
}


def discrete(**changes):
    family = fakes.find("discrete").family
    return KernelFamily(**{"name": family.name, "module": family.module, "space": family.space} | changes)


def escaped(text):
    """Inside the quotes of TOML."""
    return "".join(f"\\U{ord(letter):08x}" for letter in text)


def one_short_line(error):
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 1000
    assert said.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_study_or_profile_of_that_name_is_refused(tmp_path, name):
    content = "version = 1\nseeds = 1\n[axes]\nkernel_size = [9]\n"
    for file, profile in ((f"{HOSTILE[name]}.toml", "quick"), ("", HOSTILE[name])):
        if profile != "quick":
            path = tmp_path / "mine.toml"
            path.write_text(f'{content}[profiles."{escaped(profile)}"]\n', encoding="utf-8")
        with pytest.raises(StudyError) as error:
            load_study(file or str(path), discrete(), profile)
        one_short_line(error)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_family_or_hyper_parameter_of_that_name_is_refused(name):
    for offered in ({"name": HOSTILE[name]}, {"space": {HOSTILE[name]: Float(0.0, 1.0, default=0.5)}}):
        with pytest.raises(PluginError) as error:
            discrete(**offered)
        one_short_line(error)


REFUSED = ("newline", "control", "long", "unicode")  # the last turns the direction of writing


def with_options(world, *options):
    """A study whose axis has these texts as its values; the family makes no kernel here."""
    world.found = Found(discrete(space={"mode": Choice(options)}), "x", "somebody's", "1")
    values = ", ".join(f'"{escaped(each)}"' for each in options)
    return world.study([9], more=f"mode = [{values}]")


@pytest.mark.parametrize("name", REFUSED)
def test_an_axis_value_of_that_name_is_refused(world, name):
    with pytest.raises(StudyError) as error:
        with_options(world, HOSTILE[name])
    one_short_line(error)


def test_axis_values_of_other_names_are_kept_as_text(world):
    values = [text for name, text in HOSTILE.items() if name not in REFUSED]
    before = sorted(path for path in world.folder.parent.rglob("*") if world.folder not in path.parents)
    study = with_options(world, *values)

    def compute(context):
        (context.scratch / "curve.csv").write_text("epoch\n1\n")
        context.checkpoints.save({"digest": study.digest})
        return fakes.outcome(artifacts=[context.scratch / "curve.csv"])

    assert set(world.states(world.run(study, compute)).values()) == {"done"}
    runs = load_runs(world.url)
    assert {run.params["mode"]: run.cell for run in runs} == {
        value: f"kernel_size=9,mode={value},seed=0" for value in values
    }
    (stored,) = stored_studies(world.url)
    console.print_states(stored, stored_states(stored))
    page = write_report(runs, world.folder / "report")
    assert page.is_relative_to(world.folder)
    assert sorted(path for path in world.folder.parent.rglob("*") if world.folder not in path.parents) == before
    assert list(side_folder(world.url, "checkpoints").iterdir()) == []


def test_two_cells_of_the_same_name_are_refused(world):
    space = {"a": Choice(("1", "1,b=2")), "b": Choice(("2,b=3", "3"))}
    world.found = Found(discrete(space=space), "x", "somebody's", "1")
    with pytest.raises(StudyError, match="two cells have the same name"):
        world.study([9], more='a = ["1", "1,b=2"]\nb = ["2,b=3", "3"]')


@pytest.mark.parametrize("name", [*HOSTILE, "surrogate"])
def test_a_failed_or_diverged_cell_with_that_message_is_stored_shown_and_ends_no_worker(world, name, capsys):
    def compute(context):
        if context.cell == NINE:
            raise ValueError(HOSTILE.get(name, "a\udcffb"))
        return dataclasses.replace(fakes.diverged(), message=HOSTILE.get(name, "x"))

    result = world.run(compute=compute)
    assert world.states(result) == {NINE: "failed", fakes.THIRTY_THREE: "diverged"}
    (stored,) = stored_studies(world.url)
    (state, _) = stored_states(stored)
    assert state.detail.startswith("error: ValueError")
    assert state.detail.isprintable()
    assert len(state.detail) < 1100
    console.print_states(stored, [state])
    assert "\x1b[2J" not in capsys.readouterr().out
    messages = {run.cell: run.message for run in load_runs(world.url)}
    assert messages[NINE] == state.detail
    assert messages[fakes.THIRTY_THREE].isprintable()
    (kept,) = side_folder(world.url, "artifacts").iterdir()
    assert kept.read_text(encoding="utf-8").startswith("Traceback")


@pytest.mark.parametrize("name", ["path", "quotes", "statement", "braces", "long"])
def test_a_study_asked_for_by_that_name_is_not_found_and_harms_nothing(world, name):
    world.run(world.study([9]))
    content = world.content()
    with pytest.raises(StudyError):
        stored_studies(world.url, [HOSTILE[name]])
    assert world.content() == content


class Trap:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def objects(path):
    """An `.npz` file with Python objects in it."""
    with io.BytesIO() as file:
        np.savez(file, kernel_0=np.array([Trap(path)], object))
        return file.getvalue()


@pytest.mark.parametrize("kind", ["pickle", "objects", "link"])
def test_artifacts_that_were_replaced_are_named_by_the_report_and_never_run(world, kind):
    def compute(context):
        for name in ("cell.npz", "curve.csv"):
            (context.scratch / name).write_text("x")
        return fakes.outcome(artifacts=[context.scratch / "cell.npz", context.scratch / "curve.csv"])

    world.run(world.study([9]), compute)
    sprung, secret = world.folder / "sprung", world.folder / "secret"
    secret.write_text("epoch,loss\nnot yours,1\n")
    for name, path in load_runs(world.url)[0].artifacts.items():
        content = {"pickle": pickle.dumps(Trap(sprung)), "objects": objects(sprung), "link": b""}[kind]
        path.unlink()
        if kind == "link":
            path.symlink_to(secret)
        else:
            path.write_bytes(content if name == "cell.npz" else pickle.dumps(Trap(sprung)))
    if kind == "link":
        with pytest.warns(KernbenchWarning, match="no plain file and left out"):
            runs = load_runs(world.url)
        assert runs[0].artifacts == {}
    else:
        runs = load_runs(world.url)
    page = write_report(runs, world.folder / "report").read_text(encoding="utf-8")
    assert "not yours" not in page
    assert page.count("cannot be read:") == (0 if kind == "link" else 2)
    assert kind == "link" or "it holds Python objects, nothing was run" in page
    assert "pickle.load" not in page
    assert not sprung.exists()


@pytest.mark.parametrize("kind", ["pickle", "tensors", "link", "folder"])
def test_a_checkpoint_that_was_replaced_is_skipped_with_a_line(tmp_path, kind):
    path, sprung = tmp_path / "0123456789abcdef.3.pt", tmp_path / "sprung"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"digest": "d", "trap": Trap(sprung)}, protocol=2))
    elif kind == "tensors":
        torch.save({"digest": "d", "trap": Trap(sprung)}, path)
    elif kind == "link":
        torch.save({"digest": "d"}, tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    with pytest.warns(KernbenchWarning, match="skipped") as told:
        assert CellCheckpoints(tmp_path, "0123456789abcdef", 0).newest("d") is None
    assert "\n" not in str(told[-1].message)
    assert not sprung.exists()


def test_names_in_the_database_are_no_sql(world):
    """Names that came into the database by another way are only compared and shown."""
    world.run(world.study([9]))
    hostile = "x'; DROP TABLE trials; --\n{0}/é"
    with world.storage().engine.begin() as connection:
        connection.execute(text("UPDATE studies SET study_name = :name"), {"name": hostile})
        connection.execute(text("UPDATE kernbench_run SET study = :name"), {"name": hostile})
        connection.execute(text("UPDATE kernbench_score SET study = :name"), {"name": hostile})
    (run,) = load_runs(world.url)
    assert run.study == hostile
    page = write_report([run], world.folder / "report")
    assert page.is_file()
    (stored,) = stored_studies(world.url)
    console.print_states(stored, stored_states(stored))
    assert len(load_runs(world.url)) == 1
