"""The bundled task as the engine sees it: localize microbubbles in RF lines.

Light, so that reading results never imports torch: what computes is imported when it is called.
"""

from dataclasses import dataclass

from kernbench.study.cell import CellContext, Outcome
from kernbench.study.columns import CSV, DASHBOARD, PAGE, Column, Fact, Floor
from kernbench.study.selection import ALL, Selection
from kernbench.study.study import Study
from kernbench.study.task import Bytes, Progress
from kernbench.study.toml_tables import TomlTable

COSTS = (CSV, PAGE, DASHBOARD)  # shown where there is room

COLUMNS = (
    Column(
        "n_params",
        "parameters",
        "trainable numbers of the network",
        whole=True,
        csv="parameters_total",
        attribute="params_total",
    ),
    Column(
        "params_kernel",
        "kernel parameters",
        "trainable numbers that make kernels",
        whole=True,
        shown=COSTS,
        csv="parameters_kernel",
    ),
    Column(
        "flops_direct",
        "FLOPs, direct sum",
        "floating-point operations of one forward pass on one line, every convolution as its direct sum: the same "
        "for every backend",
        shown=COSTS,
    ),
    Column(
        "flops",
        "FLOPs, backend used",
        "floating-point operations of that pass by the backend that each layer uses",
        shown=COSTS,
        csv="flops_forward",
        attribute="flops_fwd",
    ),
    Column("latency_ms", "latency", "time of that pass, by the backends used", "ms", 1, shown=COSTS),
    Column(
        "peak_memory_mb",
        "peak memory",
        "CPU: largest resident memory of the process, all it holds included; CUDA: largest memory that torch has "
        "allocated there; from the beginning of a cell to its scores",
        "MiB",
        shown=COSTS,
        attribute="peak_mem_mb",
    ),
    # page and CSV have these two among the other one-to-one scores, at every tolerance
    Column("f1_matched", "one-to-one F1", "mean one-to-one F1 of the test lines", digits=3, shown=(DASHBOARD,)),
    Column(
        "rmse_samples",
        "localization error, RMSE",
        "of the matched pairs of the test lines",
        "samples",
        2,
        shown=(DASHBOARD,),
    ),
    # the page has a table of these two
    Column(
        "f1_edge",
        "F1 near edges",
        "of what lies nearer to an end of a test line than the network sees beyond it, counts of all lines pooled",
        digits=3,
        shown=(CSV, DASHBOARD),
    ),
    Column(
        "f1_inner",
        "F1 inside",
        "of the other samples of the test lines, counts of all lines pooled",
        digits=3,
        shown=(CSV, DASHBOARD),
    ),
)
LINE_FACTS = (
    Fact("bubbles", "bubbles drawn for the whole line", whole=True),
    Fact("pressure_pa", "drive pressure at the array", "Pa"),
)
FLOORS = (Floor("comb", "comb"), Floor("random", "random noise"))

PICTURES_BYTES = 1_000_000  # pictures, curve, kernels and spectra of a cell, measured and rounded up
SAMPLE_BYTES = 5  # of a line in the cache: float32 and uint8


@dataclass(frozen=True)
class UlmTask:
    """Localize microbubbles; see `kernbench.study.task.Task` for each name."""

    score: str = "f1_val"
    columns: tuple[Column, ...] = COLUMNS
    line_facts: tuple[Fact, ...] = LINE_FACTS
    floors: tuple[Floor, ...] = FLOORS

    def facts(self, definition: TomlTable) -> TomlTable:
        """Versions of task and protocol, and the digest of the lines."""
        from kernbench.ulm.cells.definition import TASK_VERSION, data_digest, protocol_of

        return {"task": TASK_VERSION, "protocol": protocol_of(definition), "recipe": data_digest(definition)}

    def check(self, study: Study, device: str, only: Selection = ALL) -> int:
        """Check cache and lines, read measured responses, build each network; see `kernbench.ulm.cells.preflight`."""
        from kernbench.ulm.cells.preflight import check_cache, check_lines, check_networks, check_responses

        check_cache(study)
        check_lines(study)
        check_responses(study)
        return check_networks(study, device, only)

    def prepare(self, study: Study, device: str, progress: Progress) -> None:
        """Simulate the lines that are not in the cache."""
        from kernbench.ulm.cells.definition import prepare

        prepare(study, device, progress)

    def run(self, context: CellContext) -> Outcome:
        """Train and score one cell; see `kernbench.ulm.cells.run.run_cell`."""
        from kernbench.ulm.cells.run import run_cell

        return run_cell(context)

    def bytes_needed(self, study: Study) -> Bytes:
        """Lines that are not in the cache, pictures, and rows of the scores of validation and test lines."""
        from kernbench.ulm.cells.definition import missing_samples
        from kernbench.ulm.scoring.scores import TOLERANCES

        data = study.definition["data"]
        rows = (data["validation"] + data["test"]) * len(TOLERANCES)
        return Bytes(SAMPLE_BYTES * missing_samples(study), PICTURES_BYTES, rows)


TASK = UlmTask()
