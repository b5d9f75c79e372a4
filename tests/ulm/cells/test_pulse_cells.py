"""Cells of a study over pulses: lines of their own for each, with the same bubbles; weights know what they need."""

import numpy as np
import pytest
from fakes import no_pictures

from kernbench.errors import DataError, StudyError
from kernbench.registry import find_family
from kernbench.report.analyses import limit
from kernbench.store.reading.runs import load_runs
from kernbench.study.reading import load_study
from kernbench.study.task import load
from kernbench.ulm.cells.bench_of_cell import bench_of_cell
from kernbench.ulm.cells.definition import data_digest, line_points, recipe_of, template_of_cell
from kernbench.ulm.evaluation.noise import noise_seed
from kernbench.ulm.evaluation.trained import export_published, load_trained
from kernbench.ulm.simulator.compression import compressed, template_of
from kernbench.ulm.simulator.noise import add_noise

STUDY = """version = 1
[axes]
pulse = ["REF", "SDC"]
kernel_size = [9]
[data]
window = 1024
train = 2
validation = 1
test = 2
{more}
"""


def written(tmp_path, more="", text=STUDY):
    path = tmp_path / "pulsed.toml"
    path.write_text(text.format(more=more))
    return str(path)


@pytest.fixture
def study(tmp_path):
    return load(written(tmp_path), find_family("discrete"), "smoke")


def test_every_pulse_has_lines_of_its_own_with_the_same_bubbles(study):
    assert line_points(study) == [{"pulse": "REF"}, {"pulse": "SDC"}]
    params = list(study.cells().values())
    digests = [data_digest(study.definition, each) for each in params]
    assert len(set(digests)) == 2
    one, other = (bench_of_cell(study.definition, each, "cpu").splits["test"] for each in params)
    assert (one.counts == other.counts).all()
    assert (one.pressure_pa == other.pressure_pa).all()
    assert not np.allclose(one.voltage, other.voltage)


def test_a_study_without_a_pulse_has_the_definition_that_it_had(tmp_path):
    plain = load_study("k_sweep", find_family("discrete"), "smoke").definition["data"]
    assert not {"pulse", "bubbles", "compression"} & set(plain)
    more = 'pulse = "default"\nbubbles = "nonlinear"\ncompression = "none"'
    text = STUDY.replace('pulse = ["REF", "SDC"]\n', "")
    named = load_study(written(tmp_path, more, text), find_family("discrete"), "smoke")
    assert named.digest == load_study(written(tmp_path, "", text), find_family("discrete"), "smoke").digest


def test_a_file_is_a_setting_but_no_axis(tmp_path):
    np.savez(tmp_path / "own.npz", pressure=np.sin(np.arange(500) / 20), rate_hz=250e6)
    own = str(tmp_path / "own.npz")
    text = STUDY.replace('pulse = ["REF", "SDC"]\n', "")
    study = load(written(tmp_path, f'pulse = "{own}"', text), find_family("discrete"), "smoke")
    assert recipe_of(study.definition).facts()["pulse"].startswith("file ")
    refused = r"axes\.pulse: expected one of 'default', 'TRI', .*'ExpSDC', got '.*own\.npz'"
    with pytest.raises(StudyError, match=refused):
        load_study(written(tmp_path, "", STUDY.replace("SDC", own)), find_family("discrete"), "smoke")


def test_a_misspelt_pulse_is_one_line(tmp_path):
    text = STUDY.replace('pulse = ["REF", "SDC"]\n', "")
    refused = (
        r"data\.pulse: expected one of .*, or a path that ends in .npz, .txt, .csv, got 'S25'; did you mean 'S2.5'"
    )
    with pytest.raises(StudyError, match=refused):
        load_study(written(tmp_path, 'pulse = "S25"', text), find_family("discrete"), "smoke")


def test_compressed_cells_see_the_filtered_noisy_line(tmp_path):
    study = load(written(tmp_path, 'compression = "matched"\nnoise_percent = 64.0'), find_family("discrete"), "smoke")
    params = next(iter(study.cells().values()))
    bench = bench_of_cell(study.definition, params, "cpu")
    assert (template_of_cell(study.definition, params) == template_of("REF")).all()
    clean = bench.splits["test"].voltage
    noisy = add_noise(clean, 64.0, noise_seed(bench.noise.seed, "test"))
    assert np.allclose(bench.lines("test")[0].numpy(), compressed(noisy, template_of("REF")), rtol=0, atol=1e-6)
    data = bench.training_data()
    drawn = add_noise(bench.splits["train"].voltage, 64.0, np.random.default_rng(3))
    assert np.allclose(data.renew(3).numpy(), compressed(drawn, template_of("REF")), rtol=0, atol=1e-6)


def test_run_trains_on_each_pulse_and_its_weights_know_it(bench, tmp_path):
    path = written(tmp_path, 'compression = "matched"\n[training]\nepochs = 1')
    words = ("--profile", "smoke", "--no-baselines", "--plugin", "discrete")
    with no_pictures():
        ended = bench.run("run", "--study", path, *words)
    assert "2 done" in ended.out, ended
    trained = [load_trained(run.artifacts["weights.pt"]) for run in load_runs(bench.url, ["pulsed"])]
    assert sorted(each.facts["pulse"] for each in trained) == ["REF", "SDC"]
    assert len({each.facts["data"]["test"] for each in trained}) == 2
    for each in trained:
        assert np.allclose(each.template, template_of(each.facts["pulse"]))
    one = trained[0]
    said = bench.run("evaluate", "--weights", str(one.path), "--data", one.facts["data"]["test"])
    assert said.code == 0, said
    with pytest.raises(DataError, match="expected a network of received lines"):
        export_published(one, tmp_path / "published")
    # the bound is that of the lines of each pulse, and detections are those on compressed lines
    found = bench.run("analyze", "limit", "--study", "pulsed")
    assert found.code == 0, found
    assert "2 cells." in " ".join(found.out.split()), found
    study = load(path, find_family("discrete"), "smoke")
    for each in trained:
        (params,) = [p for p in study.cells().values() if p["pulse"] == each.facts["pulse"]]
        wanted = bench_of_cell(study.definition, params, "cpu").output(each.network, "test")
        assert (limit._output(each) == wanted).all()
