"""The garbage collector is put off, and comes back as it was."""

import gc

import pytest

from kernbench.host.garbage import put_off, set_aside


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_put_off_and_comes_back_as_it_was_after_an_error(enabled):
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="inside"):
            fail_inside()
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def fail_inside():
    with put_off():
        assert not gc.isenabled()
        with put_off():
            pass
        assert not gc.isenabled()
        raise ValueError("inside")


def test_what_was_there_is_set_aside_and_comes_back():
    before = gc.get_freeze_count()
    with set_aside():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0
