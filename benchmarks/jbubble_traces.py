"""Nine bubbles, and five changed equations, by jbubble: the figures that tests/ulm/simulator/jbubble.npz holds.

    python benchmarks/jbubble_traces.py ask ask.npz                      # with kernbench
    python benchmarks/jbubble_traces.py answer ask.npz jbubble.npz       # with jbubble, and without kernbench

jbubble 0.1.1 (Imperial College NSB lab, MIT licence) integrates the same bubble equation with other code: JAX, float64,
Tsit5 with a step of 1 ns. It pins its own JAX, so it has an environment of its own
(`python -m venv jb && jb/bin/pip install jbubble==0.1.1`), and numbers alone pass from one side to the other.
"""

# ruff: noqa: PLC0415  one half has no kernbench, the other no JAX

import sys
import warnings
from pathlib import Path

import numpy as np

DEPTH_M = 0.05
RADII_M = (1.5e-6, 2.4e-6, 3.5e-6)
PRESSURES_PA = (50e3, 150e3, 250e3)
CONTROLS = ("keller-miksis", "no reradiation", "no thermal viscosity", "adiabatic exponent", "straight tension")
CONTROL_PA = 150e3
STEP_S = 1e-9  # of driving pressure and solver


def ask(path):
    """Write what the equation of each bubble consists of: constants, tension curve, driving pressure."""
    import scipy

    from kernbench.ulm.simulator import embedded_fits, physics
    from kernbench.ulm.simulator.simulate import simulate_bubbles

    radius, amplitude = (grid.ravel() for grid in np.meshgrid(RADII_M, PRESSURES_PA, indexing="ij"))
    trace = simulate_bubbles(DEPTH_M, radius, amplitude, time_step_s=STEP_S)
    coarse = simulate_bubbles(DEPTH_M, radius, amplitude)
    viscosity, exponent = physics.thermal_damping(radius)
    areas = embedded_fits.AREA_FIRST + embedded_fits.AREA_STEP * np.arange(len(embedded_fits.TENSION_KNOTS))
    slopes = [(1, slope) for slope in embedded_fits.TENSION_END_SLOPES]
    spline = scipy.interpolate.CubicSpline(areas, embedded_fits.TENSION_KNOTS, bc_type=slopes)
    np.savez(
        path,
        radius_m=radius,
        amplitude_pa=amplitude,
        time_s=coarse.time_s.numpy(),
        drive_time_s=trace.time_s.numpy(),
        drive_pa=trace.pressure_pa.double().numpy(),
        thermal_viscosity=viscosity,
        exponent=exponent,
        shell_viscosity=physics.shell_viscosity(radius),
        areas=areas,
        tension_pieces=spline.c,
        tension_slope=embedded_fits.AREA_AT_REST * spline(embedded_fits.AREA_AT_REST, 1),
        area_at_rest=embedded_fits.AREA_AT_REST,
        tension_at_rest=physics.REST_TENSION,
        adiabatic=physics.C4F10.polytropic,
        **{name: getattr(physics.WATER, name) for name in ("density", "sound_speed", "viscosity", "pressure")},
    )


def answer(asked, path):
    """Integrate every bubble and every control by jbubble, and write x = R / R0 - 1 and the scattered pressure."""
    with np.load(asked, allow_pickle=False) as given:
        bubbles = Bubbles(dict(given))
    radius, amplitude = bubbles.given["radius_m"], bubbles.given["amplitude_pa"]
    traces = [bubbles.trace(place) for place in range(len(radius))]
    controlled = np.flatnonzero(amplitude == CONTROL_PA)
    controls = [[bubbles.trace(place, control)[0] for place in controlled] for control in CONTROLS]
    coarser = [bubbles.trace(place, step_s=2 * STEP_S)[0] for place in range(len(radius))]
    moved = max(np.abs(a - b[0]).max() / np.abs(b[0]).max() for a, b in zip(coarser, traces, strict=True))
    print(f"a step of 2 ns moves the excursion by at most {moved:.1e} of its peak")
    np.savez_compressed(
        path,
        radius_m=radius,
        amplitude_pa=amplitude,
        excursion=np.array([trace for trace, _ in traces], np.float32),
        scattered_pa=np.array([pressure for _, pressure in traces], np.float32),
        controls=np.array(CONTROLS),
        control_excursion=np.array(controls, np.float32),
        origin=np.array("jbubble 0.1.1 (MIT licence, Noninvasive Surgery & Biopsy Laboratory), Tsit5 at 1 ns"),
    )


class Bubbles:
    """The equations of all bubbles in jbubble's parts."""

    def __init__(self, given):
        self.given = given

    def trace(self, place, control="", step_s=STEP_S):
        """Excursion and scattered pressure 1 mm from one bubble, (samples,) each, its equation changed or not."""
        import diffrax
        import equinox
        from jax import numpy as jnp
        from jbubble import SaveSpec, SolverConfig, run_simulation
        from jbubble.acoustics import IncompressibleMonopole
        from jbubble.pulse import SampledPulse
        from jbubble.pulse.envelope import RectangularEnvelope

        given = self.given
        pulse = SampledPulse(
            ts=jnp.asarray(given["drive_time_s"]),
            pressures=jnp.asarray(given["drive_pa"][place]),
            envelope=RectangularEnvelope(),  # the one that is left out where none is named halves the first sample
        )
        config = SolverConfig(
            solver=diffrax.Tsit5(), stepsize_controller=diffrax.ConstantStepSize(), dt0=step_s, max_steps=40_000
        )
        save = SaveSpec(num_samples=len(given["time_s"]))
        result = equinox.filter_jit(run_simulation)(
            self.equation(place, control), pulse, save_spec=save, t_max=given["time_s"][-1], config=config
        )
        if not bool(result.converged):
            raise RuntimeError(f"bubble {place} {control}: jbubble did not converge")
        scattered = IncompressibleMonopole(float(given["density"]))(result, 1e-3)
        return np.asarray(result.radius) / given["radius_m"][place] - 1, np.asarray(scattered)

    def equation(self, place, control):
        """Equation of motion of one bubble; a control changes one term of it."""
        from jbubble.bubble import eom
        from jbubble.bubble.gas import PolytropicGas
        from jbubble.bubble.medium import NewtonianMedium
        from jbubble.bubble.shell import LipidShell

        given = self.given
        thermal = 0.0 if control == "no thermal viscosity" else given["thermal_viscosity"][place]
        exponent = given["adiabatic"] if control == "adiabatic exponent" else given["exponent"][place]
        tension = self.straight_tension() if control == "straight tension" else self.tension()
        parts = {
            "gas": PolytropicGas(gamma=float(exponent)),
            "shell": LipidShell(sigma=tension, kappa_s=float(given["shell_viscosity"][place])),
            "medium": NewtonianMedium(mu=float(given["viscosity"] + thermal)),
            "R0": float(given["radius_m"][place]),
            "P_amb": float(given["pressure"]),
            "rho_L": float(given["density"]),
        }
        if control == "no reradiation":
            return eom.RayleighPlesset(**parts)
        kind = eom.KellerMiksis if control == "keller-miksis" else eom.ModifiedRayleighPlesset
        return kind(**parts, c_L=float(given["sound_speed"]))

    def tension(self):
        """The tension curve of Segers et al. as a spline in pieces; jbubble has none of that kind."""
        from jax import numpy as jnp
        from jbubble.bubble.property import Property

        areas, pieces = jnp.asarray(self.given["areas"]), jnp.asarray(self.given["tension_pieces"])
        at_rest = float(self.given["area_at_rest"])

        class Spline(Property):
            def __call__(self, state):
                area = jnp.clip(at_rest * (state.R / state.R0) ** 2, areas[0], areas[-1])
                piece = jnp.clip(jnp.searchsorted(areas, area, side="right") - 1, 0, pieces.shape[1] - 1)
                return jnp.polyval(pieces[:, piece], area - areas[piece])

        return Spline()

    def straight_tension(self):
        """Marmottant's curve with the same tension and the same slope at rest."""
        from jbubble.bubble.shell import MarmottantSurfaceTension

        at_rest = float(self.given["tension_at_rest"])
        elasticity = float(self.given["tension_slope"]) - at_rest
        ratio = (elasticity / (elasticity + at_rest)) ** 0.5
        return MarmottantSurfaceTension(R_buckle_ratio=ratio, chi=elasticity, sigma_rupture=0.072)


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)  # of a solver that did not converge
    what, *files = sys.argv[1:]
    {"ask": ask, "answer": answer}[what](*map(Path, files))
