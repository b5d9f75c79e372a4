"""A study whose axis is the form of its layers: trained, reported, rebuilt from weights."""

from kernbench.registry import find_family
from kernbench.study.task import load

STUDY = """
version = 1
question = "Which form?"
[axes]
kernel_size = [9]
layer = ["plain", "separable", "branches"]
"""


def test_every_form_is_trained_reported_and_evaluated_from_its_weights(plain_bench):
    bench = plain_bench
    (bench.folder / "forms.toml").write_text(STUDY)
    run = bench.run("run", "--plugin", "siren", "--study", "forms.toml", "--profile", "smoke", "--no-baselines")
    assert run.code == 0, run
    assert "all complete (3 done)" in run.out
    parameters = {}
    for form in ("plain", "separable", "branches"):
        line = next(each for each in run.out.splitlines() if f"  {form} " in each)
        parameters[form] = line.split()
        which = ["--study", "forms", "--plugin", "siren", "--only", f"layer={form}"]
        evaluated = bench.run("evaluate", *which)
        assert evaluated.code == 0, evaluated
    assert len({tuple(each) for each in parameters.values()}) == 3


def test_a_form_that_is_not_given_leaves_a_definition_as_it_was():
    family = find_family("siren")
    assert "layer" not in load("k_sweep", family, "quick").definition["network"]


def test_describe_counts_a_form(bench):
    words = [*["describe", "siren", "--kernel-size", "17", "--channels", "4", "--depth", "2", "--layer"]]
    assert "mixing" in bench.run(*words, "separable").out
    assert "mixing" not in bench.run(*words, "plain").out
    refused = bench.run(*words, "seperable")
    assert refused.code == 2
    assert "separable" in refused.err
