"""Kernel family `siren`: a small sine network draws the kernel (CKConv)."""

import kernbench


@kernbench.hookimpl
def kernbench_kernels() -> list[kernbench.KernelFamily]:
    return [
        kernbench.KernelFamily(
            "siren",
            "kernbench_siren.kernel:Siren",
            space={
                "omega_0": kernbench.Float(
                    1.0,
                    200.0,
                    log=True,
                    default=30.0,
                    unit="rad per extent",
                    doc="highest first-layer frequency; at fixed omega_0 a larger kernel is a slower kernel",
                ),
                "hidden": kernbench.Int(
                    4, 128, log=True, default=32, budget=True, doc="width of the two hidden layers"
                ),
                "init": kernbench.Choice(
                    ("calibrated", "siren-intended", "ckconv-effective"),
                    doc="variance-preserving; what CKConv's code means to do; what it does",
                ),
                "omega_bias": kernbench.Choice(
                    (True, False), doc="sin(omega_0 (W x + b)) as CKConv's code, or sin(omega_0 W x + b) as the thesis"
                ),
            },
            description="three pointwise layers with sines, position -> kernel values (CKConv); weight-normalized",
            citation="Romero et al. 2022, CKConv, ICLR; Sitzmann et al. 2020, SIREN, NeurIPS",
            licence="MIT",
        )
    ]
