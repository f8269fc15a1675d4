"""Regularised SENSE does what its λ promises, exactly where it can and iterated where it cannot."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction.alias_groups import AliasGroups, find_lattice
from denoise_engine.reconstruction.calibration import understand
from denoise_engine.reconstruction.conjugate_gradients import (
    NormalEquations,
    Stopping,
    conjugate_gradients,
)
from denoise_engine.reconstruction.noise_maps import replica_noise
from denoise_engine.reconstruction.operators import CartesianEncoding
from denoise_engine.reconstruction.sense import IteratedStep, sense_step, weight_of
from denoise_engine.reconstruction.sensitivities import espirit, walsh
from denoise_engine.simulation.sampling import uniform_mask, variable_density_mask
from tests.denoise_engine.multicoil import PhantomScan, phantom_scan

Mask = NDArray[np.bool_]
ROWS, COLUMNS = 48, 36
UNIFORM = {
    "every 2nd line": uniform_mask((ROWS,), (2,)),
    "every 4th line": uniform_mask((ROWS,), (4,), offset=1),
    "2 × 3": uniform_mask((ROWS, COLUMNS), (2, 3)),
    "6 lines": uniform_mask((ROWS,), (6,)),
}
SHEARED = np.zeros((ROWS, COLUMNS), dtype=np.bool_)
SHEARED[0::4, 0::2] = True
SHEARED[2::4, 1::2] = True


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return phantom_scan(ROWS, COLUMNS)


def _sampled(scan: PhantomScan, mask: Mask) -> tuple[CartesianEncoding, torch.Tensor]:
    encoding = CartesianEncoding(scan.coils[None], torch.from_numpy(mask))
    return encoding, encoding.forward(scan.truth[None])


LINES = {
    "every 4th line and a centre": uniform_mask((ROWS,), (4,), calibration=16),
    "every 5th line": uniform_mask((ROWS,), (5,)),  # the matrix is no multiple of 5
    "random lines": variable_density_mask(ROWS, fraction=0.4, rng=np.random.default_rng(0)),
    "partial Fourier": np.arange(ROWS) < 36,
}


@pytest.mark.parametrize(
    ("mask", "in_columns"),
    [
        *((mask, False) for mask in (*UNIFORM.values(), SHEARED)),
        *((m, True) for m in LINES.values()),
    ],
    ids=[*UNIFORM, "sheared 2 × 2", *LINES],
)
def test_exact_solutions_and_conjugate_gradients_agree(
    scan: PhantomScan, mask: Mask, in_columns: bool
) -> None:
    encoding, samples = _sampled(scan, mask)
    pattern = understand(torch.from_numpy(mask), (ROWS, COLUMNS))
    exact = sense_step(encoding, samples, pattern)
    assert isinstance(exact, AliasGroups)
    assert exact.lattice.reduction == (ROWS if in_columns else round(mask.size / mask.sum()))
    iterated = NormalEquations(encoding, encoding.adjoint(samples), Stopping(1e-7, 400))
    prior = torch.randn((1, ROWS, COLUMNS), dtype=torch.complex64)
    for bound in (1.0, 4.0):
        mu = weight_of(bound)
        torch.testing.assert_close(
            exact.solve(mu, prior), iterated.solve(mu, prior), rtol=0, atol=2e-4
        )


def test_what_no_coil_sees_stays_empty(scan: PhantomScan) -> None:
    coils = scan.coils[None] * (scan.truth.abs() > 0.3)
    mask = torch.from_numpy(LINES["every 4th line and a centre"])
    encoding = CartesianEncoding(coils, mask)
    samples = encoding.forward(scan.truth[None])
    step = sense_step(encoding, samples, understand(mask, (ROWS, COLUMNS)))
    assert isinstance(step, AliasGroups)
    blind = (scan.truth.abs() <= 0.3)[None]
    for values in (step.solve(weight_of(5.0)), step.noise(weight_of(5.0)), step.g_factor()):
        assert float(values[blind].abs().max()) < 1e-3


def test_random_points_have_no_groups(scan: PhantomScan) -> None:
    mask = np.random.default_rng(0).random((ROWS, COLUMNS)) < 0.4
    assert find_lattice(torch.from_numpy(mask), (ROWS, COLUMNS)) is None
    encoding, samples = _sampled(scan, mask)
    pattern = understand(torch.from_numpy(mask), (ROWS, COLUMNS))
    assert isinstance(sense_step(encoding, samples, pattern), IteratedStep)


def test_a_small_bound_stays_near_the_prior_and_a_large_one_goes_to_the_data(
    scan: PhantomScan,
) -> None:
    encoding, samples = _sampled(scan, UNIFORM["every 2nd line"])
    pattern = understand(torch.from_numpy(UNIFORM["every 2nd line"]), (ROWS, COLUMNS))
    step = sense_step(encoding, samples, pattern)
    prior = torch.full((1, ROWS, COLUMNS), 3.0, dtype=torch.complex64)
    near = step.solve(weight_of(0.005), prior)
    torch.testing.assert_close(near, prior, rtol=0, atol=0.01)
    far = step.solve(weight_of(100.0), prior)
    torch.testing.assert_close(far, scan.truth[None], rtol=0, atol=0.01)


@pytest.mark.parametrize("bound", [2.0, 5.0])
@pytest.mark.parametrize(
    "name", ["every 4th line", "6 lines", "every 4th line and a centre", "random points"]
)
def test_the_noise_never_exceeds_the_bound(scan: PhantomScan, name: str, bound: float) -> None:
    mask = (UNIFORM | LINES).get(name)
    if mask is None:
        mask = np.random.default_rng(1).random((ROWS, COLUMNS)) < 0.25
        mask[ROWS // 2 - 2 : ROWS // 2 + 3, COLUMNS // 2 - 2 : COLUMNS // 2 + 3] = True
    encoding, samples = _sampled(scan, mask)
    mu = weight_of(bound)
    pattern = understand(torch.from_numpy(mask), (ROWS, COLUMNS))
    step = sense_step(encoding, samples, pattern)

    def solve(noise: torch.Tensor) -> torch.Tensor:
        return sense_step(encoding, noise, pattern).solve(mu)

    measured = replica_noise(solve, samples, encoding.sampled, replicas=25, smoothing=0)
    # A pixel has 50 numbers: its SD is known to 10 %, the mean variance of 25 pixels to 3 %.
    assert float(measured.max()) <= bound * 1.4
    around = torch.nn.functional.avg_pool2d(measured.square(), 5, stride=1).sqrt()
    assert float(around.max()) <= bound * 1.06
    if isinstance(step, AliasGroups):
        predicted = step.noise(mu)
        assert float(predicted.max()) <= bound
        ratio = measured / predicted
        assert float(ratio.mean()) == pytest.approx(1, abs=0.02)
        assert float(ratio.std()) < 0.13


def test_the_noise_of_uniform_points_with_a_centre_is_predicted(scan: PhantomScan) -> None:
    mask = uniform_mask((ROWS, COLUMNS), (2, 2), calibration=16)
    encoding, samples = _sampled(scan, mask)
    pattern = understand(torch.from_numpy(mask), (ROWS, COLUMNS))
    assert not pattern.exact
    assert pattern.lattice is not None
    step = sense_step(encoding, samples, pattern)
    assert isinstance(step, IteratedStep)
    mu = weight_of(4.0)
    measured = replica_noise(
        lambda noise: sense_step(encoding, noise, pattern).solve(mu),
        samples,
        encoding.sampled,
        replicas=10,
    )
    assert float((step.noise(mu) / measured).mean()) == pytest.approx(1, abs=0.2)


def test_the_g_factor_is_that_of_the_textbook(scan: PhantomScan) -> None:
    mask = UNIFORM["every 2nd line"]
    encoding, samples = _sampled(scan, mask)
    step = sense_step(encoding, samples, understand(torch.from_numpy(mask), (ROWS, COLUMNS)))
    assert isinstance(step, AliasGroups)
    y, x = 11, 16
    pair = scan.coils[:, [y, y + ROWS // 2], x].to(torch.complex128)
    product = pair.mH @ pair
    expected = (torch.linalg.inv(product)[0, 0] * product[0, 0]).real.sqrt()
    assert float(step.g_factor()[0, y, x]) == pytest.approx(float(expected), rel=1e-3)


def test_conjugate_gradients_stop_where_they_say_and_slices_do_not_disturb_each_other(
    scan: PhantomScan,
) -> None:
    mask = variable_density_mask(ROWS, fraction=0.4, rng=np.random.default_rng(2))
    encoding, samples = _sampled(scan, mask)
    easy = torch.zeros((1, ROWS, COLUMNS), dtype=torch.complex64)
    easy[0, 24, 18] = 1
    wanted = torch.cat([encoding.adjoint(samples), easy])

    def normal(image: torch.Tensor) -> torch.Tensor:
        return encoding.normal(image) + 0.05 * image

    both = conjugate_gradients(normal, wanted, stopping=Stopping(1e-4, 100))
    assert both.residual <= 1e-4
    assert 3 < both.steps < 100
    alone = conjugate_gradients(normal, wanted[:1], stopping=Stopping(1e-4, 100))
    torch.testing.assert_close(both.image[:1], alone.image, rtol=1e-4, atol=1e-5)
    assert conjugate_gradients(normal, wanted, stopping=Stopping(1e-12, 3)).steps == 3


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf")])
def test_a_bound_that_bounds_nothing_is_refused(bound: float) -> None:
    with pytest.raises(ReconstructionError, match="above 0"):
        weight_of(bound)


@pytest.mark.parametrize(("estimate", "error"), [(espirit, 0.03), (walsh, 0.08)])
def test_sensitivities_explain_the_coil_images(estimate: object, error: float) -> None:
    scan = phantom_scan(72, 64, sigma=0.005)
    kspace = torch.from_numpy(scan.kspace)[None]
    maps = estimate(kspace[:, :, 24:48, 20:44], (72, 64))  # type: ignore[operator]
    norm = maps.abs().square().sum(dim=1)
    seen = norm > 0
    torch.testing.assert_close(norm[seen], torch.ones_like(norm[seen]), rtol=0, atol=1e-3)
    inside = scan.truth.abs()[None] > 0.3
    assert float(seen[inside].float().mean()) > 0.98
    # Up to a phase in each pixel, they are the coils that made the data.
    likeness = (maps.conj() * scan.coils[None]).sum(dim=1).abs()
    both = inside & seen
    assert float((1 - likeness[both].square()).clamp_min(0).sqrt().mean()) < error
