"""Volumes in files: DICOM series, NIfTI and npy, as slices × rows × columns."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import UnusableVolumeError

if TYPE_CHECKING:
    from denoise_engine.dicom import DicomSeries

_KINDS = (".npy", ".nii.gz", ".nii")


@dataclass(frozen=True)
class Image:
    """A volume and what is needed to write one like it.

    Attributes
    ----------
    volume : ndarray
        (slices, rows, columns).
    path : Path
        The file or folder that was read.
    acquired : tuple of int or None
        Acquired rows and columns, if a DICOM header tells.
    caveats : tuple of str
        What the header tells that a user of the result must know.
    nifti, series
        Where the volume came from, if from NIfTI or DICOM.
    """

    volume: NDArray[Any]
    path: Path
    acquired: tuple[int, int] | None = None
    caveats: tuple[str, ...] = ()
    nifti: Any = None
    series: "DicomSeries | None" = None


def read_image(path: Path) -> Image:
    """Read a DICOM folder or file, a NIfTI file or an npy file.

    The last axis of a NIfTI file is taken as the slice axis.

    Raises
    ------
    UnusableVolumeError
        The file is missing, damaged, or not one of these.
    DicomError
        The DICOM files are no series that can be processed.
    """
    if not path.exists():
        raise UnusableVolumeError(f"“{path}” does not exist.")
    if path.is_dir() or not path.name.endswith(_KINDS):
        return _read_dicom(path)
    try:
        if path.suffix == ".npy":
            return Image(_without_colour(_load_npy(path), path), path)
        return _read_nifti(path)
    except UnusableVolumeError:
        raise
    except Exception as error:  # whatever a damaged file makes its reader raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it is damaged"
        raise UnusableVolumeError(f"“{path.name}” cannot be read: {reason}.") from error


def _load_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        if file.read(6) != np.lib.format.MAGIC_PREFIX:
            raise UnusableVolumeError(f"“{path.name}” is no npy file, whatever its name says.")
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, TokenError) as error:  # cut short, a broken header, or Python objects
        raise UnusableVolumeError(
            f"“{path.name}” is damaged, or holds something other than numbers; save the volume "
            "again with numpy.save."
        ) from error


def _read_dicom(path: Path) -> Image:
    from denoise_engine.dicom import read_series

    series = read_series(path)
    caveats = () if series.vendor_denoised is None else (series.vendor_denoised,)
    return Image(series.volume, path, series.acquired, caveats, series=series)


def _read_nifti(path: Path) -> Image:
    import nibabel

    stored: Any = nibabel.load(path)
    if stored.get_data_dtype().names is not None or len(stored.shape) > 4:
        raise UnusableVolumeError(f"“{path.name}” is a colour image; these are not accepted.")
    if len(stored.shape) == 4 and stored.shape[3] > 1:
        raise UnusableVolumeError(
            f"“{path.name}” holds {stored.shape[3]} volumes; give one volume at a time."
        )
    return Image(
        np.moveaxis(np.asarray(stored.dataobj).reshape(stored.shape[:3]), -1, 0),
        path,
        nifti=stored,
    )


def _without_colour(volume: NDArray[Any], path: Path) -> NDArray[Any]:
    if volume.ndim >= 3 and volume.shape[-1] in (3, 4):
        raise UnusableVolumeError(f"“{path.name}” is a colour image; these are not accepted.")
    return volume


def check_target(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Refuse a place that the result could not be written to, before anything is computed.

    ``overwrite`` lets a file that exists be replaced, but never the images themselves, and no
    DICOM folder.

    Raises
    ------
    UnusableVolumeError
    """
    if image.series is not None and path.suffix != ".npy":
        if path.name.endswith(_KINDS):
            raise UnusableVolumeError(
                f"“{path.name}”: a DICOM series is written as a DICOM series; name a new folder."
            )
        if path.exists():
            raise UnusableVolumeError(
                f"“{path}” exists already; name a new folder for the derived series."
            )
    elif not path.name.endswith(_KINDS):
        raise UnusableVolumeError(f"“{path.name}” must end in {', '.join(_KINDS)}.")
    check_free(path, image, overwrite=overwrite)
    if not path.absolute().parent.is_dir():
        raise UnusableVolumeError(f"“{path.absolute().parent}” is no folder to write into.")


def check_free(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Refuse to replace the images that were read, or without ``overwrite`` any other file.

    Raises
    ------
    UnusableVolumeError
    """
    if not path.exists():
        return
    if path.samefile(image.path):
        raise UnusableVolumeError(
            f"“{path}” holds the images that are read; name another file for the result."
        )
    if not overwrite:
        raise UnusableVolumeError(
            f"“{path}” exists already; name another file, or give --overwrite to replace it."
        )


def write_image(
    path: Path,
    volume: NDArray[np.float32],
    like: Image,
    record: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> None:
    """Write a volume as what it was made from: a derived DICOM series, or a file.

    Whole or not at all.

    Parameters
    ----------
    path : Path
        A new folder for a DICOM series; else a file.
    volume : ndarray of float32
        (slices, rows, columns).
    like : Image
        What it was made from.
    record : mapping
        How it was made; goes into the DICOM headers.
    overwrite : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    UnusableVolumeError, DicomError
        It cannot be written: the disk is full, the place is wrong.
    """
    check_target(path, like, overwrite=overwrite)
    if like.series is not None and not path.name.endswith(_KINDS):
        from denoise_engine.dicom import write_derived

        write_derived(like.series, volume, record, path)
        return
    write_volume(path, volume, like.nifti)


def write_volume(path: Path, volume: NDArray[np.float32], template: Any = None) -> None:
    """Write a float32 volume as npy or NIfTI, wholly or not at all.

    Parameters
    ----------
    path : Path
        Ends in .npy, .nii or .nii.gz.
    volume : ndarray of float32
        (slices, rows, columns).
    template : nibabel image, optional
        Whose geometry a NIfTI file takes over.

    Raises
    ------
    UnusableVolumeError
    """
    write_volumes([(path, volume)], template)


def write_volumes(
    volumes: Sequence[tuple[Path, NDArray[np.float32]]], template: Any = None
) -> None:
    """Write float32 volumes that belong together: all of them, or none.

    Each is written beside its place first. Files that exist are replaced when all are whole, and
    come back if one of them cannot be put in its place.

    Parameters
    ----------
    volumes : sequence of (Path, ndarray of float32)
        Different paths that end in .npy, .nii or .nii.gz; (slices, rows, columns).
    template : nibabel image, optional
        Whose geometry the NIfTI files take over: ``affine``, and ``header`` where it is not None.

    Raises
    ------
    UnusableVolumeError
    """
    for path, _ in volumes:
        if not path.name.endswith(_KINDS):
            raise UnusableVolumeError(f"“{path.name}” must end in {', '.join(_KINDS)}.")
    moves = [(path.with_name(f".partial-{os.getpid()}-{path.name}"), path) for path, _ in volumes]
    place = None
    try:
        for (partial, place), (_, volume) in zip(moves, volumes, strict=True):
            if place.suffix == ".npy":
                np.save(partial, volume)
            else:
                _save_nifti(partial, volume, template)
        _put_in_place(moves)
    except OSError as error:
        # numpy tells of a full disk without an error number.
        reason = error.strerror or "the disk is full"
        raise UnusableVolumeError(
            f"“{error.filename2 or place}” cannot be written: {reason}."
        ) from error
    finally:
        for partial, _ in moves:
            partial.unlink(missing_ok=True)


def _put_in_place(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename all, or none: a file that was there waits beside its place for those that follow."""
    (partial, path), *others = moves
    if not others:
        os.replace(partial, path)
        return
    former = path.with_name(f".former-{os.getpid()}-{path.name}")
    existed = path.exists()
    if existed:
        os.replace(path, former)
    try:
        os.replace(partial, path)
        _put_in_place(others)
    except BaseException:
        if existed:
            os.replace(former, path)
        else:
            path.unlink(missing_ok=True)
        raise
    former.unlink(missing_ok=True)


def _save_nifti(path: Path, volume: NDArray[np.float32], template: Any) -> None:
    import nibabel

    affine = np.eye(4) if template is None else template.affine
    header = None if template is None or template.header is None else template.header.copy()
    image = nibabel.Nifti1Image(np.moveaxis(volume, 0, -1), affine, header)
    if template is not None and template.header is None:
        image.header.set_xyzt_units("mm")
    image.set_data_dtype(np.float32)
    nibabel.save(image, path)
