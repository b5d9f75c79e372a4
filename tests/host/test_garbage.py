"""The garbage collector is put off, and comes back as it was."""

import gc

import pytest

from kernbench.host.garbage import put_off, set_aside


def test_collection_is_put_off_and_comes_back_after_an_error():
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert gc.isenabled()


def fail_inside():
    with put_off():
        assert not gc.isenabled()
        with put_off():
            pass
        assert not gc.isenabled()
        raise ValueError("inside")


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with put_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_was_there_is_set_aside_and_comes_back():
    before = gc.get_freeze_count()
    with set_aside():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0
