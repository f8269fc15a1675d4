"""One whitened slice to its image and noise map, by each of the methods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from denoise_engine.reconstruction.alias_groups import AliasGroups
from denoise_engine.reconstruction.calibration import SamplingPattern
from denoise_engine.reconstruction.compressed_sensing import LEVELS, WAVELET, fista
from denoise_engine.reconstruction.conjugate_gradients import NormalEquations, Stopping
from denoise_engine.reconstruction.models import DEFAULT_MODEL, LoadedNetwork, load_unrolled
from denoise_engine.reconstruction.noise_maps import replica_noise
from denoise_engine.reconstruction.operators import CartesianEncoding
from denoise_engine.reconstruction.sense import IteratedStep, sense_step, weight_of
from denoise_engine.runtime import has_bfloat16

FISTA_STEPS, FISTA_TOLERANCE = 60, 1e-3
# Inside the network a step need not be solved further than the next U-net can tell.
STEPS_OF_NETWORK = Stopping(tolerance=1e-3, most_steps=40)
LINEAR_REPLICAS, OTHER_REPLICAS = 4, 3
# The noise of a replica need not be known further than the replicas scatter.
_STEPS_OF_REPLICA = Stopping(tolerance=1e-2, most_steps=60)
_SEED = 3


@dataclass(frozen=True)
class Scan:
    """Whitened slices of one sampling.

    Attributes
    ----------
    samples : Tensor
        (slices, coils, rows, columns) complex64 in the order of ``CartesianEncoding``.
    encoding : CartesianEncoding
        How they came about.
    pattern : SamplingPattern
        Their sampling.
    """

    samples: Tensor
    encoding: CartesianEncoding
    pattern: SamplingPattern


@dataclass(frozen=True)
class Images:
    """Images (slices, rows, columns), noise SD, g-factor where it has a formula, and how."""

    image: Tensor
    noise: Tensor | None
    g_factor: Tensor | None
    details: dict[str, Any]


Solver = Callable[[Scan], Images]


def solver_of(
    method: str, *, bound: float, penalty: float, model: str | None, replicas: int | None
) -> Solver:
    """Return what turns a scan into images; a network is loaded here, before anything runs.

    ``replicas`` 0 leaves out the noise map where it has no formula.
    """
    if method == "unrolled":
        network = load_unrolled(model or DEFAULT_MODEL)
        return lambda scan: _unrolled(scan, network, _count(replicas, OTHER_REPLICAS))
    if method == "sense":
        return lambda scan: _sense(scan, bound, _count(replicas, LINEAR_REPLICAS))
    if method == "cs":
        return lambda scan: _compressed_sensing(scan, penalty, _count(replicas, OTHER_REPLICAS))
    return _zero_filled


def _zero_filled(scan: Scan) -> Images:
    image = scan.encoding.adjoint(scan.samples)
    # The noise of a projection onto the samples taken.
    seen = scan.encoding.sensitivities.coils.abs().square().sum(dim=-3)
    share = 1 / scan.pattern.acceleration
    return Images(image, (seen * share).sqrt(), None, {})


def _sense(scan: Scan, bound: float, replicas: int) -> Images:
    mu = weight_of(bound)
    step = sense_step(scan.encoding, scan.samples, scan.pattern)
    image = step.solve(mu)
    details: dict[str, Any] = {"bound": bound, "mu": mu}
    if isinstance(step, AliasGroups):
        details |= {"solver": _of_groups(step), "noise_map": "analytic"}
        return Images(image, step.noise(mu), step.g_factor(), details)
    details |= _of_gradients(step, Stopping())

    def solve(noise: Tensor) -> Tensor:
        return NormalEquations(
            scan.encoding, scan.encoding.adjoint(noise), _STEPS_OF_REPLICA
        ).solve(mu)

    noise = _replicated(solve, scan, replicas, base=None)
    return Images(image, noise, None, details | _of_replicas(replicas))


def _compressed_sensing(scan: Scan, penalty: float, replicas: int) -> Images:
    def solve(samples: Tensor) -> Tensor:
        return fista(
            scan.encoding,
            samples,
            penalty=penalty,
            steps=FISTA_STEPS,
            tolerance=FISTA_TOLERANCE,
            rng=np.random.default_rng(_SEED),
        )

    image = solve(scan.samples)
    noise = _replicated(solve, scan, replicas, base=image)
    details = {
        "penalty_in_sigma": penalty,
        "solver": f"FISTA, wavelets {WAVELET} of {LEVELS} levels; ends after {FISTA_STEPS} steps "
        f"or a relative change of {FISTA_TOLERANCE:g}",
    }
    return Images(image, noise, None, details | _of_replicas(replicas))


def _unrolled(scan: Scan, loaded: LoadedNetwork, replicas: int) -> Images:
    network = loaded.network
    network.use_low_precision(has_bfloat16("cpu"))

    def solve(samples: Tensor) -> Tensor:
        return network(sense_step(scan.encoding, samples, scan.pattern, STEPS_OF_NETWORK))

    step = sense_step(scan.encoding, scan.samples, scan.pattern, STEPS_OF_NETWORK)
    image: Tensor = network(step)
    noise = _replicated(solve, scan, replicas, base=image)
    details: dict[str, Any] = {
        "model": {
            "name": loaded.file.name,
            "version": loaded.file.version,
            "sha256": loaded.file.sha256,
        },
        "bounds": [round(bound, 3) for bound in network.bounds],
        **_of_closing(network.closing_bound),
        "unet_precision": "bfloat16" if has_bfloat16("cpu") else "float32",
        **_of_replicas(replicas),
    }
    if isinstance(step, AliasGroups):
        return Images(image, noise, step.g_factor(), details | {"solver": _of_groups(step)})
    return Images(image, noise, None, details | _of_gradients(step, STEPS_OF_NETWORK))


def _count(asked: int | None, usual: int) -> int:
    return usual if asked is None else asked


def _replicated(
    solve: Callable[[Tensor], Tensor], scan: Scan, replicas: int, *, base: Tensor | None
) -> Tensor | None:
    if not replicas:
        return None
    return replica_noise(solve, scan.samples, scan.encoding.sampled, replicas=replicas, base=base)


def _of_closing(bound: float | None) -> dict[str, Any]:
    return {} if bound is None else {"closing_bound": round(bound, 3)}


def _of_groups(step: AliasGroups) -> str:
    return "columns, exact" if step.lattice.is_of_columns else "alias groups, exact"


def _of_gradients(step: IteratedStep, stopping: Stopping) -> dict[str, Any]:
    return {
        "solver": f"conjugate gradients; ends at a relative residual of {stopping.tolerance:g} or "
        f"after {stopping.most_steps} steps",
        "solver_steps": list(step.steps),
    }


def _of_replicas(count: int) -> dict[str, Any]:
    return {"noise_map": f"{count} pseudo-replicas" if count else "left out"}
