"""Bad input: one clear line on standard error, exit code 2, nothing written in the working folder."""

import subprocess
import sys
from pathlib import Path

import fakes
import pytest
from scipy.io import savemat

from kernbench.engine.fleet.runner import Options, run
from kernbench.registry import find
from kernbench.study.task import load as load_task_study

PLUGIN = """
import torch, kernbench

class Mine(kernbench.KernelModule):
    def __init__(self, spec):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))
    def forward(self, grid):
        return {kernel}

@kernbench.hookimpl
def kernbench_kernels():
    return [kernbench.KernelFamily("mine", Mine)]
"""

SMOKE_RUN = ("run", "--plugin", "siren", "--study", "smoke", "--profile", "quick")
SMOKE = fakes.SMALL + "epochs = 3\nrate = 0.005\n"


@pytest.fixture
def study(bench):
    """Writes a study file into the working folder."""

    def write(text=SMOKE):
        (bench.folder / "mine.toml").write_text(text)
        return "mine.toml"

    return write


@pytest.fixture
def kernel(bench):
    """Writes a plugin file whose kernel is an expression."""

    def write(expression="self.weight", text=PLUGIN):
        (bench.folder / "my_kernel.py").write_text(text.replace("{kernel}", expression))
        return "./my_kernel.py:mine"

    return write


@pytest.mark.parametrize(
    ("words", "wrong", "right"),
    [
        ("rnu", "rnu", "run"),
        ("run --study smoke --plugin sirne", "sirne", "siren"),
        ("describe sirne", "sirne", "siren"),
        ("check sirne", "sirne", "siren"),
        ("run --plugin siren --study k_swep", "k_swep", "k_sweep"),
        ("run --plugin siren --study smoke --profile quik", "quik", "quick"),
        ("data simulate --study smok", "smok", "smoke"),
    ],
)
def test_an_unknown_name_offers_a_close_match(refused, words, wrong, right):
    refused(*words.split(), said=[f"{wrong!r}", f"did you mean {right!r}"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kernel_size", "kernal_size", ["axes.kernel_size is missing", "'kernal_size'"]),
        ("channels", "chanels", ["network.chanels", "'network.channels'"]),
        ("rate", "raet", ["training.raet", "'training.rate'"]),
        ("[9, 33]", "[9, 32]", ["odd", "K = 32", "siren"]),
        ("[9, 33]", "[0]", ["kernel_size", "0"]),
        ("[9, 33]", "[-3]", ["kernel_size", "-3"]),
        ("[9, 33]", "[9.5]", ["kernel_size", "9.5"]),
        ("[9, 33]", "[9, 9]", ["twice"]),
        ("[9, 33]", "[4095]", ["K = 4095", "padding", "512", "siren", "quick"]),
        ("window = 512", "window = 99999", ["data.window", "99999"]),
        ("epochs = 3", "epochs = 'x'", ["training.epochs", "'x'"]),
        ("[axes]", "[axes", ["not valid TOML"]),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_a_study_that_cannot_run_is_refused(refused, study, old, new, said, dry):
    assert old in SMOKE
    name = study(SMOKE.replace(old, new, 1))
    error = refused("run", "--plugin", "siren", "--study", name, "--profile", "quick", *dry, said=said)
    assert "mine" in error


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("self.weight[0]", "wrong shape: expected (4, 1, 9), got (1, 9)"),
        ("self.weight * float('nan')", "NaN"),
        ("self.wieght", "AttributeError"),
        ("__import__('sys').exit(3)", "SystemExit: 3"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named_with_family_and_k(refused, kernel, study, expression, said):
    words = ("--plugin", kernel(expression), "--study", study(), "--profile", "quick")
    refused("run", *words, said=[said, "'mine'", "K = 9"])


def test_a_plugin_file_that_raises_on_import_is_named_with_its_reason(refused, kernel):
    name = kernel(text="raise ValueError('first line\\nsecond line')")
    for command in (("run", "--study", "smoke", "--plugin"), ("check",), ("describe",)):
        refused(*command, name, said=["my_kernel.py", "ValueError: first line"])


def test_a_plugin_file_that_is_missing_or_offers_another_family(refused, kernel):
    refused("check", "./no_such.py:mine", said=["no_such.py does not exist"])
    assert kernel()
    refused("check", "./my_kernel.py:mien", said=["'mien'", "did you mean 'mine'", "./my_kernel.py:mine".lstrip("./")])


def test_a_family_that_contains_one_of_no_known_name_is_refused_with_the_nearest(bench, kernel):
    contains = 'contains=(kernbench.Inclusion("hannwav", Mine, lambda other: other),)'
    name = kernel(
        text=PLUGIN.replace('("mine", Mine)', f'("mine", Mine, {contains}), kernbench.KernelFamily("hannwave", Mine)')
    )
    ended = bench.run("check", name)
    assert ended.code == 2
    assert "FAIL  inclusions" in ended.out
    assert "no family of that name is installed or offered by the same file; did you mean 'hannwave'?" in ended.out


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://me@host/name", "expected sqlite or postgresql"),
        ("sqlite:///missing/folder/kernbench.db", "does not exist"),
        ("sqlite:///file/kernbench.db", "file"),
        ("sqlite:///file", "not a SQLite database"),
        ("sqlite:////proc/kernbench.db", "cannot be"),
        ("sqlite://", "memory"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/name", "cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_refused(refused, bench, url, said):
    (bench.folder / "file").write_text("this is a text file, not a database")
    assert "secret" not in refused(*SMOKE_RUN, "--storage", url, said=[said])
    assert "secret" not in refused("status", "--storage", url)


@pytest.mark.parametrize("command", [("status",), ("report",), ("dashboard", "--port", "0")])
def test_a_database_that_is_not_there_is_not_made(refused, command):
    refused(*command, said=["no database there yet", "kernbench run"])


def test_folders_that_cannot_be_written_are_refused(refused, bench, monkeypatch):
    (bench.folder / "file").write_text("in the way")
    for out in ("file", "file/report", "/proc/report"):
        refused(*SMOKE_RUN, "--out", out, said=[out.partition("/report")[0], "--out"])
    (bench.folder / "kernbench.artifacts").write_text("in the way")
    refused(*SMOKE_RUN, said=["kernbench.artifacts"])
    (bench.folder / "kernbench.artifacts").unlink()
    monkeypatch.setenv("KERNBENCH_CACHE", str(bench.folder / "file"))
    refused(*SMOKE_RUN, said=["KERNBENCH_CACHE"])


def run_faked(bench, name):
    """Runs the cells of a study without training."""
    found = find("siren")
    stored = load_task_study(name, found.family, "quick")
    run(stored, found, Options(bench.url), lambda _context: fakes.outcome(), lambda: None, fakes.Notes())


def test_a_study_that_changed_since_its_cells_ran_is_refused_with_old_and_new(refused, bench, study):
    run_faked(bench, study())
    content = bench.database.read_bytes()
    name = study(SMOKE.replace("rate = 0.005", "rate = 0.05"))
    said = ["2 finished cells", "training.rate", "0.005 (stored)", "0.05 (now)", "raise version in mine.toml"]
    for more in ([], ["--extend"], ["--retry-failed"], ["--dry-run"]):
        refused("run", "--plugin", "siren", "--study", name, "--profile", "quick", *more, said=said)
    assert bench.database.read_bytes() == content


def test_more_cells_than_stored_need_extend(refused, bench, study):
    run_faked(bench, study())
    name = study(SMOKE.replace("[9, 33]", "[9, 33, 65]"))
    refused("run", "--plugin", "siren", "--study", name, "--profile", "quick", said=["kernel_size: 65", "--extend"])


@pytest.mark.parametrize(
    ("device", "said"),
    [("cuda", "CUDA"), ("cuda:7", "CUDA"), ("gpu", "expected auto, cpu or cuda"), ("cuda:x", "expected auto")],
)
def test_a_device_that_is_not_there_is_refused(refused, monkeypatch, device, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(*SMOKE_RUN, "--device", device, said=[device, said])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*SMOKE_RUN, "--workers", "-1"), ["--workers: expected a whole number >= 0, got -1"]),
        ((*SMOKE_RUN, "--seeds", "0"), ["--seeds: expected a whole number >= 1 and <= 1000, got 0"]),
        ((*SMOKE_RUN, "--workers", "two"), ["--workers: expected a whole number >= 0, got 'two'"]),
        ((*SMOKE_RUN, "--cell-limit", "never"), ["--cell-limit", "2h"]),
        (("run", "--plugn", "siren", "--study", "smoke"), ["--plugn", "--plugin"]),
        (("run", "--plugin", "siren"), ["--study"]),
        (("run", "--plugin"), ["--plugin"]),
        (("list", "plugin"), ["expected one of plugins, studies", "got 'plugin'; did you mean 'plugins'?"]),
        (("list",), ["expected one of plugins, studies", "got nothing", "kernbench list --help"]),
        (("dashboard", "--port", "99999"), ["--port: expected a whole number >= 0 and <= 65535, got 99999"]),
        (("describe", "siren", "--kernel-size", "x"), ["--kernel-size: expected a whole number, got 'x'"]),
        (("baselines", "--noise", "-1"), ["--noise: expected a number >= 0 and <= 1000, got -1"]),
        (("status", "extra"), ["extra"]),
    ],
)
def test_a_mistyped_option_is_one_line_that_names_it(refused, words, said):
    refused(*words, said=said)


def test_no_command_at_all_shows_the_help_page(bench):
    ended = bench.run()
    assert ended.code == 2, ended
    assert "Usage: kernbench" in ended.out + ended.err
    assert "\n  kernbench run --plugin siren --study k_sweep\n" in ended.out + ended.err  # on a line of its own


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kernel-size", "8"), ["odd", "K = 8", "siren"]),
        (("--kernel-size", "0"), ["positive", "siren"]),
        (("--kernel-size", "99999", "--length", "512"), ["padding", "512"]),
        (("--network", "shalow"), ["'shalow'", "shallow"]),
        (("--depth", "0"), ["depth"]),
        (("--channels", "0"), ["--channels: expected a whole number >= 1, got 0"]),
        (("--length", "0"), ["--length", "0"]),
        (("--set", "omega"), ["NAME=VALUE"]),
        (("--set", "omega0=3.0"), ["omega0", "omega_0"]),
        (("--set", "omega_0=x"), ["omega_0", "'x'"]),
        (("--set", "omega_0=1e9"), ["omega_0", "200"]),
    ],
)
def test_describe_refuses_what_no_network_can_be(refused, words, said):
    refused("describe", "siren", *words, said=said)


def distribution(folder, name, source):
    """An outside distribution with one plugin, as pip would leave it."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[kernbench]\n{name} = {name}_module\n")
    (folder / f"{name}_module.py").write_text(source)


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """An installed plugin that raises on import, beside the bundled ones."""
    site = tmp_path / "site"
    distribution(site, "aaa_broken", "raise ValueError('this plugin is broken\\nreally')")
    distribution(site, "zzz_exits", "import sys; sys.exit(7)")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("KERNBENCH_LOAD_PLUGINS")
    for name in ("aaa_broken_module", "zzz_exits_module"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_broken_installed_plugin_breaks_nothing_but_itself(refused, bench, broken):
    listed = bench.run("list", "plugins")
    assert listed.code == 0, listed
    assert "BROKEN: ValueError: this plugin is broken (aaa_broken)" in listed.out
    assert "BROKEN: SystemExit: 7 (zzz_exits)" in listed.out
    assert all(name in listed.out for name in ("siren", "discrete", "gaussian", "stencil"))
    described = bench.run("describe", "siren", "--kernel-size", "9", "--channels", "2", "--depth", "1")
    assert described.code == 0, described
    refused("check", "aaa_broken", said=["aaa_broken", "ValueError: this plugin is broken"])


def test_help_and_version_are_no_errors(bench):
    for words in (("-h",), ("--version",)):
        ended = bench.run(*words)
        assert (ended.code, ended.err) == (0, ""), ended
        assert ended.out


def test_a_closed_pipe_ends_quietly(bench):
    process = bench.spawn("list", "studies")
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=300) in (0, 1)
    assert error == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
@pytest.mark.parametrize("words", [["list", "studies"], ["--help"], ["describe", "siren"]])
def test_a_full_disk_under_the_output_is_one_line(words):
    program = "import sys; from kernbench.cli import main; sys.argv[0] = 'kernbench'; main()"
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", program, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 2
    expected = "kernbench: the output cannot be written: No space left on device; free some space"
    assert ended.stderr.startswith(expected), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr


def test_data_commands_refuse_what_the_run_would_refuse(refused, bench, monkeypatch):
    refused("data", "simulat", said=["simulat"])
    (bench.folder / "file").write_text("in the way")
    monkeypatch.setenv("KERNBENCH_CACHE", str(bench.folder / "file"))
    refused("data", "simulate", "--study", "smoke", "--profile", "quick", said=["KERNBENCH_CACHE"])


def test_a_response_file_that_cannot_be_used_is_refused_before_anything_is_written(refused, study, bench):
    savemat(bench.folder / "receive.mat", {"Fs": 250.0, "Hfit": [1, 0.5, 0.5]})
    study(SMOKE.replace("[data]\n", "[data]\nreceive_response = 'receive.mat'\n", 1))
    refused("run", "--plugin", "siren", "--study", "mine.toml", said=["receive.mat: Fs", "Hz", "got 250", "MHz"])
