"""Kernel family `discrete`: one weight per tap, as torch.nn.Conv1d has them. The baseline."""

import kernbench


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "discrete",
            "kernbench_discrete.kernel:Discrete",
            description="one free weight per tap, as in torch.nn.Conv1d; with network dilated the published CNN",
            citation="Blanken et al. 2022, IEEE TMI (SRML-1D)",
            licence="MIT",
        )
    ]
