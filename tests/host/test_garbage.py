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


@pytest.fixture
def frozen():
    """Something is set aside by the program, as the tests do themselves, or nothing is."""

    def make(is_frozen):
        gc.unfreeze()
        if is_frozen:
            gc.freeze()

    yield make
    gc.freeze()


def test_what_was_there_is_set_aside_and_comes_back(frozen):
    frozen(False)
    with set_aside():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_the_program_has_set_aside_stays_so(frozen):
    frozen(True)
    before = gc.get_freeze_count()
    with set_aside():
        pass
    assert gc.get_freeze_count() == pytest.approx(before, rel=0.01)  # some of it was let go
    assert gc.get_freeze_count() > 0
