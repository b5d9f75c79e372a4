"""Reading: what comes out equals what was stored, failures have their reason, rows of late attempts are ignored."""

import dataclasses
import json

import fakes
import numpy as np
import optuna
import pytest
from fakes import NINE, THIRTY_THREE
from optuna.trial import TrialState
from sqlalchemy import text
from sqlalchemy.orm import Session

from kernbench.engine.queue.queueing import enqueue_all
from kernbench.errors import StorageError, StudyError
from kernbench.store.maintenance.checking import check_storage
from kernbench.store.reading.runs import load_runs, stored_states, stored_studies
from kernbench.store.tables.result_tables import RunRow, ScoreRow


def test_what_is_read_equals_what_was_stored(world):
    world.run(world.study([9]), lambda _context: fakes.outcome(0.25, seed=3))
    (run,) = load_runs(world.url)
    assert (run.study, run.base, run.family, run.cell) == ("mine.v1.quick/discrete", "mine.v1.quick", "discrete", NINE)
    assert run.params == {"kernel_size": 9, "seed": 0}
    assert (run.status, run.tolerance, run.epochs, run.values["n_params"]) == ("ok", 4, 3, 11)
    assert run.data_digest == fakes.DATA
    assert run.digest == world.study([9]).digest
    assert run.environment["packages"]["torch"]
    for split, seed in (("validation", 3), ("test", 4)):
        stored, read = fakes.counts(seed), run.scores[split]
        np.testing.assert_array_equal(read.tp, stored.tp)
        np.testing.assert_array_equal(read.fn, stored.fn)
        np.testing.assert_array_equal(read.fp, stored.fp)
        np.testing.assert_array_equal(read.thresholds, stored.thresholds)
    assert run.threshold == fakes.counts(4).thresholds[4]
    for stored, written in ((run.lines.facts, fakes.facts().lines), (run.lines.floors, fakes.facts().floors)):
        assert {name: values.tolist() for name, values in stored.items()} == written


def test_curves_are_read_where_they_were_stored(world):
    content = {"thresholds": [0.1, 0.2], "precision": [[0.5, 0.6]], "recall": [[0.9, 0.8]], "f1": [[0.6, 0.7]]}
    with_curve = dataclasses.replace(fakes.outcome(), curve=content)
    cells = iter([with_curve, fakes.outcome()])  # the second as an older kernbench stored it
    world.run(world.study([9, 33]), lambda _context: next(cells))
    new, old = sorted(load_runs(world.url), key=lambda run: run.curve is None)
    for name, values in content.items():
        np.testing.assert_array_equal(getattr(new.curve, name), values)
    assert old.curve is None
    assert old.scores


def test_references_of_an_older_database_are_read_and_their_splits_whole(world):
    world.run(world.study([9]))
    row = {"source": "A", "family": "discrete", "split": "validation", "statistic": "mean", "axis": "tolerance"}
    row |= {"at": [0], "values": [0.5], "tolerance": 4, "where": {}}
    world.optuna_study(world.study([9])).set_user_attr("references", json.dumps([row]))
    (run,) = load_runs(world.url, whole=["test"])
    assert run.references[0].quantity == "f1"
    assert run.note == ""
    assert run.scores["validation"].tolerances.tolist() == list(range(10))


def test_a_note_is_stored_and_may_be_corrected_without_a_new_version(world):
    noted = dataclasses.replace(world.study([9]), note="no number was printed")
    world.run(noted)
    assert load_runs(world.url)[0].note == "no number was printed"
    assert world.study([9]).digest == noted.digest
    world.run(world.study([9, 33]), extend=True)
    assert load_runs(world.url)[0].note == ""


def test_artifacts_come_back_by_name_and_a_lost_file_is_left_out(world):
    def compute(context):
        for name in ("curve.csv", "cell.npz"):
            (context.scratch / name).write_text(f"{name} of {context.cell}")
        return fakes.outcome(artifacts=[context.scratch / "curve.csv", context.scratch / "cell.npz"])

    world.run(world.study([9]), compute)
    (run,) = load_runs(world.url)
    assert set(run.artifacts) == {"curve.csv", "cell.npz"}
    assert run.artifacts["curve.csv"].read_text() == f"curve.csv of {NINE}"
    assert run.lacking == 0
    run.artifacts["curve.csv"].unlink()
    (run,) = load_runs(world.url)
    assert set(run.artifacts) == {"cell.npz"}
    assert run.lacking == 1


def test_a_cell_that_never_ended_is_no_run_but_was_asked_for(world):
    world.run(world.study([9]))
    world.run(world.study([9, 33]), extend=True, queue_only=True)
    (run,) = load_runs(world.url)
    assert (run.cell, run.asked) == (NINE, 2)
    assert run.missing == {run.study: (THIRTY_THREE,)}
    opened = world.optuna_study(world.study([9]))  # a run that asks for less
    assert [(state.cell, state.state) for state in stored_states(opened)] == [(NINE, "done"), (THIRTY_THREE, "waiting")]


def test_a_cell_that_was_trained_together_with_other_seeds_is_read_as_any_other(world):
    """Earlier versions did that, and kept the seconds of a cell that could not be trained so."""
    study = world.study([9])
    world.run(study, lambda _context: dataclasses.replace(fakes.outcome(), details={"own_seconds": 100.0}))
    (run,) = load_runs(world.url)
    assert (run.cell, run.status) == (NINE, "ok")
    np.testing.assert_array_equal(run.scores["test"].tp, fakes.counts(1).tp)
    world.run(study)
    assert world.executed == [NINE]


def test_a_diverged_cell_is_listed_without_scores(world):
    world.run(world.study([9]), lambda _context: fakes.diverged())
    (run,) = load_runs(world.url)
    assert (run.status, run.scores, run.lines, run.threshold) == ("diverged", {}, None, None)
    assert run.message == "loss became nan"


def test_a_failed_cell_is_listed_with_its_parameters_and_reason(world):
    def fail(_context):
        raise MemoryError("too big")

    study = world.study([9])
    opened = world.run(study, queue_only=True) and world.optuna_study(study)
    opened._pop_waiting_trial_id()
    enqueue_all(opened, study, [NINE])  # a duplicate, which is dropped, must not speak for the cell
    opened._pop_waiting_trial_id()
    opened.tell(1, state=TrialState.PRUNED)
    opened.tell(0, state=TrialState.FAIL)
    world.run(study, fail)
    enqueue_all(opened, study, [NINE])
    opened._pop_waiting_trial_id()
    opened.tell(3, state=TrialState.PRUNED)
    run = load_runs(world.url)[0]
    assert run.status == "oom"
    assert run.message.startswith("oom: MemoryError: too big; reached ")
    assert run.params == {"kernel_size": 9, "seed": 0}
    assert run.scores == {}


def test_rows_of_an_attempt_that_did_not_end_are_not_read(world):
    world.run(world.study([9]))
    with Session(world.storage().engine) as session, session.begin():
        session.get(RunRow, ("mine.v1.quick/discrete", NINE)).trial = 5  # of a late attempt
    assert load_runs(world.url) == []


def test_studies_are_chosen_by_name_base_or_key_and_reading_changes_nothing(world):
    world.run()
    world.found = fakes.find("siren")
    world.run()
    keys = ["mine.v1.quick/discrete", "mine.v1.quick/siren"]
    content = world.content()
    for name in ("mine", "mine.v1.quick"):
        assert [study.study_name for study in stored_studies(world.url, [name])] == keys
    assert [study.study_name for study in stored_studies(world.url, [keys[1]])] == keys[1:]
    with pytest.raises(StudyError, match="'mine'"):
        stored_studies(world.url, ["mien"])
    load_runs(world.url)
    stored_states(stored_studies(world.url)[0])
    assert world.content() == content


@pytest.mark.parametrize("read", [load_runs, check_storage])
def test_a_database_that_is_not_there_is_refused_and_not_made(sqlite_world, read):
    with pytest.raises(StorageError, match="no database there yet"):
        read(sqlite_world.url)
    assert not sqlite_world.database.exists()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE study_user_attributes SET value_json = '\"[\"' WHERE key = 'cells'",
        "UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'status'",
        "UPDATE kernbench_run SET details = '5'",
        "UPDATE kernbench_run SET thresholds = '{\"test\": []}'",
        "UPDATE kernbench_run SET tolerance = 99",
        "DROP TABLE kernbench_score",
    ],
)
def test_a_damaged_record_is_one_line_that_names_the_study(world, damage):
    study = world.study([9])
    world.run(study)
    with world.storage().engine.begin() as connection:
        connection.execute(text(damage))
    with pytest.raises(StorageError, match="a record in the database is damaged") as error:
        load_runs(world.url)
    assert study.key in str(error.value)
    assert "kernbench storage check" in str(error.value)
    assert "\n" not in str(error.value)


def test_studies_of_others_are_left_alone(world):
    world.run(world.study([9]))
    optuna.create_study(study_name="team/alpha", storage=world.storage()).set_user_attr("cells", 5)
    assert [study.study_name for study in stored_studies(world.url)] == [world.study([9]).key]
    with pytest.raises(StudyError, match="team"):
        stored_studies(world.url, ["team/alpha"])


def test_splits_not_read_whole_have_the_headline_tolerances_of_all_studies_read(world):
    world.run()
    world.found = fakes.find("siren")
    world.run(compute=lambda _context: dataclasses.replace(fakes.outcome(), tolerance=6))
    parts = {(part.study, part.cell): part for part in load_runs(world.url, whole=["test"])}
    for run in load_runs(world.url):
        part = parts[run.study, run.cell]
        assert_same_scores(part.scores["test"], run.scores["test"])
        assert_same_scores(part.scores["validation"], run.scores["validation"], slice(4, 7))
        assert part.threshold == run.threshold
    for run in load_runs(world.url, ["mine.v1.quick/siren"], whole=[]):
        assert {split: scores.tolerances.tolist() for split, scores in run.scores.items()} == {
            "test": [6],
            "validation": [6],
        }


def assert_same_scores(part, whole, tolerances=slice(None)):
    """All columns of a part equal those of the whole at some tolerances."""
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(part, field.name), getattr(whole, field.name)[tolerances])


def test_a_cell_with_a_row_too_few_is_refused(world):
    world.run(world.study([9]))
    with Session(world.storage().engine) as session, session.begin():
        session.delete(session.get(ScoreRow, ("mine.v1.quick/discrete", NINE, "test", 1, 3)))
    with pytest.raises(StorageError, match=r"has 29 scores on the test lines, expected a multiple of 10"):
        load_runs(world.url)
