"""From reconstructed planes to slices in the patient.

ISMRMRD gives the centre of the field of view and three unit vectors in patient coordinates
(LPS, mm). The voxel of index n // 2 lies in that centre, as the centred Fourier transform has it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError

Complex = NDArray[np.complex64]
Vector = tuple[float, float, float]

NEARLY_ONE = 1e-2  # of unit vectors as files write them
MAX_SIDE = 2048


@dataclass(frozen=True)
class Slab:
    """One slice of a 2-D scan, or the slab of a 3-D one: the centre of its field of view."""

    position: Vector
    read: Vector
    phase: Vector
    normal: Vector


@dataclass(frozen=True)
class Placement:
    """How planes become slices.

    Attributes
    ----------
    is_3d : bool
        Whether planes are positions along the readout instead of slices.
    slabs : tuple of Slab
        Of a 2-D scan one for each plane, of a 3-D scan a single one.
    encoded_fov : Vector
        What rows (phase encoding), columns (readout, oversampling removed) and partitions reach
        over, in mm: (readout, phase, partition).
    field_of_view : Vector
        The same of the image that is wanted, mm.
    matrix : tuple of int
        The image that is wanted: (readout, phase, partition).
    thickness : float or None
        Of a slice, mm.
    has_position : bool
        False where the file tells none: then positions are made up, and said to be.
    """

    is_3d: bool
    slabs: tuple[Slab, ...]
    encoded_fov: Vector
    field_of_view: Vector
    matrix: tuple[int, int, int]
    thickness: float | None = None
    has_position: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "is_3d": self.is_3d,
            "slabs": [[s.position, s.read, s.phase, s.normal] for s in self.slabs],
            "encoded_fov": list(self.encoded_fov),
            "field_of_view": list(self.field_of_view),
            "matrix": list(self.matrix),
            "thickness": self.thickness,
            "has_position": self.has_position,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        return cls(
            is_3d=bool(stored["is_3d"]),
            slabs=tuple(Slab(*(vector(v) for v in slab)) for slab in stored["slabs"]),
            encoded_fov=vector(stored["encoded_fov"]),
            field_of_view=vector(stored["field_of_view"]),
            matrix=tuple(int(n) for n in stored["matrix"]),  # type: ignore[arg-type]
            thickness=None if stored["thickness"] is None else float(stored["thickness"]),
            has_position=bool(stored["has_position"]),
        )


@dataclass(frozen=True)
class PlacedVolume:
    """Images in anatomical order, each with its place in the patient.

    Attributes
    ----------
    volume : ndarray
        (slices, rows, columns).
    positions : list of Vector
        Centre of the first voxel of each slice, LPS mm.
    orientation : tuple of six floats
        Direction in which the column index grows, then the one in which the row index grows.
    row_spacing, column_spacing : float
        Distance of neighbouring rows and of neighbouring columns, mm.
    slice_spacing : float or None
        Between neighbouring slices, mm; None for a single one.
    thickness : float or None
    """

    volume: NDArray[Any]
    positions: list[Vector]
    orientation: tuple[float, float, float, float, float, float]
    row_spacing: float
    column_spacing: float
    slice_spacing: float | None
    thickness: float | None


def place(planes: NDArray[Any], placement: Placement) -> PlacedVolume:
    """Turn reconstructed planes into slices on the wanted grid, as radiologists look at them.

    The field of view is cut to the one that is wanted (phase and slice oversampling), the matrix is
    brought to the wanted one by filling k-space with zeros or cutting it, and rows and columns are
    turned so that axial slices show the front up and the patient's right on the left, the others
    the head up.

    Parameters
    ----------
    planes : ndarray
        (planes, rows, columns), complex or real; real maps are interpolated linearly.
    """
    # Axes of a block: partition or slice, phase, readout.
    if placement.is_3d:
        block = np.ascontiguousarray(np.moveaxis(planes, 0, 2).transpose(1, 0, 2))
    else:
        block = planes
    axes = (0, 1, 2) if placement.is_3d else (1, 2)
    reach = list(placement.field_of_view)
    for axis in axes:
        which = 2 - axis  # of (readout, phase, partition)
        have, encoded = block.shape[axis], placement.encoded_fov[which]
        keep = min(have, max(1, round(have * placement.field_of_view[which] / encoded)))
        block = to_grid(block, axis, keep=keep, size=placement.matrix[which])
        reach[which] = encoded * keep / have  # whole voxels
    return _oriented(block, replace(placement, field_of_view=vector(reach)))


def to_grid(block: NDArray[Any], axis: int, *, keep: int, size: int) -> NDArray[Any]:
    """Keep the middle of one axis, then resample it to a size by its Fourier transform."""
    have = block.shape[axis]
    start = have // 2 - keep // 2
    cut = np.take(block, range(start, start + keep), axis=axis)
    if keep == size:
        return cut
    if not np.iscomplexobj(cut):
        return _interpolated(cut, axis, size)
    spectrum = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(cut, axes=axis), axis=axis), axes=axis)
    shape = list(cut.shape)
    shape[axis] = size
    padded = np.zeros(shape, dtype=np.complex128)
    common = min(keep, size)
    into = [slice(None)] * cut.ndim
    out_of = [slice(None)] * cut.ndim
    into[axis] = slice(size // 2 - common // 2, size // 2 - common // 2 + common)
    out_of[axis] = slice(keep // 2 - common // 2, keep // 2 - common // 2 + common)
    padded[tuple(into)] = spectrum[tuple(out_of)]
    back = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(padded, axes=axis), axis=axis), axes=axis)
    return np.asarray(back * (size / keep), dtype=np.complex64)


def _interpolated(block: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    have = block.shape[axis]
    wanted = (np.arange(size) - size // 2) * have / size + have // 2
    wanted = np.clip(wanted, 0, have - 1)
    low = np.minimum(np.floor(wanted).astype(int), max(have - 2, 0))
    share = (wanted - low).astype(np.float32)
    shape = [1] * block.ndim
    shape[axis] = size
    weight = share.reshape(shape)
    below = np.take(block, low, axis=axis)
    above = np.take(block, np.minimum(low + 1, have - 1), axis=axis)
    return np.asarray(below * (1 - weight) + above * weight, dtype=np.float32)


def _oriented(block: NDArray[Any], placement: Placement) -> PlacedVolume:
    """Order the slices along their normal, and turn rows and columns the usual way round."""
    slices, rows, columns = block.shape
    first = placement.slabs[0]
    read, phase, normal = (np.asarray(v) for v in (first.read, first.phase, first.normal))
    across = placement.field_of_view[0] / columns
    down = placement.field_of_view[1] / rows
    corner = -(columns // 2) * across * read - (rows // 2) * down * phase
    if placement.is_3d:
        step = placement.field_of_view[2] / slices
        centres = [
            np.asarray(first.position) + (k - slices // 2) * step * normal for k in range(slices)
        ]
        thickness: float | None = step
    else:
        centres = [np.asarray(slab.position) for slab in placement.slabs]
        thickness = placement.thickness
    order = sorted(range(slices), key=lambda k: float(centres[k] @ normal))
    block = block[order]
    corners = [centres[k] + corner for k in order]
    steps = np.diff([float(c @ normal) for c in corners])
    spacing = float(np.median(steps)) if len(steps) else None
    if spacing is not None and spacing < 1e-3:
        raise RawDataError("Several slices of the raw data lie at the same place.")
    row_direction, column_direction = read, phase
    if _usual(read)[0] > _usual(phase)[0]:  # the readout runs down the image
        block = block.transpose(0, 2, 1)
        row_direction, column_direction = phase, read
        across, down = down, across
    if _usual(row_direction)[1] < 0:
        block = block[:, :, ::-1]
        corners = [c + (block.shape[2] - 1) * across * row_direction for c in corners]
        row_direction = -row_direction
    if _usual(column_direction)[1] < 0:
        block = block[:, ::-1, :]
        corners = [c + (block.shape[1] - 1) * down * column_direction for c in corners]
        column_direction = -column_direction
    return PlacedVolume(
        volume=np.ascontiguousarray(block),
        positions=[vector(c) for c in corners],
        orientation=(*vector(row_direction), *vector(column_direction)),
        row_spacing=float(down),
        column_spacing=float(across),
        slice_spacing=spacing,
        thickness=thickness,
    )


def _usual(direction: NDArray[Any]) -> tuple[int, float]:
    """Rank of a direction's main axis, and its sign against the usual display.

    Images are shown with left to the right, back down or to the right, feet down: along x and y in
    LPS upwards, along z downwards. Of two axes the one of the higher rank runs down the image.
    """
    axis = int(np.argmax(np.abs(direction)))
    return axis, float(direction[axis]) * (1 if axis < 2 else -1)


def vector(values: Any) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def checked_slab(position: Any, read: Any, phase: Any, normal: Any) -> Slab:
    """A slab whose directions are orthogonal unit vectors. Raises RawDataError."""
    vectors = [np.asarray(vector(v)) for v in (read, phase, normal)]
    finite = all(math.isfinite(v) for v in (*vector(position), *np.concatenate(vectors)))
    if not finite or any(abs(float(np.linalg.norm(v)) - 1) > NEARLY_ONE for v in vectors):
        raise RawDataError(
            "The raw data do not say how the slices lie: the directions of readout, phase and "
            "slice are no unit vectors."
        )
    frame = np.stack([v / np.linalg.norm(v) for v in vectors])
    if np.abs(frame @ frame.T - np.eye(3)).max() > NEARLY_ONE:
        raise RawDataError(
            "The directions of readout, phase and slice in the raw data are not at right angles."
        )
    # Exactly orthogonal, as DICOM asks for; the last vector keeps its side.
    read_dir = frame[0]
    phase_dir = frame[1] - (frame[1] @ read_dir) * read_dir
    phase_dir /= np.linalg.norm(phase_dir)
    side = 1.0 if np.cross(read_dir, phase_dir) @ frame[2] > 0 else -1.0
    return Slab(
        vector(position),
        vector(read_dir),
        vector(phase_dir),
        vector(side * np.cross(read_dir, phase_dir)),
    )
