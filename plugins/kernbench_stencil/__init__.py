"""Kernel family `stencil`: fixed textbook stencils at several step sizes, mixed by learned weights."""

import kernbench


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "stencil",
            "kernbench_stencil.kernel:Stencil",
            space={
                "set": kernbench.Choice(
                    ("compact", "all", "smooth", "difference", "identity"),
                    doc="which stencils: three-tap ones, every one, averages, differences, identity and shifts",
                ),
                "scales": kernbench.Int(
                    1, 10, default=8, budget=True, doc="tap steps 1, 2, 4, ... 2^(scales - 1); those that fit are used"
                ),
            },
            description="mixture of textbook stencils (shifts, averages, differences) at steps 1, 2, 4, ...",
            citation="Fornberg 1988, Generation of Finite Difference Formulas; Actor 2019, Rice University",
        )
    ]
