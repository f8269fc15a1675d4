"""reconstruct(): from k-space to images with a noise map and a record, or a clear refusal."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction import ReconstructionResult, reconstruct
from denoise_engine.reconstruction.alias_groups import AliasGroups, find_lattice
from denoise_engine.reconstruction.calibration import understand
from denoise_engine.reconstruction.checks import memory_of, virtual_coils_that_fit
from denoise_engine.reconstruction.operators import CartesianEncoding
from denoise_engine.reconstruction.unrolled import Architecture, PriorNetwork, UnrolledNetwork
from denoise_engine.simulation.sampling import uniform_mask, variable_density_mask
from tests.denoise_engine.multicoil import PhantomScan, phantom_scan

ROWS, COLUMNS, SIGMA = 64, 48, 0.03
SMALL = Architecture(steps=2, channels=(4, 4, 4, 4, 4, 4))


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return phantom_scan(ROWS, COLUMNS, sigma=SIGMA)


@pytest.fixture(scope="module")
def full(scan: PhantomScan) -> ReconstructionResult:
    return reconstruct(scan.kspace, method="zero-filled", noise=scan.noise_scan)


def _error(result: ReconstructionResult, full: ReconstructionResult) -> float:
    reference = full.magnitude()
    return float(np.linalg.norm(result.magnitude() - reference) / np.linalg.norm(reference))


def _undersampled(scan: PhantomScan, mask: np.ndarray) -> np.ndarray:
    kept = mask[:, None] if mask.ndim == 1 else mask
    return np.asarray(scan.kspace * kept)


def test_the_scale_is_that_of_the_noise(scan: PhantomScan, full: ReconstructionResult) -> None:
    inside = np.abs(scan.truth.numpy())[None] > 0.3
    ratio = full.magnitude()[inside] / np.abs(scan.truth.numpy())[None][inside]
    assert np.median(ratio) == pytest.approx(1 / SIGMA, rel=0.03)
    assert full.noise_map is not None
    np.testing.assert_allclose(full.noise_map[inside], 1, atol=0.01)


@pytest.mark.parametrize(
    ("method", "mask"),
    [
        ("sense", uniform_mask((ROWS,), (2,), calibration=16)),
        ("sense", uniform_mask((ROWS, COLUMNS), (2, 2), calibration=16)),
        (
            "cs",
            variable_density_mask(
                ROWS, fraction=0.55, rng=np.random.default_rng(0), calibration=0.3
            ),
        ),
    ],
)
def test_undersampled_scans_come_near_the_full_one(
    scan: PhantomScan, full: ReconstructionResult, method: Any, mask: np.ndarray
) -> None:
    kspace = _undersampled(scan, mask)
    result = reconstruct(kspace, mask, method=method, noise=scan.noise_scan)
    filled = reconstruct(kspace, method="zero-filled", noise=scan.noise_scan)
    assert _error(result, full) < 0.12
    assert _error(result, full) < 0.7 * _error(filled, full)
    assert result.noise_map is not None
    assert np.isfinite(result.noise_map).all()
    record = result.record()
    assert record["method"] == method
    assert record["acceleration"] == pytest.approx(mask.size / mask.sum(), rel=1e-3)
    by_formula = method == "sense" and mask.ndim == 1
    assert ("analytic" if by_formula else "replicas") in record["noise_map"]
    assert (result.g_factor is not None) == by_formula
    again = reconstruct(kspace, method=method, noise=scan.noise_scan)  # mask read off the zeros
    np.testing.assert_array_equal(again.image, result.image)
    assert again.record() == record


def test_uniform_sampling_with_a_calibration_scan_is_solved_exactly(
    scan: PhantomScan, full: ReconstructionResult
) -> None:
    mask = uniform_mask((ROWS,), (2,))
    calibration = scan.kspace[:, ROWS // 2 - 12 : ROWS // 2 + 12, 12:36]
    given: dict[str, Any] = {"method": "sense", "calibration": calibration, "bound": 20}
    result = reconstruct(_undersampled(scan, mask), mask, noise=scan.noise_scan, **given)
    assert result.record()["solver"] == "alias groups, exact"
    assert result.record()["noise_map"] == "analytic"
    assert result.g_factor is not None
    assert result.g_factor[result.g_factor > 0].min() > 0.99
    assert _error(result, full) < 0.15
    assert result.record()["warnings"] == []
    guessed = reconstruct(_undersampled(scan, mask), mask, **given)
    assert any("noise was estimated" in text for text in guessed.record()["warnings"])


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        (uniform_mask((64,), (2,), calibration=16), "uniform, every 2nd sample with a full centre"),
        (uniform_mask((64,), (3,), calibration=16), "uniform, every 3rd sample with a full centre"),
        (uniform_mask((67,), (4,)), "uniform, every 4th sample"),
        (uniform_mask((64,), (4,)), "uniform, every 4th sample"),
        (
            uniform_mask((64, 48), (2, 5), calibration=16),
            "uniform, every 10th sample with a full centre",
        ),
        (np.arange(64) >= 16, "one block: partial Fourier or a lower resolution"),
        (np.arange(64) % 7 < 5, "random or irregular"),
    ],
)
def test_sampling_is_told_in_words_whatever_the_matrix(mask: np.ndarray, kind: str) -> None:
    matrix = (len(mask), 48)
    assert understand(torch.from_numpy(mask), matrix).kind == kind


def test_coils_are_compressed_when_memory_is_short(scan: PhantomScan) -> None:
    limit = memory_of(8, 5, (ROWS, COLUMNS))
    result = reconstruct(scan.kspace, method="sense", noise=scan.noise_scan, memory_limit=limit)
    record = result.record()
    assert record["virtual_coils"] == 5
    assert 0.8 < record["energy_kept"] < 1
    assert "compressed to 5" in record["warnings"][0]
    with pytest.raises(ReconstructionError, match="Allow more memory"):
        reconstruct(scan.kspace, method="sense", memory_limit=1000)
    with pytest.raises(ReconstructionError, match="5 fit"):
        virtual_coils_that_fit(8, (ROWS, COLUMNS), wanted=8, memory_limit=limit)


def _step(scale: complex = 1.0) -> AliasGroups:
    scan = phantom_scan(48, 40)
    mask = torch.from_numpy(uniform_mask((48,), (2,)))
    encoding = CartesianEncoding(scan.coils[None], mask)
    projection = encoding.adjoint(encoding.forward(scan.truth[None])) * scale
    lattice = find_lattice(mask, (48, 40))
    assert lattice is not None
    return AliasGroups(scan.coils[None], projection, lattice)


def test_the_untrained_network_is_sense_and_knows_no_phase() -> None:
    torch.manual_seed(0)
    network = UnrolledNetwork(SMALL)
    with torch.no_grad():
        for prior in network.priors:
            assert isinstance(prior, PriorNetwork)
            prior.unet.final_conv.weight.mul_(10)
        image = network(_step())
        turned = network(_step(np.exp(2.2j)))
        torch.testing.assert_close(turned, image * np.exp(2.2j), rtol=1e-3, atol=1e-4)
        for prior in network.priors:
            assert isinstance(prior, PriorNetwork)
            prior.unet.final_conv.weight.zero_()
        mu = 0.25 / torch.tensor(network.bounds) ** 2
        step = _step()
        by_hand = step.solve(float(mu[1]), step.solve(float(mu[0])))
        torch.testing.assert_close(network.iterations(step)[1], by_hand, rtol=1e-4, atol=1e-5)
        assert network.closing_bound is not None
        by_hand = step.solve(0.25 / network.closing_bound**2, by_hand)
        torch.testing.assert_close(network(step), by_hand, rtol=1e-4, atol=1e-5)


def test_every_weight_and_every_bound_of_the_network_learns() -> None:
    torch.manual_seed(0)
    network = UnrolledNetwork(SMALL)
    assert network.bounds == pytest.approx([7.05, 7.05])
    network(_step()).abs().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


def test_the_shipped_network_beats_sense_and_its_record_names_it() -> None:
    scan = phantom_scan(96, 96, sigma=0.06)
    truth = np.abs(scan.truth.numpy())[None]
    mask = uniform_mask((96,), (4,), calibration=24)
    arguments: dict[str, Any] = {"mask": mask, "noise": scan.noise_scan, "replicas": 1}
    errors = {}
    for method in ("sense", "unrolled"):
        result = reconstruct(_undersampled(scan, mask), method=method, **arguments)
        inside = truth > 0
        scaled = result.magnitude() * 0.06
        errors[method] = np.linalg.norm((scaled - truth)[inside])
    assert errors["unrolled"] < 0.8 * errors["sense"]
    record = result.record()
    assert record["model"]["name"] == "unrolled"
    assert len(record["model"]["sha256"]) == 64
    assert record["closing_bound"] == 0.5
    bounds = record["bounds"]
    assert min(bounds[:2]) > bounds[2] > bounds[3] > max(bounds[4:])
    assert result.g_factor is not None
    assert result.noise_map is not None
    assert 0 < float(np.median(result.noise_map[inside])) < 2


def _bad(change: str, kspace: np.ndarray) -> dict[str, Any]:
    full_mask = np.ones(ROWS, dtype=bool)
    values = kspace.copy()
    if change == "not finite":
        values[2, 5, 7] = np.nan
        return {"kspace": values}
    if change == "no centre":
        values[:, ROWS // 2 - 9 : ROWS // 2 + 9] = 0
        return {"kspace": values}
    if change == "few calibration lines":
        mask = uniform_mask((ROWS,), (2,), calibration=8)
        return {"kspace": values * mask[:, None], "mask": mask}
    cases: dict[str, dict[str, Any]] = {
        "real": {"kspace": np.abs(values)},
        "dimensions": {"kspace": values[0]},
        "small": {"kspace": values[:, :20]},
        "zeros": {"kspace": values * 0},
        "matrix": {"kspace": values, "mask": np.ones(ROWS + 1, dtype=bool)},
        "outside": {"kspace": values, "mask": uniform_mask((ROWS,), (2,), calibration=24)},
        "nothing sampled": {"kspace": values, "mask": ~full_mask},
        "method": {"kspace": values, "method": "grappa"},
        "bound": {"kspace": values, "bound": 0.0},
        "penalty": {"kspace": values, "penalty": -1.0},
        "noise shape": {"kspace": values, "noise": values[:3].reshape(3, -1)},
        "calibration shape": {"kspace": values, "calibration": values[:3, :24, :24]},
        "maps": {"kspace": values, "sensitivities": values[:, :-1]},
        "replicas": {"kspace": values, "replicas": 1.5},
        "bound type": {"kspace": values, "bound": "5"},
        "maps by": {"kspace": values, "sensitivities": "guessing"},
        "virtual": {"kspace": values, "virtual_coils": 9},
    }
    return cases[change]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("not finite", "1 sample that is no finite number, the first in slice 1, coil 3"),
        ("no centre", "has no centre"),
        ("few calibration lines", "calibration centre is missing: 9 neighbouring lines"),
        ("real", "complex"),
        ("dimensions", "2 dimensions"),
        ("small", "smallest"),
        ("zeros", "nothing but zeros"),
        ("matrix", "mask is 65, k-space 64 × 48"),
        ("outside", "do not belong together"),
        ("nothing sampled", "do not belong together|empty"),
        ("method", "no method “grappa”"),
        ("bound", "above 0"),
        ("penalty", "0 or more"),
        ("noise shape", "8 channels"),
        ("calibration shape", "8 coils"),
        ("maps", "shape of k-space"),
        ("maps by", "neither"),
        ("replicas", "whole number"),
        ("bound type", "must be a number"),
        ("virtual", "from 1 to 8"),
    ],
)
def test_bad_input_is_refused_in_words(scan: PhantomScan, change: str, words: str) -> None:
    arguments = {"method": "sense"} | _bad(change, scan.kspace)
    with pytest.raises(ReconstructionError, match=words):
        reconstruct(arguments.pop("kspace"), arguments.pop("mask", None), **arguments)


def test_importing_the_package_loads_neither_torch_nor_monai() -> None:
    code = (
        "import sys, denoise_engine.reconstruction, denoise_engine.cli;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
