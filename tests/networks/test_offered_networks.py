"""Networks from outside the core, through the hook `kernbench_networks`; the example is the one of docs/hooks.md."""

import re
from pathlib import Path

import pytest
import torch

from kernbench.errors import KernbenchError, KernbenchWarning, PluginError, StudyError
from kernbench.networks.cost import flops_forward, layer_costs
from kernbench.networks.fitting import check_kernel_size, largest_kernel_size
from kernbench.networks.network import build, set_recompute
from kernbench.networks.weights import _network, _Reader
from kernbench.registry import find_family, find_network
from kernbench.store.reading.runs import load_runs
from kernbench.store.reading.stored_study import Stored
from kernbench.study.task import restored
from kernbench.ulm.evaluation.trained import load_trained

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")


def block(language, holding):
    """The part of the page in that language that holds a text."""
    return next(each for each in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if holding in each)


GROWING = block("python", "class Growing")
PARALLEL = "import kernbench\n" + block("python", "class Parallel")
DOUBLED = "import kernbench\n" + block("python", "class Doubled")
NAME = "./my_network.py:growing"


def offering(text, offered):
    """A plugin file that offers these networks."""
    return f"{text}\n\n@kernbench.hookimpl\ndef kernbench_networks():\n    return [{offered}]\n"


@pytest.fixture
def mine(plain_bench):
    """The command line in a folder with the network and the study of the page."""
    (plain_bench.folder / "my_network.py").write_text(GROWING, encoding="utf-8")
    (plain_bench.folder / "growing.toml").write_text(block("toml", "my_network.py"), encoding="utf-8")
    return plain_bench


RUN = ("run", "--plugin", "siren", "--study", "growing.toml", "--profile", "quick", "--no-baselines")


def test_kernbench_networks_of_a_file_run_from_the_command_line_to_report_and_weights(mine):
    described = mine.run("describe", "siren", "--network", NAME)
    assert "receptive field 25 samples" in described.out, described  # 1 + 4 + 8 + 12
    ended = mine.run(*RUN)
    assert ended.code == 0, ended
    (run,) = load_runs(mine.url)
    digest = find_network(NAME).version
    assert "growing" in (mine.folder / "kernbench-report" / "report.html").read_text(encoding="utf-8")
    weights = str(run.artifacts["weights.pt"])
    facts = torch.load(weights, weights_only=True)["facts"]
    assert facts["network"]["name"] == f"growing@{digest}"
    assert [layer["kernel_size"] for layer in facts["layers"]] == [5, 9, 13]
    evaluate = ("evaluate", "--weights", weights, "--data", facts["data"]["test"])
    again = mine.run(*evaluate, "--network", NAME)
    assert again.code == 0, again
    refused = mine.run(*evaluate)
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused
    assert "came from a local file" in refused.err
    (mine.folder / "my_network.py").write_text(GROWING + "# edited\n", encoding="utf-8")
    refused = mine.run(*RUN)
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused
    assert f"network.name: 'growing@{digest}' (stored) -> 'growing@" in refused.err
    with pytest.warns(KernbenchWarning, match=f"was trained with file {digest}"):
        load_trained(weights, network=NAME)


def test_kernbench_networks_of_a_file_are_given_to_workers(mine):
    ended = mine.ended(mine.spawn(*RUN, "--workers", "2"))
    assert ended.code == 0, ended
    slurm = ("slurm", *RUN[1:5], "--array", "1", "--storage", "postgresql+psycopg://u@h/d", "--out", "-")
    assert f"--network {mine.folder}/my_network.py:growing" in mine.run(*slurm).out
    again = mine.ended(mine.spawn("worker", "--study", "growing", "--plugin", "siren"))
    assert (again.code, again.err.count("\n")) == (2, 1), again
    assert "give that file: --network FILE.py:growing" in again.err
    assert mine.ended(mine.spawn("worker", "--study", "growing", "--plugin", "siren", "--network", NAME)).code == 0


def test_kernbench_networks_of_the_core_and_of_files_may_be_one_axis_that_grows(mine):
    text = block("toml", "my_network.py").replace(f'name = "{NAME}"\n', "")
    for names in ('"shallow"', f'"shallow", "{NAME}"'):
        (mine.folder / "growing.toml").write_text(text.replace("[axes]", f"[axes]\nname = [{names}]"))
        ended = mine.run(*RUN, "--extend")
        assert ended.code == 0, ended
    key = find_network(NAME).name
    assert [run.cell for run in load_runs(mine.url)] == [
        "kernel_size=5,name=shallow,seed=0",
        f"kernel_size=5,name={key},seed=0",
    ]


def test_kernbench_networks_have_padding_costs_and_limits_from_their_layers(tmp_path):
    (tmp_path / "net.py").write_text(GROWING, encoding="utf-8")
    plan = find_network(f"{tmp_path}/net.py").architecture
    network = build(plan, "discrete", 5, channels=4)
    # K = 5, 9, 13: 2 + 4 + 6 samples on each side
    assert (network.padding, network.receptive_field) == (12, 25)
    assert network(torch.randn(2, 1, 90)).shape == (2, 1, 90)
    assert flops_forward(network, 100) == 2 * (4 * 5 * 120 + 16 * 9 * 112 + 16 * 13 * 100 + 4 * 100)
    largest = largest_kernel_size(plan, 512)
    check_kernel_size(plan, largest, line_length=512)
    with pytest.raises(KernbenchError, match=rf"\({largest + 2} \.\. .*Use K <= {largest} at this depth"):
        check_kernel_size(plan, largest + 2, line_length=512)


def test_kernbench_networks_may_build_a_module_of_their_own(tmp_path):
    (tmp_path / "net.py").write_text(offering(PARALLEL, 'Parallel("parallel", 3, 4, 9)'), encoding="utf-8")
    network = build(f"{tmp_path}/net.py", "discrete", 9)
    assert network.receptive_field == 9
    assert network(torch.randn(2, 1, 50)).shape == (2, 1, 50)
    # measured by a pass: every branch takes the whole mirrored line
    assert flops_forward(network, 50) == 2 * (3 * 4 * 9 * 50 + 4 * 50)
    assert [cost.norm for cost in layer_costs(network, 50)] == [8, 8, 8]
    with pytest.raises(KernbenchError, match=r"Sum cannot compute .* take training\.recompute = false"):
        set_recompute(network, True)


def test_kernbench_networks_may_put_other_blocks_in_a_row_and_use_a_layer_twice(tmp_path):
    (tmp_path / "net.py").write_text(offering(DOUBLED, 'Doubled("doubled", 2, 1, 5)'), encoding="utf-8")
    network, again = (build(f"{tmp_path}/net.py", "siren", 5) for _ in range(2))
    again.load_state_dict(network.state_dict())
    assert (network.padding, network.receptive_field) == (8, 17)
    # lines of 116, 112, 108, 104 samples come in, each convolved to four less
    assert flops_forward(network, 100) == 2 * (5 * (112 + 108 + 104 + 100) + 100)
    assert [cost.uses for cost in layer_costs(network, 100)] == [2, 2]
    set_recompute(again, True)
    line = torch.randn(2, 1, 50)
    for each in (network, again):
        each.train()(line).square().sum().backward()
    assert torch.equal(network(line), again(line))
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("said", [-1, 1.5, True, None])
def test_kernbench_networks_whose_operations_are_no_number_are_refused(tmp_path, said):
    text = (
        "import kernbench\nclass Own(kernbench.networks.Network):\n    def other_operations(self, length):\n"
        f"        return {said}\n" + of("build", "return Own(layers, 4, 9)")
    )
    (tmp_path / "net.py").write_text(offering(text, 'Bad("bad", 2, 2, 5)'), encoding="utf-8")
    with pytest.raises(PluginError, match=rf"other_operations\(\) of Own must give a whole number >= 0, got {said}"):
        build(f"{tmp_path}/net.py", "discrete", 5)


def test_kernbench_networks_may_count_operations_of_their_own(tmp_path):
    text = (
        "import kernbench\nclass Own(kernbench.networks.Network):\n    def other_operations(self, length):\n"
        "        return 1000 * length\n" + of("build", "return Own(layers, 4, 9)")
    )
    (tmp_path / "net.py").write_text(offering(text, 'Bad("bad", 2, 2, 5)'), encoding="utf-8")
    own, plain = (build(each, "discrete", 5, 2, depth=2) for each in (f"{tmp_path}/net.py", "shallow"))
    assert flops_forward(own, 90) == flops_forward(plain, 90) + 90_000


def of(method, body, arguments="self, layers"):
    """An architecture with one method of its own."""
    return (
        f"import kernbench, torch\nclass Bad(kernbench.Architecture):\n    def {method}({arguments}):\n        {body}\n"
    )


SPEC = "kernbench.KernelSpec(2, 1, kernel_size={})"
PLAN = "self, kernel_size, channels, depth"
BAD = 'Bad("bad", 2, 2, 5)'
REFUSED = {
    "an even kernel size": (of("layers", f"return [{SPEC.format('kernel_size + 1')}]", PLAN), BAD, "K = 6"),
    "channels that do not meet": (of("layers", f"return [{SPEC.format(5)}] * 2", PLAN), BAD, "takes 1 channels"),
    "no layers": (of("layers", "return []", PLAN), BAD, "must return a list of kernbench.KernelSpec"),
    "layers that raise": (of("layers", "1 / 0", PLAN), BAD, "ZeroDivisionError"),
    "a build that raises": (of("build", "raise ValueError('no')"), BAD, "build() of network 'bad' raised ValueError"),
    "a build that ends the program": (of("build", "raise SystemExit(0)"), BAD, "raised SystemExit"),
    "no module": (of("build", "return 5"), BAD, "must return a torch module, got int"),
    "a module without layers": (of("build", "return torch.nn.Identity()"), BAD, "has no kernel_layers"),
    "another output": (
        "import kernbench\nclass Short(kernbench.networks.Network):\n    def forward(self, x):\n"
        "        return super().forward(x)[..., 1:]\n" + of("build", "return Short(layers, 4, 9)"),
        'Bad("bad", 2, 2, 5)',
        "gave (2, 1, ",
    ),
    "another padding": (of("build", "return kernbench.networks.Network(layers, 1, 9)"), BAD, "has padding 1"),
    "a layer left out": (of("build", "return kernbench.networks.Network(layers[:1], 4, 9)"), BAD, "kernel_layers()"),
    "a name twice": ("import kernbench", '*[kernbench.Architecture("bad", 2, 2, 5)] * 2', "'bad' twice"),
    "an installed name": (
        "import kernbench",
        'kernbench.Architecture("shallow", 2, 2, 5)',
        "has the name of an installed",
    ),
    "no architecture": (
        "import kernbench",
        "kernbench.Architecture",
        "list of kernbench.Architecture, got list of type",
    ),
    "no whole depth": ("import kernbench", 'kernbench.Architecture("bad", 0, 2, 5)', "depth must be a whole number"),
    "a file without networks": ("import kernbench", None, "offers no hook"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_kernbench_networks_that_do_not_work_are_refused_before_anything_is_written(mine, case):
    text, offered, said = REFUSED[case]
    (mine.folder / "my_network.py").write_text(text if offered is None else offering(text, offered))
    name = "shallow" if case == "an installed name" else "bad"
    study = (mine.folder / "growing.toml").read_text().replace("growing", name)
    (mine.folder / "growing.toml").write_text(study.replace("depth = 3", "depth = 2"))
    before = mine.files()
    ended = mine.run(*RUN)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert said in ended.err, ended
    assert mine.files() == before


def test_kernbench_networks_of_weights_and_databases_are_never_paths(tmp_path):
    (tmp_path / "net.py").write_text("raise AssertionError('this ran')", encoding="utf-8")
    path = f"{tmp_path}/net.py:x"
    with pytest.raises(PluginError, match="came from a local file"):
        _network(_Reader(tmp_path, {"network": {"name": path}}), None)
    stored = Stored("s.v1.quick/siren", "s", 1, "quick", "siren", {}, (), {"network": {"name": path}, "axes": {}}, "db")
    with pytest.raises(StudyError, match="a path is no name of a network"):
        restored(stored, find_family("siren"))
    with pytest.raises(PluginError, match="no network 'growin'"):
        find_network("growin")
