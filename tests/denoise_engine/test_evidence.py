"""What stands beside a denoised image: removed noise, uncertainty, flags, the QC record."""

import json
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import denoise_engine as engine
from denoise_engine.errors import UnusableVolumeError
from denoise_engine.evidence import QC_KEYS, Evidence, gather_evidence
from denoise_engine.metrics import body_mask
from denoise_engine.noise import NativeGrid, from_native, to_native
from denoise_engine.noise.bias import magnitude_mean
from tests.denoise_engine.conftest import LUMBAR

Volume = NDArray[np.float32]
Noisy = tuple[Volume, float]


@pytest.fixture(scope="module")
def noisy(noisy_lumbar: Noisy) -> Noisy:
    """One slice: the network is slow on a busy machine."""
    return noisy_lumbar[0][:1], noisy_lumbar[1]


@pytest.fixture(scope="module")
def result(noisy: Noisy) -> engine.DenoiseResult:
    return engine.denoise(noisy[0], noise=noisy[1], native_grid="off", precision="float32")


@pytest.fixture(scope="module")
def evidence(noisy: Noisy, result: engine.DenoiseResult) -> Evidence:
    return gather_evidence(noisy[0], result)


def test_progress_is_reported_for_every_slice(noisy_lumbar: Noisy) -> None:
    seen: list[tuple[int, int]] = []
    result = engine.denoise(noisy_lumbar[0], strength=engine.Blend(0.0), native_grid="off")
    gather_evidence(noisy_lumbar[0], result, progress=lambda a, b: seen.append((a, b)))
    assert seen == [(1, 2), (2, 2)]


def test_input_is_output_plus_what_was_removed(
    noisy: Noisy, result: engine.DenoiseResult, evidence: Evidence
) -> None:
    np.testing.assert_allclose(result.volume + evidence.removed, noisy[0], atol=1e-4, rtol=1e-6)
    assert np.all(evidence.noise_map == np.float32(noisy[1]))


def test_a_good_denoiser_removes_nothing_but_noise(evidence: Evidence) -> None:
    structure = evidence.structure
    assert structure.passed
    assert structure.sentence.startswith("What was removed looks like noise")
    assert structure.whiteness is not None
    assert structure.whiteness > 0.9
    assert structure.places == 0
    assert evidence.warnings == ()


def test_strength_0_removes_nothing_and_leaves_nothing_to_doubt(noisy: Noisy) -> None:
    untouched = engine.denoise(noisy[0], strength=engine.Blend(0.0), native_grid="off")
    made = gather_evidence(noisy[0], untouched)
    assert not made.removed.any()
    assert not made.uncertainty.any()
    assert not made.flagged.any()
    assert made.structure.sentence == "Nothing was removed from these images."
    assert made.qc()["removed_sd"] == 0


def test_a_blend_removes_its_share_and_is_judged_alike(
    noisy: Noisy, result: engine.DenoiseResult, evidence: Evidence
) -> None:
    blended = engine.denoise(
        noisy[0],
        noise=noisy[1],
        strength=engine.Blend(0.4),
        native_grid="off",
        precision="float32",
    )
    made = gather_evidence(noisy[0], blended)
    np.testing.assert_allclose(made.removed, 0.4 * evidence.removed, atol=1e-3)
    assert made.structure == evidence.structure
    assert made.qc()["removed_sd"] == pytest.approx(0.4 * evidence.qc()["removed_sd"], rel=1e-3)


def test_uncertainty_grows_with_the_true_error() -> None:
    with np.load(LUMBAR / "V04.npz") as stored:
        whole = stored["volume"][2:3, 160:400, 60:300].astype(np.float32)
    # Half the matrix: most of the noise of the image itself is left outside.
    clean = np.maximum(to_native(whole, NativeGrid(240, 240, 120, 120, "native")), 0)
    body = body_mask(clean)
    sigma = float(clean[body].mean()) / 5
    rng = np.random.default_rng(1)
    real, imaginary = rng.standard_normal((2, *clean.shape), dtype=np.float32) * sigma
    noisy = np.hypot(clean + real, imaginary)
    result = engine.denoise(noisy, noise=sigma, native_grid="off", precision="float32")
    evidence = gather_evidence(noisy, result)
    # The local mean goes through: noise-free means the mean of the magnitude.
    error = np.square((result.volume - magnitude_mean(clean, sigma)) / sigma)
    order = np.argsort(evidence.uncertainty[body])
    fifth = len(order) // 5
    surest = np.sqrt(error[body][order[:fifth]].mean())
    least_sure = np.sqrt(error[body][order[-fifth:]].mean())
    assert least_sure > 1.3 * surest
    # In units of the noise SD, and of the size of the error.
    stated = float(np.sqrt(np.square(evidence.uncertainty[body]).mean()))
    assert 0.7 < stated / float(np.sqrt(error[body].mean())) < 1.4


def test_evidence_is_the_same_every_time_and_in_any_unit(noisy: Noisy, evidence: Evidence) -> None:
    scaled = engine.denoise(
        noisy[0] * 8, noise=noisy[1] * 8, native_grid="off", precision="float32"
    )
    made = gather_evidence(noisy[0] * 8, scaled)
    np.testing.assert_allclose(made.uncertainty, evidence.uncertainty, atol=1e-3)
    np.testing.assert_array_equal(made.flagged, evidence.flagged)
    assert made.structure.edge_correlation == evidence.structure.edge_correlation


def test_a_small_structure_that_was_lost_is_flagged_where_it_was(
    noisy: Noisy, result: engine.DenoiseResult
) -> None:
    spot = np.zeros_like(noisy[0])
    spot[0, 60, 70] = 1
    spot = ndimage.gaussian_filter(spot, (0, 1.5, 1.5))
    with_spot = noisy[0] + 3 * noisy[1] * spot / spot.max()
    # The output that the spot is missing from.
    lost = replace(result, working_input=with_spot)
    made = gather_evidence(with_spot, lost)
    assert made.flagged[0, 60, 70]
    places = made.qc()["flagged_places"]
    assert any(
        p["slice"] == 0 and abs(p["row"] - 60) <= 2 and abs(p["column"] - 70) <= 2 for p in places
    )
    assert all(made.flagged[p["slice"], p["row"], p["column"]] for p in places)
    assert made.structure.places == 1
    assert not made.structure.passed
    assert "one place" in made.structure.sentence
    assert made.structure.sentence in made.warnings
    assert made.removed[0, 58:63, 68:73].mean() > noisy[1]


def test_a_noise_map_and_its_range_are_kept(noisy: Noisy) -> None:
    rows = np.linspace(0.7, 1.4, noisy[0].shape[1], dtype=np.float32)
    level = np.broadcast_to(noisy[1] * rows[None, :, None], noisy[0].shape)
    made = gather_evidence(noisy[0], engine.denoise(noisy[0], noise=level, native_grid="off"))
    np.testing.assert_allclose(made.noise_map, level)
    qc = made.qc()
    assert qc["noise_lowest"] < qc["noise_level"] < qc["noise_highest"]


def test_a_map_without_noise_in_the_air_gives_a_record_without_infinity(noisy: Noisy) -> None:
    scan = np.pad(noisy[0], ((0, 0), (0, 0), (0, 48)))
    level = noisy[1] * body_mask(scan).astype(np.float32)
    result = engine.denoise(scan, noise=level, model="nlm", native_grid="off")
    assert result.air_gain is None
    made = gather_evidence(scan, result)
    assert made.qc()["gain_air"] is None
    json.dumps([made.qc(), result.record()], allow_nan=False)
    endless = replace(result, achieved_gain=math.inf, air_gain=math.inf)
    assert endless.record()["achieved_gain"] is None
    assert gather_evidence(scan, endless).qc()["gain_body"] is None
    json.dumps(endless.record(), allow_nan=False)


def test_no_noise_gives_evidence_of_nothing(noisy: Noisy) -> None:
    made = gather_evidence(noisy[0], engine.denoise(noisy[0], noise=0.0))
    assert made.qc()["snr"] is None
    assert made.qc()["in_range"] is None
    assert not made.removed.any()
    json.dumps(made.qc(), allow_nan=False)


def test_evidence_of_an_interpolated_image_lies_on_its_grid(lumbar: Volume) -> None:
    lumbar = lumbar[:1]
    slices, rows, columns = lumbar.shape
    grid = NativeGrid(2 * rows, 2 * columns, rows, columns, "header")
    rng = np.random.default_rng(4)
    real, imaginary = rng.standard_normal((2, *lumbar.shape), dtype=np.float32) * 7
    acquired = np.hypot(lumbar + real, imaginary)
    shown = np.maximum(from_native(acquired, grid), 0)
    result = engine.denoise(shown, noise=7.0, acquired=(rows, columns))
    assert result.native_grid.native_rows == rows, "taken back to the grid it was acquired on"
    made = gather_evidence(shown, result)
    for name in ("removed", "uncertainty", "flagged", "noise_map"):
        assert getattr(made, name).shape == (slices, 2 * rows, 2 * columns), name
    assert made.structure.passed
    # Each native pixel lies on every second pixel of the image.
    direct = gather_evidence(result.working_input, _on_native_grid(result))
    np.testing.assert_allclose(made.uncertainty[:, ::2, ::2], direct.uncertainty, atol=1e-4)


def _on_native_grid(result: engine.DenoiseResult) -> engine.DenoiseResult:
    given = result.working_input
    rows, columns = given.shape[1:]
    return replace(
        result,
        volume=result.working_output,
        native_grid=NativeGrid(rows, columns, rows, columns, "native"),
    )


def test_comparators_have_evidence_too(noisy: Noisy) -> None:
    result = engine.denoise(noisy[0][:1], noise=7.0, model="nlm", native_grid="off")
    qc = gather_evidence(noisy[0][:1], result).qc()
    assert qc["method"] == "nlm"
    assert qc["snr_range"] is None
    assert qc["uncertainty_median"] > 0
    assert qc["noise_trusted"] is True, "the spectrum is judged of networks alone"


def test_compressed_sensing_marks_the_noise_level_as_untrusted(lumbar: Volume) -> None:
    scan = engine.simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=12, seed=1).volume
    result = engine.denoise(scan, native_grid="off")
    made = gather_evidence(scan, result)
    assert made.structure.coloured
    qc = made.qc()
    assert not qc["noise_trusted"]
    assert any("not to be trusted" in w or "untrusted" in w for w in made.warnings)


def test_a_coloured_remainder_is_told_where_the_estimate_did_not_see_it(lumbar: Volume) -> None:
    scan = engine.simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=12, seed=1).volume
    given = engine.denoise(scan, noise=engine.denoise(scan).sigma, native_grid="off")
    assert given.sigma_trusted, "a level that was given is taken at its word"
    made = gather_evidence(scan, given)
    assert any("untrusted" in warning for warning in made.warnings)
    assert not made.qc()["noise_trusted"]
    judged = made.judged(given.record())
    assert judged["sigma_trusted"] is False
    assert judged["warnings"] == list(made.warnings)
    assert judged["sigma"] == given.sigma


def test_noise_outside_the_training_range_is_told(lumbar: Volume) -> None:
    body = body_mask(lumbar)
    sigma = float(lumbar[body].mean()) / 2.6
    rng = np.random.default_rng(8)
    real, imaginary = rng.standard_normal((2, *lumbar.shape), dtype=np.float32) * sigma
    noisy = np.hypot(lumbar + real, imaginary)
    result = engine.denoise(noisy, noise=float(noisy[body_mask(noisy)].mean()) / 2.6)
    made = gather_evidence(noisy, result)
    assert made.qc()["in_range"] is False
    assert any("trained for" in warning for warning in made.warnings)


def test_the_record_has_fixed_keys_and_plain_values(evidence: Evidence) -> None:
    qc = evidence.qc()
    assert list(qc) == list(QC_KEYS)
    assert json.loads(json.dumps(qc, allow_nan=False)) == qc
    assert qc["structure_passed"] is True
    assert qc["snr_range"] == [3.0, 40.0]


def test_a_result_of_another_volume_is_refused(result: engine.DenoiseResult) -> None:
    with pytest.raises(UnusableVolumeError, match="not made from this volume"):
        gather_evidence(np.ones((1, 40, 40)) + np.eye(40), result)


def test_a_result_of_other_weights_is_refused(noisy: Noisy, result: engine.DenoiseResult) -> None:
    with pytest.raises(engine.ModelError, match="weights of “ddlr” are not those"):
        gather_evidence(noisy[0], replace(result, weights_sha256="0" * 64))


def test_the_memory_ceiling_holds_for_evidence_too(
    noisy: Noisy, result: engine.DenoiseResult
) -> None:
    with pytest.raises(engine.BackendError, match="memory ceiling"):
        gather_evidence(noisy[0], result, memory_limit=10 * 2**20)


def test_evidence_is_saved_whole(evidence: Evidence, tmp_path: Path) -> None:
    folder = tmp_path / "case" / "evidence"
    evidence.save(folder)
    assert json.loads((folder / "qc.json").read_text()) == evidence.qc()
    for name in ("removed", "uncertainty", "flagged", "noise_map"):
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy"), getattr(evidence, name))
    pictures = sorted(p.name for p in (folder / "pictures").iterdir())
    assert pictures == ["slice-001.png"]
    with Image.open(folder / "pictures" / "slice-001.png") as picture:
        colours = np.asarray(picture)
    # 128 pixels a side are shown threefold; what was removed is grey, no more than its noise.
    grey = colours[:384, :384]
    assert np.ptp(grey.astype(int), axis=-1).max() == 0
    assert abs(float(grey.mean()) - 127.5) < 3
    assert list(folder.parent.iterdir()) == [folder], "nothing partial is left"


def test_a_folder_with_something_in_it_is_not_touched(evidence: Evidence, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnusableVolumeError, match="already holds something"):
        evidence.save(folder)
    assert [p.name for p in folder.iterdir()] == ["letter.txt"]
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written_leaves_nothing(evidence: Evidence, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnusableVolumeError, match="cannot be written"):
        evidence.save(tmp_path / "file" / "evidence")
    assert sorted(tmp_path.iterdir()) == before


def test_memory_grows_by_the_maps_alone(noisy: Noisy) -> None:
    """Beyond the maps that are handed over, more slices need no more memory."""

    def beyond_the_maps(slices: int) -> int:
        volume = np.concatenate([noisy[0]] * slices)
        result = engine.denoise(volume, noise=7.0, model="wavelet", native_grid="off")
        tracemalloc.start()
        made = gather_evidence(volume, result)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        maps = (made.removed, made.uncertainty, made.flagged, made.noise_map)
        return peak - sum(m.nbytes for m in maps)

    # The body's mask is found on the whole volume: a few planes more a slice, never the network's.
    plane = noisy[0][0].nbytes
    assert beyond_the_maps(8) - beyond_the_maps(2) < 6 * 8 * plane
