"""A reconstructed series on disk: whole or not at all."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from pydicom.filewriter import dcmwrite
from pydicom.uid import generate_uid

from denoise_engine.dicom.reconstructed import Identity, reconstructed_datasets
from denoise_engine.errors import DicomError
from denoise_engine.rawdata.reconstructing import RawReconstruction


def write_reconstructed(
    folder: str | os.PathLike[str], result: RawReconstruction, *, patient: str = "ANONYMOUS"
) -> list[Path]:
    """Write a series into a new folder: 0001.dcm and so on, in anatomical order.

    Parameters
    ----------
    folder : path
        Must not exist yet; the folder around it must.
    result : RawReconstruction
    patient : str
        A study code, never a name.

    Raises
    ------
    DicomError
        The folder exists already or cannot be written. Nothing is left behind.
    """
    target = Path(folder)
    if target.exists() or target.is_symlink():
        raise DicomError(f"“{target}” exists already: give the series a new folder.")
    if not target.absolute().parent.is_dir():
        raise DicomError(f"“{target.absolute().parent}” is no folder to write into.")
    identity = Identity(patient, generate_uid(prefix=None), generate_uid(prefix=None))
    datasets = reconstructed_datasets(result.placed, result.record, result.acquired, identity)
    partial = target.absolute().with_name(f".{target.name}.partial-{uuid4().hex[:8]}")
    names = [f"{number + 1:04d}.dcm" for number in range(len(datasets))]
    try:
        partial.mkdir()
        for name, dataset in zip(names, datasets, strict=True):
            dcmwrite(partial / name, dataset, enforce_file_format=True)
        partial.rename(target)
    except OSError as error:
        raise DicomError(f"“{target}” cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [target / name for name in names]
