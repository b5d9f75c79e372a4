"""`kernbench describe` against hand counts, and what it says of a family as the tutorial shows it."""

import re
from pathlib import Path

from kernbench.kernels.conformance import check_family
from kernbench.registry import find_family
from kernbench.study.reading import load_study

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def _block(language, holds):
    """The block of the tutorial that holds a text."""
    return next(each for each in re.findall(rf"```{language}\n(.*?)```", TUTORIAL, flags=re.DOTALL) if holds in each)


def test_the_tutorial_shows_what_describe_says_of_hyper_parameters_citation_and_licence(bench):
    file = bench.folder / "rings.py"
    file.write_text(_block("python", "class Rings"), encoding="utf-8")
    told = bench.run("describe", "./rings.py:rings", "--channels", "2", "--kernel-size", "5")
    assert told.code == 0, told
    expected = _block("text", "sum of damped cosines").splitlines()
    assert len(expected) == 5
    for line in expected:
        assert any(each.endswith(line) for each in told.out.splitlines()), line
    more = bench.run("describe", "./rings.py:rings", "--channels", "2", "--kernel-size", "5", "--set", "terms=4")
    parameters = [int(re.search(r"parameters in all: ([\d,]+)", each.out)[1].replace(",", "")) for each in (told, more)]
    pairs = 2 * 1 + 2 * 2 * 3  # channel pairs of four layers
    assert parameters[1] - parameters[0] == 2 * 4 * pairs  # two waves more, each with w, c, f and p


def test_the_family_of_the_tutorial_keeps_the_contract(bench):
    file = bench.folder / "rings.py"
    file.write_text(_block("python", "class Rings"), encoding="utf-8")
    assert not [each for each in check_family(find_family(f"{file}:rings")) if not each.passed]


def test_a_choice_is_taken_as_it_is_printed(bench):
    for value in ("True", "true", "False", "false"):
        told = bench.run("describe", "sinc", "--set", f"odd={value}")
        assert told.code == 0, told.err
    atoms = [bench.run("describe", "sinc", "--set", f"odd={value}").out for value in ("True", "False")]
    assert atoms[0] != atoms[1]


def test_a_value_outside_names_the_bounds(bench):
    (bench.folder / "rings.py").write_text(_block("python", "class Rings"), encoding="utf-8")
    for setting, said in (("terms=9", "expected 1 .. 8, got 9"), ("phase=zer", "did you mean 'zero'")):
        told = bench.run("describe", "./rings.py:rings", "--set", setting)
        assert told.code == 2
        assert said in told.err
        assert told.err.count("\n") == 1


def test_a_study_fixes_sweeps_or_draws_a_hyper_parameter_as_the_tutorial_says(bench):
    file = bench.folder / "rings.py"
    file.write_text(_block("python", "class Rings"), encoding="utf-8")
    family = find_family(f"{file}:rings")
    text = "version = 1\n[axes]\nkernel_size = [9]\nterms = [1, 2, 4]\n[hyper.rings]\nphase = 'zero'\n[tuning]\n"
    (bench.folder / "study.toml").write_text(text, encoding="utf-8")
    study = load_study(str(bench.folder / "study.toml"), family, "quick")
    assert study.axes["terms"] == (1, 2, 4)
    assert study.tuning is not None
    assert set(study.tuning.space) == {"b"}


def test_describe_counts_one_sided_networks(bench):
    words = ("describe", "discrete", "--channels", "2", "--kernel-size", "9", "--length", "100")
    centered, causal = bench.run(*words).out, bench.run(*words, "--side", "causal").out
    assert causal.replace(", causal,", ",") == centered  # the same numbers, operations and receptive field
    assert causal != centered
    refused = bench.run(*words[:-1], "20", "--side", "causal")
    assert refused.code == 2
    assert "needs 32 samples of padding at its start, the line has 20" in refused.err


def test_describe_counts_the_samples_of_the_boundary_that_is_asked_for(bench):
    words = ("describe", "discrete", "--channels", "2", "--kernel-size", "1001", "--length", "100000")
    usual, layer = bench.run(*words).out, bench.run(*words, "--boundary", "zero", "--boundary-at", "layer").out
    assert "network shallow, K = 1001" in usual
    assert "network shallow, zero at the layer, K = 1001" in layer
    # 2 x 1001 taps, two operations each, at 103,000 samples that the next layers take, or at 100,000
    assert ("412.4" in usual, "400.4" in usual) == (True, False)
    assert ("412.4" in layer, "400.4" in layer) == (False, True)
    refused = bench.run(*words[:-1], "1999", "--boundary", "circular")
    assert refused.code == 2
    assert "needs 2000 samples of circular padding on each side, the line has 1999" in refused.err
    assert refused.err.count("\n") == 1


def test_describe_says_where_the_network_comes_from(bench):
    for network, source in (("dilated", "Blanken et al. 2022, IEEE TMI (SRML-1D)"), ("shallow", "Jonker 2023")):
        assert source in bench.run("describe", "discrete", "--network", network).out


def test_every_bundled_family_shows_its_description_citation_and_licence(bench):
    from kernbench.registry import installed

    listed = bench.run("list", "plugins").out
    for name, found in installed().found.items():
        if found.distribution != "kernbench":
            continue
        told, family = bench.run("describe", name, "--channels", "2").out, found.family
        assert family.description, name
        assert family.citation, name
        assert f"{name}: {family.description}" in told
        assert family.citation in told
        assert ("licence of its reference: " in told) == bool(family.licence)
        assert f"{family.description} (kernbench " in listed


def test_describe_shows_operations_of_making_kernels_and_the_licence(bench):
    hidden, size = 8, 33
    words = ("--channels", "6", "--kernel-size", str(size), "--set", f"hidden={hidden}")
    told = bench.run("describe", "siren", *words).out
    # two operations a weight and tap: lag to hidden, hidden to hidden, hidden to every channel pair of each layer
    operations = sum(2 * size * (hidden + hidden**2 + hidden * pairs) for pairs in (6, 36, 36, 36))
    assert f"making all kernels once: {operations / 1e6:.1f} MFLOP" in told
    assert "licence of its reference: MIT" in told


def test_a_family_that_does_not_say_has_no_operations(bench):
    (bench.folder / "mine.py").write_text(
        "import torch, kernbench\n"
        "class Flat(kernbench.KernelModule):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__(spec)\n"
        "        self.level = torch.nn.Parameter(torch.ones(spec.shape[:2]))\n"
        "    def forward(self, grid):\n"
        "        return self.level[..., None].expand(self.spec.shape).clone()\n"
        "@kernbench.hookimpl\n"
        "def kernbench_kernels():\n"
        "    return [kernbench.KernelFamily('flat', Flat)]\n"
    )
    told = bench.run("describe", "./mine.py:flat", "--channels", "2", "--kernel-size", "5")
    assert told.code == 0, told
    assert "GFLOP as direct sums, " in told.out
    assert "GFLOP by the backends used" in told.out
    assert "making all kernels" not in told.out
    assert "licence" not in told.out


def test_a_family_is_made_as_large_as_another_one(bench, refused):
    words = ("describe", "siren", "--kernel-size", "65", "--channels", "8")
    ended = bench.run(*words, "--like", "discrete")
    assert ended.code == 0, ended
    assert "parameters in all: 13,105;" in ended.out, ended
    assert "as many parameters as discrete, 13,105: hidden = 35, ratio 1.000" in ended.out, ended
    refused(*words, "--like", "discrete", "--set", "hidden=8", said=["'siren' cannot have 13,105 parameters at K = 65"])
    refused(*words, "--like", "discret", said=["did you mean 'discrete'"])
