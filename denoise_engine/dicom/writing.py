"""A derived series on disk: whole or not at all."""

import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import ArrayLike
from pydicom.filewriter import dcmwrite

from denoise_engine.dicom.derived import derived_datasets
from denoise_engine.dicom.reading import DicomSeries
from denoise_engine.errors import DicomError


def write_derived(
    series: DicomSeries,
    volume: ArrayLike,
    record: Mapping[str, Any],
    folder: str | os.PathLike[str],
) -> list[Path]:
    """Write a derived series into a new folder: 0001.dcm and so on, one file for each source file.

    The files are written into a hidden folder beside the target, which gets its name when all of
    them are there.

    Parameters
    ----------
    series : DicomSeries
        What the volume was made from, as `read_series` returned it.
    volume : array_like
        (slices, rows, columns), in the values of ``series.volume``.
    record : mapping
        How it was made, as `DenoiseResult.record()` returns it.
    folder : path
        Must not exist yet; the folder around it must.

    Returns
    -------
    list of Path
        The files, in the order of ``series.sources``.

    Raises
    ------
    DicomError
        The folder exists already or cannot be written (a full disk, no permission); the volume
        does not fit the series. Nothing is left behind.
    """
    target = Path(folder)
    if target.exists() or target.is_symlink():
        raise DicomError(f"“{target}” exists already: give the derived series a new folder.")
    if not target.absolute().parent.is_dir():
        raise DicomError(f"“{target.absolute().parent}” is no folder to write into.")
    datasets = derived_datasets(series.sources, volume, record)
    partial = target.absolute().with_name(f".{target.name}.partial-{uuid4().hex[:8]}")
    names = [f"{number + 1:04d}.dcm" for number in range(len(datasets))]
    try:
        partial.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote header values
            for name, dataset in zip(names, datasets, strict=True):
                dcmwrite(partial / name, dataset, enforce_file_format=True)
        partial.rename(target)
    except OSError as error:
        raise DicomError(f"“{target}” cannot be written: {error.strerror}.") from None
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise DicomError(
            f"A source header holds a value that cannot be written ({type(error).__name__}); "
            f"nothing was written to “{target}”."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [target / name for name in names]
