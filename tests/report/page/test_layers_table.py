"""layers.csv and operations free of the backend; cells of before they were recorded are reported without them."""

import csv

from kernbench.report.numbers.comparison import comparisons
from kernbench.report.page.csv_tables import write_tables
from kernbench.report.page.html import write_report

LAYERS = tuple({"layer": place, "gain": 1.0, "flops_direct": 10.0 * place, "backend": "fft"} for place in (1, 2))


def table(folder, name):
    return list(csv.DictReader((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


def test_each_layer_of_each_cell_that_has_them_is_a_row(make_run, tmp_path):
    runs = [make_run("siren", 65, layers=LAYERS), make_run("siren", 129), make_run("siren", 257, layers=LAYERS[:1])]
    write_tables(comparisons(runs), tmp_path)
    assert [(row["cell"], row["layer"], row["flops_direct"]) for row in table(tmp_path, "layers")] == [
        ("kernel_size=65,seed=0", "1", "10.0"),
        ("kernel_size=65,seed=0", "2", "20.0"),
        ("kernel_size=257,seed=0", "1", "10.0"),
    ]


def test_cells_of_before_are_reported_with_an_empty_number(make_run, tmp_path):
    old, new = make_run("siren", 65), make_run("siren", 129)
    new.values["flops_direct"] = 5e9
    write_report([old, new], tmp_path)
    numbers = {row["kernel_size"]: (row["flops_direct"], row["flops_forward"]) for row in table(tmp_path, "summary")}
    assert numbers == {"65": ("", str(2.5e8 * 65)), "129": (str(5e9), str(2.5e8 * 129))}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "FLOPs, direct sum" in page
    assert "FLOPs, backend used" in page
    assert not (tmp_path / "layers.csv").exists()
