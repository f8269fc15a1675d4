"""T1-weighted heads synthesised from maps of anatomical labels.

Each label gets an intensity around that of its tissue, each voxel a little texture; borders are
blurred by half a voxel, as partial volume, and a smooth field stands for the coil's sensitivity.
The labels are known, so segmentations can be judged against them.

References
----------
Billot B, et al. SynthSeg: segmentation of brain MRI scans of any contrast and resolution without
retraining. Med Image Anal 2023;86:102789 (the label maps, and the idea).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.transfer.forward import Tissues

Floats = NDArray[np.float32]
Labels = NDArray[np.int16]

# FreeSurfer's numbers, left and right; those above 500 are SAMSEG's outside the brain.
WHITE = (2, 41, 7, 46, 16, 28, 60, 85, 77)
GREY = (3, 42, 8, 47, 10, 49, 11, 50, 12, 51, 13, 52, 17, 53, 18, 54, 26, 58)
CSF = (4, 43, 5, 44, 14, 15, 24, 72)

_UNIT = 100.0
# Mean intensity in T1, white matter 1, of tissues and of what lies around the brain.
_T1: dict[tuple[int, ...], float] = {
    WHITE: 1.0,
    (3, 42, 8, 47, 17, 53, 18, 54, 26, 58): 0.70,  # cortex, hippocampus, amygdala, accumbens
    (10, 49): 0.84,  # thalamus
    (11, 50, 12, 51): 0.76,  # caudate, putamen
    (13, 52): 0.92,  # pallidum
    CSF: 0.25,
    (30, 62, 502, 514): 0.45,  # vessels
    (506,): 0.2,  # vitreous body
    (507,): 0.8,  # muscle and fat
    (508,): 0.6,  # muscles of the eye
    (509,): 0.55,  # mucosa
    (511,): 0.75,  # skin
    (512,): 0.9,  # spinal cord
    (515,): 0.1,  # cortical bone
    (516,): 0.85,  # marrow
    (530,): 0.8,  # optic nerves
}
_OTHER = 0.5


def synthesise(labels: Labels, rng: np.random.Generator) -> tuple[Floats, Tissues]:
    """Return a T1-weighted head of a label map, and the means of its tissues.

    Parameters
    ----------
    labels : ndarray of int
        (slices, rows, columns); 0 is air.
    rng : numpy Generator
        Contrast, texture and sensitivity.

    Returns
    -------
    volume : ndarray of float32
        Same shape, white matter about 100.
    tissues : Tissues
    """
    means = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    means[1:] = _OTHER
    for numbers, mean in _T1.items():
        drawn = mean * (1 + 0.06 * rng.standard_normal()) if mean < 1 else mean
        means[[n for n in numbers if n < len(means)]] = drawn
    means[0] = 0
    spread = np.where(np.arange(len(means)) > 500, 0.12, 0.04).astype(np.float32) * means
    texture = rng.standard_normal(labels.shape, dtype=np.float32)
    texture = 3 * ndimage.gaussian_filter(texture, 0.9)
    volume = means[labels] + spread[labels] * texture
    volume = ndimage.gaussian_filter(volume, 0.5)
    volume *= _sensitivity(labels.shape, rng)
    volume = np.maximum(volume, 0) * np.float32(_UNIT)
    grey, white = tissue_masks(labels)[:2]
    return volume, Tissues(float(volume[grey].mean()), float(volume[white].mean()))


def tissue_masks(labels: Labels) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where grey matter, white matter and CSF are."""
    return np.isin(labels, GREY), np.isin(labels, WHITE), np.isin(labels, CSF)


def _sensitivity(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    coarse = 1 + 0.08 * rng.standard_normal((4, 4, 4))
    factors = [n / 4 for n in shape]
    field: Floats = ndimage.zoom(coarse.astype(np.float32), factors, order=1, grid_mode=False)
    return field[: shape[0], : shape[1], : shape[2]]
