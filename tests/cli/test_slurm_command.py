"""`kernbench slurm` writes one new file, or says in one line why not."""

URL = "postgresql+psycopg://kb@dbhost/kernbench"


def test_the_command_writes_a_file_and_keeps_one_that_is_there(bench, refused):
    words = ("slurm", "--study", "k_sweep", "--array", "16", "--plugin", "siren", "--storage", URL)
    ended = bench.run(*words, "--sbatch=--partition=gpu")
    assert ended.code == 0, ended
    path = bench.folder / "kernbench-k_sweep.sbatch"
    assert {"--array=0-15", "--partition=gpu"} <= set(path.read_text().replace("#SBATCH ", "").splitlines())
    assert f"sbatch {path.name}" in ended.out
    refused(*words, said=[f"{path.name} exists and is kept"])
    shown = bench.run(*words, "--sbatch=--partition=gpu", "--out", "-")
    assert shown.out == path.read_text()


def test_the_command_refuses_what_would_not_run(refused):
    words = ("slurm", "--array", "2", "--storage", URL)
    refused(*words, "--study", "k_swep", said=["no study 'k_swep'", "did you mean 'k_sweep'"])
    refused(*words, "--study", "k_sweep", "--plugin", "sirne", said=["did you mean 'siren'"])
    refused(*words, "--study", "k_sweep", "--profile", "thessis", said=["thesis"])
    refused("slurm", "--study", "k_sweep", "--array", "0", "--storage", URL, said=["--array"])
    refused("slurm", "--study", "k_sweep", "--array", "2", said=["cannot share a SQLite file"])
    refused(*words, "--study", "k_sweep", "--out", "nowhere/a.sbatch", said=["cannot be written"])


def test_without_a_plugin_any_family_that_has_the_axes_will_do(bench):
    ended = bench.run("slurm", "--study", "omega_sweep", "--array", "2", "--storage", URL, "--out", "-")
    assert ended.code == 0, ended
    assert "--plugin" not in ended.out
