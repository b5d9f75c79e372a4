"""`kernbench bench`: small runs of each measurement, and input that cannot be used."""

import pytest


def test_conv_prints_writes_and_draws(bench):
    words = (
        "--kernel-sizes",
        "5,33",
        "--channels",
        "2",
        "--batch",
        "1",
        "--samples",
        "120",
        "--turns",
        "1",
        "--no-memory",
    )
    done = bench.run("bench", "conv", *words, "--out", "found")
    assert done.code == 0, done
    assert "fft_conv / auto" in done.out
    assert sorted(path.name for path in (bench.folder / "found").iterdir()) == [
        "conv.png",
        "conv_forward.csv",
        "conv_limit.csv",
        "conv_time.csv",
    ]


def test_metrics_and_simulate_enter_a_page(bench):
    page = bench.folder / "page.md"
    page.write_text("<!-- bench:metrics --><!-- /bench -->")
    assert bench.run("bench", "metrics", "--lines", "1", "--page", "page.md").code == 0
    assert "pair by pair" in page.read_text()


@pytest.mark.slow
def test_simulate_and_train_run(bench):
    for words in (("simulate", "--lines", "1"), ("train",)):
        done = bench.run("bench", *words)
        assert done.code == 0, done


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--kernel-sizes", "5,x"), "expected whole numbers from 1 on, got 'x'"),
        (("--kernel-sizes", "500", "--samples", "100"), "500 taps do not fit into 100 samples"),
        (("--device", "tpu"), "device"),
    ],
)
def test_bad_input_is_one_line(bench, words, line):
    done = bench.run("bench", "conv", *words)
    assert done.code == 2, done
    assert line in done.err
