"""Work beside the process: done once the block ends, wherever it was done."""

import os
import signal
import threading
import time
import warnings

import pytest
from worlds import wait_until

from kernbench.host import beside as module
from kernbench.host.beside import beside


def fail_later():
    time.sleep(0.2)
    raise KeyError


@pytest.fixture
def two_processors(monkeypatch):
    """And no thread but those that the test starts, whatever tests of before have left in this process."""
    counted, before = threading.active_count, threading.active_count() - 1
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: counted() - before)


@pytest.mark.usefixtures("two_processors")
def test_work_is_done_in_another_process_and_finished_when_the_block_ends(tmp_path):
    def work():
        wait_until((tmp_path / "go").exists)
        (tmp_path / "file").write_text(str(os.getpid()))

    with beside(work):
        assert not (tmp_path / "file").exists()
        (tmp_path / "go").touch()
    assert int((tmp_path / "file").read_text()) != os.getpid()


@pytest.mark.parametrize("lacking", ["fork", "processes", "processors"])
def test_work_is_done_here_where_no_copy_can_be_made(lacking, two_processors, tmp_path, monkeypatch):
    def fails():
        raise BlockingIOError

    if lacking == "fork":
        monkeypatch.delattr(os, "fork")
    elif lacking == "processes":
        monkeypatch.setattr(os, "fork", fails)
    else:
        monkeypatch.setattr(os, "cpu_count", lambda: None)
    done = []
    with beside(lambda: done.append(1)):
        assert not done
    assert done == [1]


@pytest.mark.usefixtures("two_processors")
def test_an_error_of_the_work_is_raised_here():
    def work():
        raise ValueError(os.getpid())

    with pytest.raises(ValueError, match=str(os.getpid())), beside(work):
        pass


@pytest.mark.usefixtures("two_processors")
def test_a_warning_of_the_work_is_seen_here():
    with pytest.warns(UserWarning, match="seen"), beside(lambda: warnings.warn("seen", UserWarning, stacklevel=1)):
        pass


@pytest.mark.usefixtures("two_processors")
def test_a_killed_copy_costs_nothing_but_time(tmp_path):
    first = os.getpid()

    def work():
        if os.getpid() != first:
            os.kill(os.getpid(), signal.SIGKILL)
        (tmp_path / "file").write_text("here")

    with beside(work):
        pass
    assert (tmp_path / "file").read_text() == "here"


@pytest.mark.usefixtures("two_processors")
def test_a_lost_exit_status_costs_nothing_but_time(tmp_path):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as some supervisors leave it
    try:
        with beside(lambda: (tmp_path / "file").write_text("done")):
            pass
        assert (tmp_path / "file").read_text() == "done"
        with pytest.raises(KeyError), beside(lambda: None):
            fail_later()
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("two_processors")
def test_a_lock_of_another_thread_does_not_stay_locked_in_a_copy(tmp_path):
    lock, held, done = threading.Lock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait(300)

    def work():
        with lock:
            (tmp_path / "file").write_text(str(os.getpid()))

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(300)
    with beside(work):
        done.set()
    thread.join()
    assert (tmp_path / "file").read_text() == str(os.getpid())


@pytest.mark.usefixtures("two_processors")
def test_work_ends_with_a_block_that_fails(monkeypatch):
    numbers = []
    copied = module._copied
    monkeypatch.setattr(module, "_copied", lambda work: numbers.append(copied(work)) or numbers[0])
    with pytest.raises(KeyError), beside(lambda: time.sleep(600)):
        raise KeyError
    with pytest.raises(ProcessLookupError):
        os.kill(numbers[0], 0)
