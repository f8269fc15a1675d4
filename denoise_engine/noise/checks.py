"""What every part of the engine asks of a volume before it touches it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denoise_engine.errors import UnusableVolumeError


def checked_volume(volume: ArrayLike) -> NDArray[np.float32]:
    """Return the volume as contiguous float32, or say why it cannot be processed.

    Raises
    ------
    UnusableVolumeError
    """
    raw = np.asarray(volume)
    if raw.ndim == 2:
        raise UnusableVolumeError(
            "A volume must be slices × rows × columns; give a single image as one slice "
            "(1 × rows × columns)."
        )
    if raw.ndim != 3:
        raise UnusableVolumeError(
            f"A volume must be slices × rows × columns; this one has {raw.ndim} dimension(s). "
            "Colour images are not accepted."
        )
    if not (np.issubdtype(raw.dtype, np.floating) or np.issubdtype(raw.dtype, np.integer)):
        raise UnusableVolumeError(f"Pixels must be real numbers; these are of type {raw.dtype}.")
    if raw.shape[0] < 1 or min(raw.shape[1:]) < 16:
        raise UnusableVolumeError(
            f"Slices must measure at least 16 × 16 pixels; this volume is {raw.shape}."
        )
    image = np.ascontiguousarray(raw, dtype=np.float32)
    broken = int(np.count_nonzero(~np.isfinite(image)))
    if broken:
        raise UnusableVolumeError(
            f"The volume holds {broken} pixel(s) that are not a number or infinite."
        )
    if float(image.max()) == float(image.min()):
        raise UnusableVolumeError("All pixels have the same value: there is no image.")
    return image


# A few: resampling overshoots beside sharp edges. More: no magnitude image.
_NEGATIVE_SHARE = 0.001


def magnitude_warnings(image: NDArray[np.float32]) -> list[str]:
    """Warn where a volume cannot be magnitude data, which the whole engine takes it for.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns).
    """
    share = float(np.count_nonzero(image < 0)) / image.size
    if share <= _NEGATIVE_SHARE:
        return []
    return [
        f"{100 * share:.1f} % of the pixels are negative: this is no magnitude image, as phase, "
        "real and subtracted images are not. The noise level and the body are read as if it were."
    ]
