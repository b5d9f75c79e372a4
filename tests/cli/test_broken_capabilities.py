"""Commands with a family whose capability raises, exits or answers nonsense: one line, exit code 2, nothing written."""

import fakes
import pytest

SIZES = ("--kernel-size", "9", "--channels", "4", "--depth", "2", "--length", "512")
BODY = """
import sys, torch, kernbench

class Mine(kernbench.KernelModule):
    def __init__(self, spec, width=4):
        super().__init__(spec)
        self.weight = torch.nn.Parameter(torch.randn(spec.shape))
    def forward(self, grid):
        return self.weight.to(grid.lags.dtype)
    {method}

@kernbench.hookimpl
def kernbench_kernels():
    width = kernbench.Int(1, 64, default=4, budget=True)
    return [kernbench.KernelFamily("mine", Mine, space={{"width": width}})]
"""
FLOPS = "@staticmethod\n    def kernel_flops(spec, width=4): "


@pytest.fixture
def mine(bench):
    def write(method):
        (bench.folder / "my_kernel.py").write_text(BODY.format(method=method))
        return "./my_kernel.py:mine"

    return write


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (f"{FLOPS}raise RuntimeError('no number')", "kernel_flops() fails: RuntimeError: no number"),
        (f"{FLOPS}sys.exit(0)", "kernel_flops() fails: SystemExit: 0"),
        (f"{FLOPS}return 'many'", "kernel_flops() must give a whole number >= 0, got 'many'"),
        (f"{FLOPS}return float('nan')", "kernel_flops() must give a whole number >= 0, got nan"),
        ("def support(self, grid): raise IndexError('no taps')", "support() fails: IndexError: no taps"),
        ("def support(self, grid): return 3", "support() must give whole numbers 0 <= lo < hi <= 9, got 3"),
        ("def regularizers(self): sys.exit(0)", "regularizers() fails: SystemExit: 0"),
        ("def scale_(self, factor): raise ValueError('too much')", "scale_() fails: ValueError: too much"),
        ("def scale_(self, factor): sys.exit(0)", "scale_() fails: SystemExit: 0"),
    ],
)
def test_describe_names_the_family_and_what_it_offers(refused, mine, method, said):
    refused("describe", mine(method), *SIZES, said=[f"family 'mine' (file my_kernel.py): {said}"])


def test_a_family_that_exits_where_it_is_built_does_not_end_the_command(refused, mine):
    said = ["family 'mine' cannot be built: SystemExit: 0", "file my_kernel.py"]
    refused("describe", mine("def identify(self, *_): pass\n    __init__ = lambda *_, **__: sys.exit(0)"), said=said)


def test_a_study_refuses_a_family_that_cannot_be_brought_to_gain_1(refused, mine, bench):
    (bench.folder / "small.toml").write_text(fakes.SMALL)
    name = mine("def scale_(self, factor): raise ValueError('too much')")
    refused("run", "--plugin", name, "--study", "small.toml", said=["scale_() fails: ValueError: too much"])


def test_a_count_that_exits_is_no_solution_of_a_budget(refused, mine, bench):
    (bench.folder / "small.toml").write_text(f"{fakes.SMALL}[budget]\ntotal = 1000\n")
    name = mine("@staticmethod\n    def param_count(spec, width=4): sys.exit(0)")
    said = "family 'mine' cannot count its parameters: SystemExit: 0"
    refused("run", "--plugin", name, "--study", "small.toml", said=[said])
