"""Every analysis of trained cells: a command each, and a part of the page each where its results are stored."""

from kernbench.report.analyses.analysis import Analysis
from kernbench.report.analyses.expressivity_shown import EXPRESSIVITY
from kernbench.report.analyses.kernels import KERNELS_ANALYSIS
from kernbench.report.analyses.limit import LIMIT_ANALYSIS
from kernbench.report.analyses.movement import MOVEMENT
from kernbench.report.analyses.receptive_field import RECEPTIVE_FIELD
from kernbench.report.analyses.spectrum import SPECTRUM

# a command each
CELL_BY_CELL: tuple[Analysis, ...] = (KERNELS_ANALYSIS, SPECTRUM, RECEPTIVE_FIELD, MOVEMENT, LIMIT_ANALYSIS)
ANALYSES = (*CELL_BY_CELL, EXPRESSIVITY)
