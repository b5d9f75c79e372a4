"""`kernbench bench`: small runs of each measurement, and input that cannot be used."""

import pytest
from small_bench import shrink

from kernbench.bench import training as train
from kernbench.bench import training_tables


def test_conv_prints_writes_and_draws(bench):
    words = "conv --kernel-sizes 5,33 --channels 2 --batch 1 --samples 120 --turns 1 --no-memory --out found"
    done = bench.run("bench", *words.split())
    assert done.code == 0, done
    assert "Layer, forward and backward" in done.out
    assert "fft_conv / auto" in (bench.folder / "found" / "conv_time.csv").read_text()
    files = {path.name for path in (bench.folder / "found").iterdir()}
    assert files == {"conv.png", "conv_forward.csv", "conv_limit.csv", "conv_time.csv"}


def test_metrics_and_simulate_enter_a_page(bench):
    page = bench.folder / "page.md"
    page.write_text("<!-- bench:metrics --><!-- /bench -->")
    assert bench.run("bench", "metrics", "--lines", "1", "--page", "page.md").code == 0
    assert "pair by pair" in page.read_text()


@pytest.mark.slow
def test_simulate_runs(bench):
    done = bench.run("bench", "simulate", "--lines", "1")
    assert done.code == 0, done


@pytest.fixture
def small_training(monkeypatch):
    """The same measurements on next to nothing."""
    shrink(monkeypatch)
    usual = train.backend_times
    monkeypatch.setattr(train, "backend_times", lambda _size, number: usual(5, number, turns=1))
    monkeypatch.setattr(training_tables, "MEMORY", (("shallow", "siren", 5, 2, 1),))


@pytest.mark.slow
def test_train_prints_every_table(bench, small_training):
    done = bench.run("bench", "train", "--out", "found")
    assert done.code == 0, done
    names = ("train_step", "train_epoch", "train_backend", "train_memory")
    assert {path.stem for path in (bench.folder / "found").glob("*.csv")} == set(names)
    for said in ("matmul", "plain loop", "a pass per pair", "fft_conv", "recomputed [MiB]"):
        assert said in done.out, done


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("conv --kernel-sizes 5,x", "expected whole numbers from 1 on, got 'x'"),
        ("conv --kernel-sizes 500 --samples 100", "500 taps do not fit into 100 samples"),
        ("conv --device tpu", "'tpu'"),
        ("conv --out /proc/found", "folder /proc/found cannot be written"),
        ("conv --page absent.md", "page absent.md cannot be read: No such file"),
        ("memory --channels 22,x", "--channels: expected whole numbers from 1 on, got 'x'"),
        ("memory --samples 100", "needs 4095 samples of padding on each side, the line has 100"),
        ("fit --device tpu", "'tpu'"),
        ("fit --passes 0", "--passes"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_measured(refused, own_cache, monkeypatch, words, line):
    for name in ("kernbench.bench.convolution.time_table", "kernbench.conv.fit.fit"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("measured"))
    refused("bench", *words.split(), said=[line])
    assert not list(own_cache.rglob("*.json"))


@pytest.fixture
def small_fit(monkeypatch):
    """Few and small convolutions are measured, and constants are read anew in each test."""
    from kernbench.conv import constants, fit

    monkeypatch.setattr(fit, "_SHAPES", [(1, *c, 300, 9, 1) for c in ((2, 2, 1), (1, 2, 1), (2, 2, 2))])
    monkeypatch.setattr(fit, "_TAPS", (3, 9))
    monkeypatch.setattr(fit, "_KINDS", {kind: ((2, 4), (200, 300), known[2]) for kind, known in fit._KINDS.items()})
    constants._load.cache_clear()
    yield
    constants._load.cache_clear()


def test_fit_stores_what_the_next_process_computes_with(bench, small_fit):
    from kernbench.conv import constants
    from kernbench.engine.work.environment import environment

    before = environment("cpu")["convolution"]
    done = bench.run("bench", "fit", "--passes", "1")
    assert done.code == 0, done
    assert before.startswith("built-in ")
    assert before in done.out
    assert str(constants.fitted_path("cpu")) in done.out.replace("\n", "")
    assert "dense, in blocks" in done.out
    assert "last bits of scores may change" in done.out
    constants._load.cache_clear()  # as a new process would
    now = environment("cpu")["convolution"]
    assert now.startswith("fitted ")
    assert repr(now) in done.out


def test_fit_stores_nothing_when_dry(bench, small_fit, own_cache):
    done = bench.run("bench", "fit", "--passes", "1", "--dry-run", "--out", "found")
    assert done.code == 0, done
    assert (bench.folder / "found" / "conv_fit.csv").read_text().startswith("layers,measured,")
    assert "nothing stored" in done.out
    assert not list(own_cache.rglob("*.json"))


def test_fit_replaces_a_file_that_cannot_be_read(bench, small_fit):
    from kernbench.conv import constants

    path = constants.fitted_path("cpu")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    done = bench.run("bench", "fit", "--passes", "1")
    assert done.code == 0, done
    assert "the fitted file cannot be read" in done.out
    constants._load.cache_clear()
    assert constants.origin("cpu").startswith("fitted ")


def test_fit_measures_nothing_where_it_cannot_write(refused, own_cache, monkeypatch):
    from kernbench.conv import fit

    monkeypatch.setattr(fit, "fit", lambda *_: pytest.fail("measured"))
    (own_cache / "convolution").write_text("a file")
    refused("bench", "fit", said=("cannot be written", str(own_cache)))
