"""Studies over bundled networks and forms of layers: trained, reported, rebuilt from weights, shown by the commands."""

import pytest

FAMILIES = ("discrete", "siren", "gaussian", "stencil", "s4d", "dcls")

STUDY = """
version = 1
question = "Which network?"
[axes]
kernel_size = [9]
{axes}
[network]
{network}
"""


def trained(bench, axes="", network=""):
    """A smoke study of all families, run."""
    (bench.folder / "nets.toml").write_text(STUDY.format(axes=axes, network=network))
    words = ("run", "--plugin", ",".join(FAMILIES), "--study", "nets.toml", "--profile", "smoke", "--no-baselines")
    run = bench.run(*words)
    assert run.code == 0, run
    return run


@pytest.mark.slow
@pytest.mark.parametrize("network", ["strided", "unet1d"])
def test_a_network_trains_with_every_family_and_is_evaluated_from_its_weights(plain_bench, network):
    bench = plain_bench
    trained(bench, network=f'name = "{network}"\ndepth = 1' if network == "unet1d" else f'name = "{network}"')
    evaluated = bench.run("evaluate", "--study", "nets", "--plugin", "siren")
    assert evaluated.code == 0, evaluated
    assert "Energy of kernels that a stride folds" in evaluated.out
    at_rate = bench.run("evaluate", "--study", "nets", "--plugin", "siren", "--rate", "125")
    assert (at_rate.code, at_rate.err.count("\n")) == (2, 1), at_rate
    fields = bench.run("analyze", "receptive-field", "--study", "nets", "--plugin", "siren")
    assert fields.code == 0, fields


@pytest.mark.slow
def test_tiled_layers_train_with_every_family_and_are_evaluated_from_their_weights(plain_bench):
    bench = plain_bench
    run = trained(bench, axes='tiles = [3]\nlayer = ["tiled"]')
    assert "all complete (1 done)" in run.out
    for words in (("evaluate",), ("analyze", "receptive-field"), ("analyze", "spectrum"), ("analyze", "movement")):
        ended = bench.run(*words, "--study", "nets", "--plugin", "siren")
        assert ended.code == 0, ended


def test_networks_and_one_of_the_core_are_one_axis(plain_bench):
    bench = plain_bench
    (bench.folder / "nets.toml").write_text(STUDY.format(axes='name = ["shallow", "strided"]', network=""))
    run = bench.run("run", "--plugin", "discrete", "--study", "nets.toml", "--profile", "smoke", "--no-baselines")
    assert run.code == 0, run
    assert "all complete (2 done)" in run.out


def test_rotation_of_another_form_is_refused_before_anything_is_written(smoke_bench):
    (smoke_bench.folder / "nets.toml").write_text(STUDY.format(axes="tiles = [1, 3]", network=""))
    run = smoke_bench.run("run", "--plugin", "discrete", "--study", "nets.toml", "--profile", "smoke")
    assert (run.code, run.err.count("\n")) == (2, 1), run
    assert "network.tiles is of layer = 'tiled', got layer = 'plain'" in run.err
    assert smoke_bench.files() == ["nets.toml"]


def test_commands_show_networks_and_rotation(bench):
    listed = bench.run("list", "networks").out
    for name in ("strided", "unet1d"):
        assert name in listed
        shown = bench.run("describe", "siren", "--network", name, "--kernel-size", "9", "--channels", "2")
        assert "receptive field" in shown.out, shown
    words = ("describe", "discrete", "--kernel-size", "5", "--channels", "2", "--depth", "1", "--layer")
    # 5 taps and a bias for each of 2 x 3 kernels, 4 of the norm, 3 of the last layer
    assert "parameters in all: 43;" in bench.run(*words, "tiled", "--tiles", "3").out
    refused = bench.run(*words, "plain", "--tiles", "3")
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused
    like = bench.run(*words, "tiled", "--tiles", "1", "--like", "discrete")
    assert "as many parameters as discrete, 19" in like.out, like


def test_equal_digests_where_rotation_says_nothing_new():
    from kernbench.registry import find_family
    from kernbench.study.task import load

    assert "tiles" not in load("k_sweep", find_family("siren"), "quick").definition["network"]
