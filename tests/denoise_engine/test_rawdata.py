"""Raw-data files come in as samples on their grid, placed in the patient, without the patient."""

from __future__ import annotations

import json
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from denoise_engine.rawdata import Placement, place, read_raw
from denoise_engine.rawdata.placing import Slab
from tests.denoise_engine.kspace_files import (
    acquisition,
    header,
    lines_of,
    phantom_kspace,
    to_images,
    to_kspace,
    write_file,
    write_scan,
)

SHARED = Path(__file__).parents[3] / "shared" / "data" / "kspace"


def test_a_fully_sampled_scan_comes_in_sample_by_sample_with_its_noise(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace()
    raw = read_raw(write_scan(tmp_path / "scan.h5", kspace, noise_sd=0.5))
    assert raw.kspace.shape == kspace.shape
    assert raw.is_fully_sampled
    assert np.std(raw.kspace - kspace) == pytest.approx(0.5, rel=0.02)
    assert raw.noise is not None
    assert np.std(raw.noise) == pytest.approx(0.5, rel=0.1)
    assert raw.acquired == {
        "MagneticFieldStrength": 2.89,
        "RepetitionTime": 500.0,
        "FlipAngle": 70.0,
        "EchoTime": 12.5,
        "Manufacturer": "SIEMENS",
        "PatientPosition": "HFS",
        "MRAcquisitionType": "2D",
        "Coils": 4,
    }
    assert raw.warnings == []


def test_nothing_that_tells_who_was_scanned_is_carried(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace()
    raw = read_raw(write_scan(tmp_path / "Doe_Jane.h5", kspace))
    said = json.dumps([raw.acquired, raw.warnings, raw.placement.as_json()])
    for word in ("Doe", "DOE", "HN-4711", "1970", "2024", "Elsewhere", "123000000", "10:11"):
        assert word not in said


def test_noise_is_scaled_from_the_bandwidth_of_its_scan_to_that_of_the_images(
    tmp_path: Path,
) -> None:
    kspace, _images = phantom_kspace(slices=1)
    rng = np.random.default_rng(1)
    adjust = rng.standard_normal((4, 1024)) + 1j * rng.standard_normal((4, 1024))
    flags = (ismrmrd.ACQ_IS_NOISE_MEASUREMENT,)
    noise = acquisition(adjust, flags=flags, sample_time_us=20.0)  # a quarter of the bandwidth
    other = acquisition(adjust[:2], flags=flags)
    raw = read_raw(write_file(tmp_path / "a.h5", header(64, 64), [other, noise, *lines_of(kspace)]))
    assert raw.noise is not None
    assert np.std(raw.noise) == pytest.approx(2 * np.std(adjust), rel=1e-3)


def test_averages_are_averaged_and_reversed_readouts_turned_round(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace(slices=1)
    off = np.float32(0.25)
    backwards = [
        acquisition(
            kspace[0, :, row, ::-1] - off,
            flags=(ismrmrd.ACQ_IS_REVERSE,),
            kspace_encode_step_1=row,
            average=1,
        )
        for row in range(64)
    ]
    xml = header(64, 64)
    raw = read_raw(write_file(tmp_path / "a.h5", xml, [*lines_of(kspace + off), *backwards]))
    np.testing.assert_allclose(raw.kspace, kspace, rtol=1e-4, atol=1e-3)
    assert raw.acquired["NumberOfAverages"] == 2


def test_oversampling_of_readout_and_phase_is_taken_off_the_image(tmp_path: Path) -> None:
    _kspace, images = phantom_kspace(slices=1, size=64)
    wide = np.zeros((1, 4, 96, 128), dtype=np.complex64)
    wide[:, :, 16:80, 32:96] = images[:, None] * np.arange(1, 5)[:, None, None]
    path = tmp_path / "a.h5"
    changed = {"rx": 64, "ry": 64, "rfx": 128.0, "rfy": 128.0}
    write_file(path, header(96, 128, **changed), lines_of(to_kspace(wide)))
    raw = read_raw(path)
    assert raw.matrix == (96, 64)  # the readout's is gone; the phase's unfolds with the rest
    first = place(to_images(raw.kspace)[:, 0], raw.placement)
    np.testing.assert_allclose(np.abs(first.volume), images, atol=0.01)
    assert (first.row_spacing, first.column_spacing) == (2.0, 2.0)


def test_partial_fourier_and_an_asymmetric_echo_lie_about_their_centre(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace(slices=1)
    lines = list(range(20, 64))  # the centre is the 12th line that was measured
    short = [
        acquisition(
            kspace[0, :, row, 16:], kspace_encode_step_1=row - 20, slice=0, center_sample=16
        )
        for row in lines
    ]
    raw = read_raw(write_file(tmp_path / "a.h5", header(64, 64, cy=12), short))
    assert raw.mask[:, 0].nonzero()[0].tolist() == lines
    np.testing.assert_allclose(
        raw.kspace[0][:, 20:, 16:], kspace[0][:, 20:, 16:], rtol=1e-4, atol=1e-3
    )
    assert np.abs(raw.kspace[0][:, 20:, :16]).max() < 1e-4
    assert "asymmetric" in " ".join(raw.warnings)


def test_undersampled_lines_their_embedded_centre_and_other_scans_are_told_apart(
    tmp_path: Path,
) -> None:
    kspace, _images = phantom_kspace()
    regular, centre = list(range(0, 64, 4)), list(range(22, 42))
    both = [row for row in centre if row in regular]
    embedded = [row for row in centre if row not in regular]
    calibration = (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,)
    shared = (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,)
    dummy = (ismrmrd.ACQ_IS_DUMMYSCAN_DATA,)
    scan = [
        *lines_of(kspace + 50, [0], flags=dummy),
        *lines_of(kspace, [row for row in regular if row not in both]),
        *lines_of(kspace, both, flags=shared),
        *lines_of(kspace, embedded, flags=calibration),
    ]
    raw = read_raw(write_file(tmp_path / "a.h5", header(64, 64), scan))
    assert raw.mask[:, 5].nonzero()[0].tolist() == sorted({*regular, *centre})
    np.testing.assert_allclose(raw.kspace[:, :, centre], kspace[:, :, centre], rtol=1e-4, atol=1e-3)
    apart = header(
        64,
        64,
        parallel="<parallelImaging><calibrationMode>separate</calibrationMode></parallelImaging>",
    )
    only = [*lines_of(kspace, regular), *lines_of(2 * kspace, centre, flags=calibration)]
    raw = read_raw(write_file(tmp_path / "b.h5", apart, only))
    assert raw.mask[:, 5].nonzero()[0].tolist() == regular
    assert raw.calibration is not None
    np.testing.assert_allclose(raw.calibration, 2 * kspace[:, :, centre], rtol=1e-4, atol=1e-3)
    assert raw.acceleration == pytest.approx(4)


def test_a_3d_scan_is_reconstructed_across_its_readout(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    volume = rng.random((1, 8, 40, 48)).astype(np.float32)  # coil, partition, phase, readout
    kspace = to_kspace(volume, axes=(1, 2, 3))
    scan = [
        acquisition(
            kspace[:, z, y], kspace_encode_step_1=y, kspace_encode_step_2=z, position=(5, 6, 7)
        )
        for z in range(8)
        for y in range(40)
    ]
    raw = read_raw(write_file(tmp_path / "a.h5", header(40, 48, 8), scan))
    assert raw.kspace.shape == (48, 1, 40, 8)
    placed = place(to_images(raw.kspace)[:, 0], raw.placement)
    np.testing.assert_allclose(np.abs(placed.volume), volume[0], rtol=1e-4, atol=1e-3)
    assert placed.positions[4] == pytest.approx((5 - 48, 6 - 40, 7))  # the middle partition
    assert placed.slice_spacing == pytest.approx(4.0)


def test_coils_that_memory_does_not_allow_are_compressed_and_it_is_said(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace(slices=1, coils=16)
    path = write_scan(tmp_path / "a.h5", kspace, noise_sd=0.05)
    raw = read_raw(path, memory_limit=10 * 64 * 64 * 8 * 2)
    assert raw.kspace.shape == (1, 10, 64, 64)
    assert "16 coils were compressed to 10" in raw.warnings[0]
    # Units are those of the noise: the whitened components have an SD of 1 each.
    assert raw.noise is not None
    assert np.std(raw.noise, axis=1) == pytest.approx(np.ones(10), rel=0.1)


@pytest.mark.parametrize(
    ("read", "phase", "normal", "orientation"),
    [
        ((0, 1, 0), (1, 0, 0), (0, 0, -1), (1, 0, 0, 0, 1, 0)),  # axial, readout down the image
        ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 0, 0, 0, -1)),  # sagittal, head down
        ((-1, 0, 0), (0, 0, -1), (0, 1, 0), (1, 0, 0, 0, 0, -1)),  # coronal, mirrored
    ],
)
def test_every_voxel_keeps_its_place_when_the_image_is_turned_as_radiologists_look_at_it(
    read: tuple, phase: tuple, normal: tuple, orientation: tuple
) -> None:
    planes = np.arange(2 * 6 * 8, dtype=np.float32).reshape(2, 6, 8)
    slabs = tuple(
        Slab(tuple(10.0 * k * np.asarray(normal)), read, phase, normal)  # type: ignore[arg-type]
        for k in range(2)
    )
    placement = Placement(False, slabs, (16.0, 18.0, 5.0), (16.0, 18.0, 5.0), (8, 6, 1), 5.0)
    placed = place(planes, placement)
    assert placed.orientation == pytest.approx(orientation)
    where = {}
    assert len(placed.volume) == 2
    for image, origin in zip(placed.volume, placed.positions, strict=True):
        for row, column in np.ndindex(image.shape):
            point = (
                np.asarray(origin)
                + column * placed.column_spacing * np.asarray(placed.orientation[:3])
                + row * placed.row_spacing * np.asarray(placed.orientation[3:])
            )
            where[image[row, column]] = point
    for k, row, column in np.ndindex(planes.shape):
        expected = (
            10.0 * k * np.asarray(normal)
            + (column - 4) * 2.0 * np.asarray(read)
            + (row - 3) * 3.0 * np.asarray(phase)
        )
        np.testing.assert_allclose(where[planes[k, row, column]], expected, atol=1e-5)


def test_an_archive_comes_in_with_its_mask_and_its_place(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace()
    mask = np.zeros(64, dtype=bool)
    mask[::3] = mask[24:40] = True
    np.savez(
        tmp_path / "a.npz",
        kspace=kspace * mask[:, None],
        mask=mask,
        spacing_mm=[1.5, 1.25, 4.0],
        position_mm=[[0, 0, 0], [0, 0, 4.0]],
        orientation=[1, 0, 0, 0, 1, 0],
        echo_time_ms=30.0,
        body=np.zeros(3),
    )
    raw = read_raw(tmp_path / "a.npz")
    assert raw.mask.shape == (64, 64)
    assert (raw.mask == mask[:, None]).all()
    assert raw.acquired == {"Coils": 4, "EchoTime": 30.0}
    placed = place(np.abs(to_images(raw.kspace)[:, 0]), raw.placement)
    assert (placed.row_spacing, placed.column_spacing) == (1.5, 1.25)
    assert placed.positions[1] == pytest.approx((-32 * 1.25, -32 * 1.5, 4.0))
    assert raw.warnings == []


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the reference data are not beside the checkout")
def test_the_real_slices_come_in() -> None:
    raw = read_raw(SHARED / "brain-gre-3t-16ch.npz")
    assert raw.kspace.shape == (1, 16, 128, 128)
    assert raw.is_fully_sampled
    assert "Measure no length" in raw.warnings[0]
    sparse = read_raw(SHARED / "brain-cs-8ch-undersampled.npz")
    assert sparse.acceleration == pytest.approx(1 / 0.124, rel=0.01)
