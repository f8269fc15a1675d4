"""Interpolation by the scanner is seen in k-space, undone without loss, and not imagined."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine import UnusableVolumeError
from denoise_engine.metrics import body_mask, psnr
from denoise_engine.models import find_model, load_model
from denoise_engine.noise import (
    NativeGrid,
    estimate_noise,
    find_native_grid,
    from_native,
    to_native,
)

Volume = NDArray[np.float32]
Spectrum = NDArray[np.complex128]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ROWS, COLUMNS = 192, 144


@pytest.fixture(scope="module")
def anatomy() -> Volume:
    """Two lumbar slices on a coarser grid than they were acquired on: their k-space is full."""
    folder = Path(__file__).parents[2] / "readerstudy" / "demo" / "data" / "lumbar"
    with np.load(folder / "V04.npz") as stored:
        series = stored["volume"][2:4].astype(np.float32)
    grid = NativeGrid(*series.shape[1:], ROWS, COLUMNS, "header")
    return np.maximum(to_native(series, grid), 0)


def smooth_phantom() -> Volume:
    """Tissue with soft shading and sharp inclusions in air, 128 × 128, mean about 1000."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    image = 1000.0 * (np.hypot(x / 0.8, y / 0.9) < 1)
    for k, (cy, cx) in enumerate([(-0.5, 0.1), (-0.1, 0.2), (0.3, 0.1), (0.0, -0.4)]):
        image += (-400 + 350 * k) * (np.hypot((x - cx) / 0.2, (y - cy) / 0.12) < 1)
    return np.asarray(image * (1 + 0.15 * np.sin(5 * x) * y), dtype=np.float32)[None]


def scanned(clean: Volume, snr: float, seed: int = 1) -> NDArray[np.complex128]:
    """The complex image of a scan: a smooth phase and white noise. ``snr`` inf is noise-free."""
    rows, columns = clean.shape[1:]
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    sigma = float(clean[body_mask(clean)].mean()) / snr
    real, imaginary = sigma * np.random.default_rng(seed).standard_normal((2, *clean.shape))
    return clean * np.exp(1j * (1.5 * x * y + 0.8 * y**2 - x)) + real + 1j * imaginary


def zero_filled(image: NDArray[np.complex128], shape: tuple[int, int], edge: float = 1) -> Volume:
    """Magnitude on a larger matrix, rounded; ``edge`` is a Hamming filter's last value."""
    rows, columns = image.shape[1:]
    spectrum = np.fft.fftshift(np.fft.fft2(image), axes=(1, 2))
    for size, at in ((rows, (slice(None), None)), (columns, (None, slice(None)))):
        ramp = np.cos(np.pi * np.linspace(-1, 1, size))
        spectrum = spectrum * (((1 + edge) + (1 - edge) * ramp) / 2)[at]
    before = [shape[0] // 2 - rows // 2, shape[1] // 2 - columns // 2]
    after = [shape[0] - rows - before[0], shape[1] - columns - before[1]]
    padded = np.pad(spectrum, ((0, 0), (before[0], after[0]), (before[1], after[1])))
    larger = np.abs(np.fft.ifft2(np.fft.ifftshift(padded, axes=(1, 2))))
    return np.round(larger * (shape[0] * shape[1] / (rows * columns))).astype(np.float32)


@pytest.mark.parametrize("snr", [4.0, 10.0, 25.0])
@pytest.mark.parametrize("edge", [1.0, 0.4], ids=["unfiltered", "filtered"])
@pytest.mark.parametrize(
    "factors", [(2.0, 2.0), (1.3, 1.3), (1.5, 1.0), (1.0, 2.0)], ids=lambda f: f"{f[0]}x{f[1]}"
)
def test_zero_filling_is_found(
    anatomy: Volume, factors: tuple[float, float], edge: float, snr: float
) -> None:
    shape = (2 * round(ROWS * factors[0] / 2), 2 * round(COLUMNS * factors[1] / 2))
    grid = find_native_grid(zero_filled(scanned(anatomy, snr), shape, edge))
    assert grid.how == "empty k-space border"
    # A few lines too many keep the noise almost white; too few would lose detail.
    assert 0.93 <= grid.native_rows / ROWS <= 1.1
    assert 0.93 <= grid.native_columns / COLUMNS <= 1.1
    for factor, native, whole in (
        (factors[0], grid.native_rows, grid.rows),
        (factors[1], grid.native_columns, grid.columns),
    ):
        assert (native == whole) == (factor == 1.0)


@pytest.mark.parametrize("snr", [3.0, 10.0, 40.0])
@pytest.mark.parametrize("edge", [1.0, 0.08], ids=["unfiltered", "filtered"])
def test_a_native_image_raises_no_alarm(anatomy: Volume, edge: float, snr: float) -> None:
    image = zero_filled(scanned(anatomy, snr), (ROWS, COLUMNS), edge)
    masked = np.where(body_mask(image), image, 0)
    for volume in (image, masked):
        grid = find_native_grid(volume)
        assert grid.is_native
        assert grid.how == "native"


def test_a_header_that_names_the_acquired_matrix_is_taken_at_its_word(anatomy: Volume) -> None:
    image = zero_filled(scanned(anatomy, 10), (2 * ROWS, 2 * COLUMNS))
    grid = find_native_grid(image, acquired=(ROWS, COLUMNS))
    assert grid == NativeGrid(2 * ROWS, 2 * COLUMNS, ROWS, COLUMNS, "header")


def test_a_header_that_the_spectrum_contradicts_is_not_followed(anatomy: Volume) -> None:
    image = zero_filled(scanned(anatomy, 10), (ROWS, COLUMNS))
    assert find_native_grid(image, acquired=(ROWS // 2, COLUMNS // 2)).is_native


def test_data_beyond_the_matrix_that_the_header_names_are_kept(anatomy: Volume) -> None:
    image = zero_filled(scanned(anatomy, 10), (250, 188))
    grid = find_native_grid(image, acquired=(150, 112))
    assert grid.how == "empty k-space border"
    assert (grid.native_rows, grid.native_columns) == pytest.approx((ROWS, COLUMNS), rel=0.06)


@pytest.mark.parametrize("shape", [(188, 144), (143, 129), (97, 96), (60, 33)])
def test_the_way_to_the_larger_matrix_and_back_changes_nothing(
    anatomy: Volume, shape: tuple[int, int]
) -> None:
    native = anatomy[:, : shape[0], : shape[1]]
    for larger in ((288, 257), (190, 256)):
        grid = NativeGrid(*larger, *native.shape[1:], "header")
        filled = from_native(native, grid)
        assert filled.shape[1:] == larger
        np.testing.assert_allclose(to_native(filled, grid), native, atol=1e-3)
        assert filled.mean() == pytest.approx(native.mean(), rel=1e-5)


def test_the_level_is_right_on_the_native_grid_only() -> None:
    clean = smooth_phantom()
    sigma = float(clean[body_mask(clean)].mean()) / 8
    image = zero_filled(scanned(clean, 8), (256, 256))
    as_it_stands = estimate_noise(image)
    assert as_it_stands.confidence == "low"
    assert as_it_stands.sigma < 0.8 * sigma
    native = estimate_noise(to_native(image, find_native_grid(image)))
    assert native.confidence == "high"
    assert native.sigma == pytest.approx(sigma, rel=0.05)


def test_bicubic_interpolation_leaves_no_edge_and_is_not_trusted(anatomy: Volume) -> None:
    image = np.abs(scanned(anatomy, 10))
    for order in (1, 3):
        larger = ndimage.zoom(image, (1, 2, 2), order=order, grid_mode=True, mode="nearest")
        assert estimate_noise(larger).confidence == "low"


def gain_of_the_native_grid(clean_native: Volume, snr: float) -> float:
    """PSNR (dB) on the native grid over PSNR as it stands, both blind, 2× zero-filled.

    As it stands the level is Donoho's: the median of the finest diagonal wavelet band.
    """
    shape = (2 * clean_native.shape[1], 2 * clean_native.shape[2])
    clean = zero_filled(scanned(clean_native, np.inf), shape)
    noisy = zero_filled(scanned(clean_native, snr), shape)
    network = load_model(find_model("ddlr")).network

    def denoised(image: Volume, sigma: float) -> Volume:
        with torch.inference_mode():
            out = network(
                torch.from_numpy(image)[:, None],
                torch.full((1, 1, 1, 1), sigma),
                dtype=torch.float32,
            )
        return np.asarray(out[:, 0].numpy())

    diagonal = noisy[:, ::2, ::2] - noisy[:, 1::2, ::2] - noisy[:, ::2, 1::2] + noisy[:, 1::2, 1::2]
    wavelet_level = float(np.median(np.abs(diagonal))) / 2 / 0.6745
    grid = find_native_grid(noisy)
    native = to_native(noisy, grid)
    restored = from_native(denoised(native, estimate_noise(native).sigma), grid)
    body = body_mask(clean)
    return psnr(restored, clean, body) - psnr(denoised(noisy, wavelet_level), clean, body)


def test_denoising_on_the_native_grid_gains_six_decibels() -> None:
    assert gain_of_the_native_grid(smooth_phantom(), 5) >= 6


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data")
@pytest.mark.parametrize("snr", [5.0, 10.0])
def test_denoising_a_brain_on_its_native_grid_gains_six_decibels(snr: float) -> None:
    import nibabel

    path = SHARED / "anatomy" / "brain-pd-3t.nii.gz"
    stored = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
    assert gain_of_the_native_grid(np.moveaxis(stored, 2, 0)[27:28, :190], snr) >= 6


def test_unusable_settings_are_refused_in_words(anatomy: Volume) -> None:
    with pytest.raises(UnusableVolumeError, match="two positive numbers"):
        find_native_grid(anatomy, acquired=(0, 128))
    with pytest.raises(UnusableVolumeError, match="its grid says slices × 100 × 100"):
        to_native(anatomy, NativeGrid(100, 100, 50, 50, "header"))


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data")
@pytest.mark.parametrize(
    ("name", "acquired", "native"),
    [
        # Acquisition Matrix 269 columns of 384, 70 % of the phase lines.
        ("dicom/brain-ax-t2tse-siemens3t", None, (512, 268)),
        ("dicom/brain-ax-t2tse-siemens3t", (512, 269), (512, 269)),
        # 256 × 230 of 512 × 460, with a filter that leaves no edge of its own.
        ("dicom/brain-sag-t1gre-uih3t", (256, 230), (256, 230)),
        ("dicom/brain-ax-pdfse-ge1p5t", (256, 256), (256, 256)),
        ("dicom/brain-sag-t1memprage-siemens3t", (192, 192), (192, 192)),
        ("anatomy/brain-pd-3t.nii.gz", None, (191, 256)),
    ],
)
def test_real_series_stand_on_the_grid_their_headers_tell(
    name: str, acquired: tuple[int, int] | None, native: tuple[int, int]
) -> None:
    grid = find_native_grid(_real_slices(SHARED / name), acquired)
    assert grid.native_rows == pytest.approx(native[0], abs=6)
    assert grid.native_columns == pytest.approx(native[1], abs=6)
    assert grid.is_native == (native == (grid.rows, grid.columns))


def _real_slices(path: Path) -> Volume:
    if path.is_file():
        import nibabel

        stored = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
        return np.moveaxis(stored, 2, 0)[20:32]
    import pydicom

    files = sorted(p for p in path.iterdir() if p.is_file())
    middle = files[len(files) // 3 : len(files) // 3 + 8]
    return np.stack([pydicom.dcmread(p).pixel_array.astype(np.float32) for p in middle])
