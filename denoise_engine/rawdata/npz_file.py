"""NumPy archives: `kspace` [coil, phase, readout] or [slice, coil, phase, readout], and what goes
with it.

======================  ===========================================================================
array                   meaning
======================  ===========================================================================
kspace                  complex; the zero frequency at n // 2, zero where nothing was sampled
mask                    bool [phase], [phase, readout] or [slice, phase, readout]; without it, what
                        is not zero was sampled
noise                   complex [coil, sample]: noise alone, at the bandwidth of the images
calibration             complex [coil, r, c] or [slice, coil, r, c]: a fully sampled centre
spacing_mm              [row, column, slice] distance of the voxels
position_mm             [slice, 3] centre of the field of view of each slice, LPS
orientation             [6] direction of the readout, then of the phase encoding, LPS
echo_time_ms, repetition_time_ms, flip_angle_deg, field_strength_t
                        single numbers
======================  ===========================================================================

Other arrays (a body coil's, say) are left alone. Pickled objects are refused: unpacking one runs
whatever it says.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata.acquisitions import MAX_CHANNELS
from denoise_engine.rawdata.placing import Placement, checked_slab, vector
from denoise_engine.rawdata.scan import Mask, RawData

ARRAYS = ("kspace", "mask", "noise", "calibration", "spacing_mm", "position_mm", "orientation")
NUMBERS = {
    "echo_time_ms": "EchoTime",
    "repetition_time_ms": "RepetitionTime",
    "flip_angle_deg": "FlipAngle",
    "field_strength_t": "MagneticFieldStrength",
}
MAX_MEMBERS = 64
MAX_RATIO = 200
MAX_SIDE = 4096
MAX_SLICES = 1024
MADE_UP = (
    "The file does not say how large a pixel is or where the slices lie: 1 mm and a place about "
    "the centre were put down. Measure no length in these images."
)


@dataclass(frozen=True)
class _Member:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_npz(path: Path, *, memory_limit: int) -> RawData:
    """Read one image series. Raises RawDataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, memory_limit)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError):
        raise RawDataError("The archive is damaged or truncated. Send it again.") from None


def _read(archive: zipfile.ZipFile, memory_limit: int) -> RawData:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise RawDataError(f"The archive holds {len(infos)} arrays; up to {MAX_MEMBERS} are read.")
    members = {info.filename.removesuffix(".npy"): info for info in infos}
    if "kspace" not in members:
        raise RawDataError("The archive has no array “kspace”: it holds no raw data.")
    described = {
        name: _described(archive, info, name)
        for name, info in members.items()
        if name in ARRAYS or name in NUMBERS
    }
    _check_kspace(described["kspace"], memory_limit)
    arrays = {name: _array(archive, members[name], name) for name in described}
    kspace = arrays["kspace"]
    kspace = np.ascontiguousarray(kspace[None] if kspace.ndim == 3 else kspace, dtype=np.complex64)
    _check_numbers("kspace", kspace)
    mask = _mask(arrays.get("mask"), kspace)
    placement, warnings = _placement(arrays, kspace)
    noise = _complex(arrays.get("noise"), "noise", ndim=(2,), coils=kspace.shape[1])
    calibration = _complex(
        arrays.get("calibration"), "calibration", ndim=(3, 4), coils=kspace.shape[1]
    )
    if calibration is not None and calibration.ndim == 3:
        calibration = np.repeat(calibration[None], len(kspace), axis=0)
    if calibration is not None and len(calibration) != len(kspace):
        raise RawDataError("The calibration has another number of slices than “kspace”.")
    masked = mask if mask.ndim == 2 else mask[:, None]
    outside = int(((kspace != 0).any(axis=1) & ~mask).sum())
    if outside:
        warnings.append(
            f"“kspace” holds samples at {outside} points that “mask” calls not sampled: they were "
            "left out. If they are samples, correct the mask."
        )
    return RawData(
        kspace=(kspace * masked).astype(np.complex64) if outside else kspace,
        mask=mask,
        placement=placement,
        noise=noise,
        calibration=calibration,
        acquired=_acquired(arrays, kspace.shape[1]),
        warnings=warnings,
    )


def _described(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> _Member:
    """Shape and type as the array's own header says, checked against what the archive holds."""
    if info.file_size > MAX_RATIO * max(1, info.compress_size):
        raise RawDataError(f"“{name}” unpacks to far more than it holds: it is refused.")
    with archive.open(info) as handle:
        try:
            version = npy.read_magic(handle)  # type: ignore[arg-type]
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _fortran, dtype = read(handle)  # type: ignore[arg-type]
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise RawDataError(f"“{name}” is no array that can be read.") from None
        start = handle.tell()
    if dtype.hasobject:
        raise RawDataError(
            f"“{name}” holds pickled Python objects, which are never unpacked. Save plain arrays."
        )
    if dtype.kind not in "biufc":
        raise RawDataError(f"“{name}” holds no numbers.")
    if math.prod(shape) * dtype.itemsize != info.file_size - start:
        raise RawDataError(f"“{name}” does not hold what its header says: it is damaged.")
    return _Member(shape, dtype)


def _check_kspace(member: _Member, memory_limit: int) -> None:
    shape = member.shape
    if len(shape) not in (3, 4) or member.dtype.kind != "c":
        raise RawDataError(
            f"“kspace” has {len(shape)} dimensions of type {member.dtype}; it is a complex array "
            "[coil, phase, readout] or [slice, coil, phase, readout]."
        )
    slices, coils, rows, columns = shape if len(shape) == 4 else (1, *shape)
    if not (
        1 <= slices <= MAX_SLICES
        and 1 <= coils <= MAX_CHANNELS
        and 1 <= rows <= MAX_SIDE
        and 1 <= columns <= MAX_SIDE
    ):
        raise RawDataError(
            f"“kspace” is {' × '.join(map(str, shape))}: up to {MAX_SLICES} slices, "
            f"{MAX_CHANNELS} coils and {MAX_SIDE} × {MAX_SIDE} points are read."
        )
    needed = math.prod(shape) * max(member.dtype.itemsize, 8) * 2
    if needed > memory_limit:
        raise RawDataError(
            f"The scan of {coils} coils needs {needed / 1024**3:.1f} GB of memory; "
            f"{memory_limit / 1024**3:.1f} GB are allowed. Send fewer slices a file, compress the "
            "coils, or have the limit raised."
        )


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    try:
        with archive.open(info) as handle:
            return np.asarray(npy.read_array(handle, allow_pickle=False))  # type: ignore[arg-type]
    except MemoryError:
        raise RawDataError(f"There is not enough memory for “{name}”.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):
        raise RawDataError(f"“{name}” is damaged: it cannot be read.") from None


def _check_numbers(name: str, values: NDArray[Any]) -> None:
    wrong = int(values.size - np.isfinite(values).sum())
    if wrong:
        raise RawDataError(
            f"“{name}” holds {wrong} sample{'s that are' if wrong > 1 else ' that is'} no number "
            "(NaN or infinite)."
        )


def _complex(
    values: NDArray[Any] | None, name: str, *, ndim: tuple[int, ...], coils: int
) -> NDArray[np.complex64] | None:
    if values is None:
        return None
    if values.ndim not in ndim or values.dtype.kind != "c":
        raise RawDataError(f"“{name}” is no complex array of the kind that is described.")
    if values.shape[1 if values.ndim == 4 else 0] != coils:
        raise RawDataError(f"“{name}” and “kspace” have different numbers of coils.")
    _check_numbers(name, values)
    return values.astype(np.complex64)


def _mask(stored: NDArray[Any] | None, kspace: NDArray[np.complex64]) -> Mask:
    slices, _coils, rows, columns = kspace.shape
    if stored is None:
        seen = np.asarray((kspace != 0).any(axis=1))
        lines = seen.any(axis=2, keepdims=True)
        whole = np.asarray(np.broadcast_to(lines, seen.shape))
        # A readout is sampled as a whole; single zeros in it are samples too.
        seen = whole if seen.sum() > 0.5 * whole.sum() else seen
        return seen[0].copy() if bool((seen == seen[:1]).all()) else seen.copy()
    if not np.isin(stored, (0, 1)).all():
        raise RawDataError("“mask” is to hold only true and false, or 1 and 0.")
    mask = stored.astype(bool)
    if mask.shape == (rows,):
        return np.ascontiguousarray(np.broadcast_to(mask[:, None], (rows, columns)))
    if mask.shape not in ((rows, columns), (slices, rows, columns)):
        raise RawDataError(
            f"“mask” is {' × '.join(map(str, mask.shape))}; it is to fit the {rows} × {columns} "
            "points of “kspace”."
        )
    return mask


def _placement(
    arrays: dict[str, NDArray[Any]], kspace: NDArray[np.complex64]
) -> tuple[Placement, list[str]]:
    slices, _coils, rows, columns = kspace.shape
    spacing = arrays.get("spacing_mm")
    known = spacing is not None
    sizes = np.ones(3) if spacing is None else spacing.astype(float).reshape(-1)
    if sizes.size != 3 or not np.all(np.isfinite(sizes)) or not np.all(sizes > 0):
        raise RawDataError("“spacing_mm” is the distance of rows, columns and slices in mm.")
    directions = arrays.get("orientation")
    axes = (
        np.asarray([1.0, 0, 0, 0, 1, 0])
        if directions is None
        else directions.astype(float).reshape(-1)
    )
    if axes.size != 6:
        raise RawDataError("“orientation” is two directions: of the readout and of the phase.")
    normal = np.cross(axes[:3], axes[3:])
    centres = arrays.get("position_mm")
    if centres is None:
        centres = (np.arange(slices)[:, None] - (slices - 1) / 2) * sizes[2] * normal[None]
        known = False
    centres = centres.astype(float).reshape(-1, 3) if centres.size == 3 * slices else None
    if centres is None:
        raise RawDataError("“position_mm” has not one place for each slice.")
    fov = (float(sizes[1] * columns), float(sizes[0] * rows), float(sizes[2]))
    slabs = tuple(checked_slab(vector(c), axes[:3], axes[3:], normal) for c in centres)
    placement = Placement(
        is_3d=False,
        slabs=slabs,
        encoded_fov=fov,
        field_of_view=fov,
        matrix=(columns, rows, 1),
        thickness=float(sizes[2]),
        has_position=known,
    )
    return placement, [] if known else [MADE_UP]


def _acquired(arrays: dict[str, NDArray[Any]], coils: int) -> dict[str, Any]:
    said: dict[str, Any] = {"Coils": coils}
    for name, keyword in NUMBERS.items():
        if name in arrays and arrays[name].size == 1:
            value = float(arrays[name].reshape(-1)[0].real)
            if math.isfinite(value) and value >= 0:
                said[keyword] = value
    return said
