"""Pixels of an image, decoded, as the integers that were stored."""

from __future__ import annotations

import numpy as np
from pydicom.pixels import iter_pixels
from pydicom.uid import UID

from .errors import AGAIN, LEAVE_OUT, ORIGINAL, Damaged, Refused
from .lookups import Header

MAX_SIDE = 4096

# What scanners and archives write. Deflated is left out: a few kB of it unfold to hundreds of MB.
TRANSFER_SYNTAXES: dict[str, str] = {
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless (Process 14)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 RPCL Lossless",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
}

# Pixels that stand in the file as they are used.
PLAIN = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})


def check_pixel_description(header: Header) -> None:
    """Refuse what is no greyscale image of sensible size."""
    if "PixelData" not in header:
        raise Damaged(f"The file holds no pixels: it is incomplete, or not an image. {AGAIN}")
    try:
        samples = int(header("SamplesPerPixel") or 1)
        rows, columns = int(header("Rows")), int(header("Columns"))
        allocated, stored = int(header("BitsAllocated")), int(header("BitsStored"))
        int(header("PixelRepresentation"))
        photometric = str(header("PhotometricInterpretation") or "")
    except (AttributeError, ValueError, TypeError):
        raise Damaged(f"The header does not say how the pixels are stored. {ORIGINAL}") from None
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Refused(f"This is a colour image; MR images are greyscale. {LEAVE_OUT}")
    if photometric == "MONOCHROME1":
        raise Refused(
            "The greys are stored inverted (MONOCHROME1), as scanners do not store MR images. "
            f"{ORIGINAL}"
        )
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE):
        raise Refused(
            f"The matrix is outside 1 to {MAX_SIDE} rows and columns: this is no MR slice. "
            f"{LEAVE_OUT}"
        )
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise Refused(f"The pixels are not stored in 8 or 16 bits. {ORIGINAL}")


def decode(header: Header) -> list[np.ndarray]:
    """Every frame as int16 or uint16 [rows, columns], exactly as stored.

    Raises
    ------
    Damaged
        The pixels end early or do not decode.
    """
    check_pixel_description(header)
    frames = int(header("NumberOfFrames") or 1)
    rows, columns = int(header("Rows")), int(header("Columns"))
    allocated = int(header("BitsAllocated"))
    dataset = header.dataset
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_compressed:
        needed = rows * columns * frames * (allocated // 8)
        if len(header("PixelData")) < needed:
            raise Damaged(f"The file is truncated: its pixels end early. {AGAIN}")
    try:
        if allocated == 16 and syntax in PLAIN:
            decoded = _plain(header, (frames, rows, columns))
        else:
            decoded = [np.asarray(frame) for frame in iter_pixels(dataset, raw=True)]
    except MemoryError:
        raise Damaged(
            f"The image needs more memory to decode than is allowed. {LEAVE_OUT}"
        ) from None
    except Exception:  # noqa: BLE001 - a decoder raises whatever it likes, and quotes what it read
        raise Damaged(
            f"The pixels cannot be decoded: the file is damaged or truncated. {AGAIN}"
        ) from None
    if len(decoded) != frames or any(frame.shape != (rows, columns) for frame in decoded):
        raise Damaged(
            f"The pixels do not have the size that the header says: the file is damaged. {AGAIN}"
        )
    return [_as_16_bit(frame, header) for frame in decoded]


def _plain(header: Header, shape: tuple[int, int, int]) -> list[np.ndarray]:
    """What the library does for such pixels, in a tenth of the time. A test compares both."""
    signed = int(header("PixelRepresentation")) == 1
    kind = "<i2" if signed else "<u2"
    frames = np.frombuffer(header("PixelData"), kind, shape[0] * shape[1] * shape[2]).reshape(shape)
    spare = 16 - int(header("BitsStored"))
    if spare:  # what stands in the bits above is no part of the value (PS3.5 8.1.1)
        frames = np.right_shift(np.left_shift(frames, spare), spare)
    return list(frames)


def _as_16_bit(frame: np.ndarray, header: Header) -> np.ndarray:
    signed = int(header("PixelRepresentation")) == 1
    stored = int(header("BitsStored"))
    frame = frame.astype(np.int16 if signed else np.uint16, copy=False)
    if stored < 16 and _overlay_in_pixels(header):
        # Old scanners kept overlay graphics in the unused high bits (PS3.5 8.1.1, retired).
        spare = 16 - stored
        shifted = np.left_shift(frame.view(np.uint16), spare)
        frame = np.right_shift(shifted.view(np.int16) if signed else shifted, spare)
    return np.ascontiguousarray(frame)


def _overlay_in_pixels(header: Header) -> bool:
    for group in range(0x6000, 0x6020, 2):
        element = header.dataset.get((group, 0x0102))  # OverlayBitPosition
        try:
            if element is not None and int(element.value or 0) > 0:
                return True
        except (ValueError, TypeError):
            continue
    return False
