"""Volumes in files: NIfTI and npy, as slices × rows × columns."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import UnusableVolumeError


def read_volume(path: Path) -> tuple[NDArray[Any], Any]:
    """Read a volume and, for NIfTI, what is needed to write one like it.

    The last axis of a NIfTI file is taken as the slice axis.

    Returns
    -------
    volume : ndarray
        (slices, rows, columns).
    template : nibabel image or None
    """
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False), None
        if path.name.endswith((".nii", ".nii.gz")):
            import nibabel

            image: Any = nibabel.load(path)
            return np.moveaxis(np.asarray(image.dataobj), -1, 0), image
    except Exception as error:
        raise UnusableVolumeError(f"“{path.name}” cannot be read: {error}.") from error
    raise UnusableVolumeError(f"“{path.name}” is neither .npy, .nii nor .nii.gz.")


def write_volume(path: Path, volume: NDArray[np.float32], template: Any) -> None:
    """Write a float32 volume, wholly or not at all."""
    kinds = (".npy", ".nii.gz", ".nii")
    suffix = next((kind for kind in kinds if path.name.endswith(kind)), None)
    if suffix is None:
        raise UnusableVolumeError(f"“{path.name}” must end in {', '.join(kinds)}.")
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        if suffix == ".npy":
            np.save(partial, volume)
        else:
            import nibabel

            affine = np.eye(4) if template is None else template.affine
            image = nibabel.Nifti1Image(np.moveaxis(volume, 0, -1), affine)
            image.set_data_dtype(np.float32)
            nibabel.save(image, partial)
        os.replace(partial, path)
    except OSError as error:
        raise UnusableVolumeError(f"“{path}” cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
