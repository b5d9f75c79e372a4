"""KernelFamily: loading, resolving hyper-parameters, building, and errors that name the plugin."""

import subprocess
import sys

import pytest
import torch

import kernbench
from kernbench.errors import KernbenchError, PluginError

SPEC = kernbench.KernelSpec(2, 3, kernel_size=5)


class Line(kernbench.KernelModule):
    """A straight line with a slope."""

    def __init__(self, spec, slope=1.0):
        super().__init__(spec)
        if slope > 8:
            raise RuntimeError("too steep\nsecond line")
        self.slope = torch.nn.Parameter(torch.full((*spec.shape[:2], 1), slope))

    def forward(self, grid):
        return self.slope * grid.lags


FAMILY = kernbench.KernelFamily("line", Line, space={"slope": kernbench.Float(0.5, 10.0, default=2.0)})


def test_defaults_fill_what_is_not_given():
    assert FAMILY.resolve() == {"slope": 2.0}
    assert FAMILY.resolve({"slope": 3}) == {"slope": 3.0}


def test_an_unknown_hyper_parameter_is_refused_with_the_nearest():
    with pytest.raises(KernbenchError, match="'line' has no hyper-parameter 'slop'; did you mean 'slope'"):
        FAMILY.resolve({"slop": 1.0})


def test_a_value_out_of_range_names_family_and_parameter():
    with pytest.raises(KernbenchError, match=r"slope of family 'line': expected 0\.5 \.\. 10, got 20"):
        FAMILY.resolve({"slope": 20})


def test_a_class_that_raises_is_reported_with_the_first_line_and_k():
    with pytest.raises(PluginError, match=r"family 'line' cannot be built: RuntimeError: too steep \(plugin .*K = 5\)"):
        FAMILY.build(SPEC, {"slope": 9})


class Needs(Line):
    def __init__(self, spec, slope, *, start, end=1.0):
        super().__init__(spec, slope + start)


@pytest.mark.parametrize(
    ("module", "names", "said"),
    [
        (Line, ["slop"], "space has 'slop', but Line.__init__ takes no argument 'slop'; did you mean 'slope'?"),
        (Line, ["slope", "zeta"], r"takes no argument 'zeta' \(plugin"),
        (kernbench.KernelModule, ["slope"], "KernelModule.__init__ takes no argument 'slope'"),
        (Needs, ["slope", "strat", "start"], "takes no argument 'strat'; did you mean 'start'?"),
        (Needs, ["slope"], "Needs.__init__ needs 'start', which the space lacks; add it to the space or give it"),
    ],
)
def test_a_space_that_does_not_fit_the_arguments_is_refused_by_name(module, names, said):
    family = kernbench.KernelFamily("line", module, space={name: kernbench.Float(1.0, 2.0) for name in names})
    with pytest.raises(PluginError, match=f"^family 'line': .*{said}"):
        family.build(SPEC)


def test_a_class_that_takes_any_keyword_fits_any_space():
    class Any(Line):
        def __init__(self, spec, **hyper):
            super().__init__(spec)

    assert kernbench.KernelFamily("line", Any, space={"b": kernbench.Int(1, 2)}).build(SPEC).hyper == {"b": 1}


@pytest.mark.parametrize("path", ["no_such_package:Class", "kernbench_siren.kernel:NoSuchClass", "math:pi"])
def test_a_path_that_leads_nowhere_is_one_clear_line(path):
    with pytest.raises(PluginError, match="family 'lost'"):
        kernbench.KernelFamily("lost", path).load()


@pytest.mark.parametrize("name", ["", "two words", "a:b"])
def test_a_name_that_cannot_be_typed_is_refused(name):
    with pytest.raises(PluginError, match="family name"):
        kernbench.KernelFamily(name, Line)


def test_a_space_of_other_types_is_refused():
    with pytest.raises(PluginError, match=r"space\['slope'\]"):
        kernbench.KernelFamily("line", Line, space={"slope": (0, 1)})


def test_parameters_are_counted_when_there_is_no_closed_form():
    before = torch.get_rng_state()
    assert FAMILY.param_count(SPEC) == 6
    assert torch.equal(before, torch.get_rng_state())


def test_offering_a_family_imports_no_torch():
    code = (
        "import sys, kernbench_siren, kernbench_fixed, kernbench_stencil, kernbench_discrete\n"
        "from kernbench.conv.backends import BACKENDS\nfrom kernbench.networks.bundled import SHALLOW\n"
        "for p in (kernbench_siren, kernbench_fixed, kernbench_stencil, kernbench_discrete):\n"
        "    [f.resolve() for f in p.kernbench_kernels()]\n"
        "print('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
