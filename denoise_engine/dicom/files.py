"""DICOM files on disk: found, read, judged, and their pixels decoded.

Files may come from anywhere. So the encoding is read before anything else, deflated files (a few
kB of which unfold to hundreds of MB) are refused, nothing walks through a data set recursively, and
no message quotes a header.
"""

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from denoise_engine.dicom.frames import ENHANCED_MR_IMAGE, MR_IMAGE, frame_count
from denoise_engine.errors import DicomError

DICOMDIR = "1.2.840.10008.1.3.10"
MAX_FILES = 5000
MAX_FRAMES = 2000
MAX_SIDE = 4096
MAX_DEPTH = 16  # sequences within sequences; real headers have five or six

Stored = NDArray[np.int16] | NDArray[np.uint16]


def image_files(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files of a series: one file, all files under a folder, or those that are listed.

    Hidden files of a folder and the directory of a disc (DICOMDIR) are no images and left out.

    Raises
    ------
    DicomError
        Nothing is there, or too much.
    """
    if not isinstance(source, (str, os.PathLike)):
        files = [Path(item) for item in source]
        place = "The list"
    else:
        path = Path(source)
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise DicomError(f"“{path}” is neither a file nor a folder.")
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and file.name != "DICOMDIR"
        )
        place = f"The folder “{path.name}”"
    if not files:
        raise DicomError(f"{place} holds no images.")
    if len(files) > MAX_FILES:
        raise DicomError(f"{place} holds {len(files)} files; at most {MAX_FILES} are read.")
    return files


def read_image(path: Path) -> Dataset:
    """Read one file and check that it is a greyscale MR image that can be decoded here.

    Raises
    ------
    DicomError
        With the name of the file and the reason.
    """
    name = f"“{path.name}”"
    _check_encoding(path, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote header values
        try:
            dataset = dcmread(path)
            _check_kind(dataset, name)
            _check_depth(dataset, name)
        except DicomError:
            raise
        except OSError as error:
            raise _unreadable(error, name) from None
        except RecursionError:
            raise DicomError(f"{name} is nested too deeply to be read.") from None
        except Exception:  # noqa: BLE001 - what the library raises may quote the header
            raise DicomError(f"{name} is damaged or truncated: its header is unreadable.") from None
    return dataset


def _check_encoding(path: Path, name: str) -> None:
    """Judge a file by its preamble and file meta information alone."""
    try:
        with path.open("rb") as handle:
            start = handle.read(132)
        if start[128:] != b"DICM":
            raise DicomError(f"{name} is not a DICOM file.")
        meta = read_file_meta_info(path)
        syntax = UID(str(meta.get("TransferSyntaxUID") or ""))
        sop_class = str(meta.get("MediaStorageSOPClassUID") or "")
    except DicomError:
        raise
    except OSError as error:
        raise _unreadable(error, name) from None
    except Exception:  # noqa: BLE001 - see above
        raise DicomError(f"{name} is damaged or truncated: its start is unreadable.") from None
    if sop_class == DICOMDIR:
        raise DicomError(f"{name} is the directory of a disc (DICOMDIR), not an image.")
    if not syntax:
        raise DicomError(f"{name} is damaged: it does not say how it is encoded.")
    if not can_decode(syntax):
        said = syntax.name if syntax.is_transfer_syntax else "an unknown one"
        raise DicomError(f"{name} cannot be decoded: its encoding is {said}.")


def can_decode(syntax: UID) -> bool:
    """Whether pixels of this transfer syntax can be decoded by what is installed."""
    if not syntax.is_transfer_syntax or syntax == DeflatedExplicitVRLittleEndian:
        return False
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _check_kind(dataset: Dataset, name: str) -> None:
    """Refuse what is no greyscale MR image of one or more placed frames."""
    sop_class = UID(str(dataset.get("SOPClassUID") or ""))
    if sop_class not in (MR_IMAGE, ENHANCED_MR_IMAGE):
        kind = "of an unknown kind" if sop_class.name == sop_class else f"{sop_class.name}"
        raise DicomError(f"{name} is no MR image ({kind}).")
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise DicomError(
            f"{name} holds floating-point pixel data, which MR images never have. Give the "
            "images as the scanner stored them."
        )
    if "PixelData" not in dataset:
        raise DicomError(f"{name} holds no pixels.")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(f"{name} is a colour image; MR images are greyscale.")
    if photometric == "MONOCHROME1":
        raise DicomError(f"{name} stores its greys inverted (MONOCHROME1).")
    if "ModalityLUTSequence" in dataset:
        raise DicomError(f"{name} stores its values through a lookup table, which is not read.")
    if not all(1 <= int(side) <= MAX_SIDE for side in (dataset.Rows, dataset.Columns)):
        raise DicomError(f"The matrix of {name} is outside 1 to {MAX_SIDE} rows and columns.")
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise DicomError(f"The pixels of {name} are not stored in 8 or 16 bits.")
    int(dataset.PixelRepresentation)
    frames = frame_count(dataset)
    if not 1 <= frames <= MAX_FRAMES:
        raise DicomError(f"{name} has {frames} frames; 1 to {MAX_FRAMES} are read.")
    if frames > 1 and sop_class == MR_IMAGE:
        raise DicomError(f"{name} holds several frames without their positions.")
    image_type = dataset.get("ImageType") or ()
    values = [image_type] if isinstance(image_type, str) else image_type
    if "MOSAIC" in (str(value).upper() for value in values):
        raise DicomError(
            f"{name} is a mosaic: several slices tiled into one image. Export the series as "
            "single images or as enhanced MR."
        )
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        if not str(dataset.get(keyword) or "").strip():
            raise DicomError(f"{name} has no {keyword}.")


def _check_depth(dataset: Dataset, name: str) -> None:
    """Refuse sequences nested so deeply that copying them would exhaust the stack.

    Level by level and never beyond the limit: nested sequences are unfolded as they are asked for.
    """
    level = [dataset]
    for _ in range(MAX_DEPTH):
        level = [item for holder in level for item in _items(holder)]
        if not level:
            return
    raise DicomError(f"{name} is nested too deeply to be read.")


def _items(holder: Dataset) -> Iterator[Dataset]:
    """The items of all sequences of a data set."""
    for tag in list(holder.keys()):
        raw = holder.get_item(tag)
        if raw is None or raw.VR not in ("SQ", None):  # None: an implicit VR, not looked up yet
            continue
        try:
            element = holder[tag]
        except (TypeError, ValueError, NotImplementedError):
            continue  # a value that cannot be read is no sequence
        if element.VR == "SQ":
            yield from element.value or ()


def _unreadable(error: OSError, name: str) -> DicomError:
    if error.strerror is None:  # the end of the file came too early
        return DicomError(f"{name} is damaged or truncated.")
    return DicomError(f"{name} cannot be read: {error.strerror}.")


def decode(dataset: Dataset, path: Path) -> list[Stored]:
    """Every frame as (rows, columns) integers, exactly as stored.

    Raises
    ------
    DicomError
        The pixels end early or do not decode.
    """
    name = f"“{path.name}”"
    frames, shape = frame_count(dataset), (int(dataset.Rows), int(dataset.Columns))
    if not UID(dataset.file_meta.TransferSyntaxUID).is_compressed:
        needed = shape[0] * shape[1] * frames * (int(dataset.BitsAllocated) // 8)
        if len(dataset.PixelData) < needed:
            raise DicomError(f"{name} is truncated: its pixels end early.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoded = [np.asarray(frame) for frame in iter_pixels(dataset, raw=True)]
    except MemoryError:
        raise DicomError(f"There is not enough memory to decode {name}.") from None
    except Exception:  # noqa: BLE001 - a decoder raises whatever it likes
        raise DicomError(f"The pixels of {name} cannot be decoded: it is damaged.") from None
    if len(decoded) != frames or any(frame.shape != shape for frame in decoded):
        raise DicomError(f"The pixels of {name} do not have the size that its header says.")
    return [_as_16_bit(frame, dataset) for frame in decoded]


def _as_16_bit(frame: NDArray[Any], dataset: Dataset) -> Stored:
    signed = int(dataset.PixelRepresentation) == 1
    wide: NDArray[Any] = frame.astype(np.int16 if signed else np.uint16)
    spare = 16 - int(dataset.BitsStored)
    if spare and _overlay_in_pixels(dataset):
        # Old scanners kept overlay graphics in the unused high bits (PS3.5 8.1.1, retired). The
        # shift back carries the sign along.
        shifted = np.left_shift(wide.view(np.uint16), spare)
        wide = np.right_shift(shifted.view(np.int16 if signed else np.uint16), spare)
    return wide


def _overlay_in_pixels(dataset: Dataset) -> bool:
    for group in range(0x6000, 0x6020, 2):
        element = dataset.get((group, 0x0102))  # OverlayBitPosition
        try:
            if element is not None and int(element.value or 0) > 0:
                return True
        except (TypeError, ValueError):
            continue
    return False
