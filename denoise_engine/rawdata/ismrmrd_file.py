"""ISMRMRD files: https://ismrmrd.readthedocs.io (Inati SJ, et al. Magn Reson Med 2017;77:411-421).

The `ismrmrd` package says how such a file is laid out. It is read here through h5py and not through
that package, because files come from outside: what a header declares is checked before memory is
given to it, and fields that could tell who was scanned are never touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata.acquisitions import MAX_CHANNELS, MAX_SAMPLES, NO_IMAGING, Acquisitions
from denoise_engine.rawdata.filling import Filling, Grid
from denoise_engine.rawdata.hdf5 import check_dataset, measurement, member, open_hdf5
from denoise_engine.rawdata.header import MAX_BYTES, Encoding, Header, read_header
from denoise_engine.rawdata.placing import Placement, Slab, checked_slab
from denoise_engine.rawdata.scan import Complex, RawData

Indices = NDArray[np.int64]

# What a file may hold several of, and what people call it. A series is one of each.
SEVERAL = {
    "contrast": ("echo", "echoes"),
    "phase": ("cardiac phase", "cardiac phases"),
    "repetition": ("repetition", "repetitions"),
    "set": ("set", "sets"),
}
MAX_SLICES = 1024
MAX_NOISE_SAMPLES = 1 << 16
LEAST_NOISE_SAMPLES = 256


@dataclass(frozen=True)
class _Kinds:
    """Which acquisitions serve for what, by their index."""

    imaging: Indices
    calibration: Indices  # of a scan of its own
    noise: Indices


def read_ismrmrd(path: Path, *, choose: Mapping[str, int], memory_limit: int) -> RawData:
    """Read one image series. `choose` says which echo and so on, counted from 1, where there are
    several. Raises RawDataError."""
    with open_hdf5(path) as file:
        group = measurement(file)
        header = read_header(_xml(group))
        dataset = member(group, "data", h5py.Dataset)
        acquisitions = Acquisitions(dataset)
        return _read(acquisitions, header, choose, memory_limit)


def _xml(group: h5py.Group) -> bytes:
    dataset = member(group, "xml", h5py.Dataset)
    if h5py.check_string_dtype(dataset.dtype) is None and (
        h5py.check_vlen_dtype(dataset.dtype) is None
    ):
        raise RawDataError("The header of the raw data is no text.")
    check_dataset(dataset, most=1, item_bytes=min(dataset.dtype.itemsize, MAX_BYTES))
    try:
        text = dataset[0]
    except (OSError, RuntimeError, ValueError, TypeError):
        raise RawDataError("The header of the raw data cannot be read.") from None
    return text.encode() if isinstance(text, str) else bytes(text)


def _read(
    acquisitions: Acquisitions, header: Header, choose: Mapping[str, int], memory_limit: int
) -> RawData:
    kinds, encoding = _sorted(acquisitions, header, choose)
    warnings: list[str] = []
    grid, placement = _grid(acquisitions, kinds.imaging, encoding)
    channels = _one_value(acquisitions.column("active_channels")[kinds.imaging], "coils")
    if not 1 <= channels <= MAX_CHANNELS:
        raise RawDataError(f"The file says {channels} coils: 1 to {MAX_CHANNELS} are read.")
    noise = _noise(acquisitions, kinds, channels, header, warnings)
    filling = Filling(grid, channels, noise, memory_limit)
    filling.compress(acquisitions, kinds.imaging)
    for k, samples in acquisitions.samples(kinds.imaging):
        filling.add(k, samples)
    filled = filling.finished()
    warnings += filled.warnings
    acquired = _acquired(header, choose, acquisitions, kinds.imaging)
    acquired["Coils"] = channels
    if filled.averages > 1:
        acquired["NumberOfAverages"] = filled.averages
    return RawData(
        kspace=filled.kspace,
        mask=filled.mask,
        placement=placement,
        noise=filled.noise,
        calibration=_calibration(acquisitions, kinds, header, filling, grid),
        acquired=acquired,
        warnings=warnings,
    )


def _sorted(
    acquisitions: Acquisitions, header: Header, choose: Mapping[str, int]
) -> tuple[_Kinds, Encoding]:
    is_noise = acquisitions.has_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    other = np.zeros(acquisitions.count, dtype=bool)
    for flag in NO_IMAGING:
        other |= acquisitions.has_flag(flag)
    calibration = acquisitions.has_flag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    calibration &= ~acquisitions.has_flag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    useful = ~is_noise & ~other
    if not useful.any():
        raise RawDataError("The file holds no imaging acquisition: noise or adjustments alone.")
    space = acquisitions.column("encoding_space_ref")
    imaging = useful & ~calibration
    spaces = np.unique(space[imaging if imaging.any() else useful])
    if len(spaces) > 1 or not 0 <= spaces[0] < len(header.encodings):
        raise RawDataError(
            f"The file holds {len(spaces)} encodings of images: send one a file."
            if len(spaces) > 1
            else "The acquisitions name an encoding that the header does not describe."
        )
    encoding = header.encodings[int(spaces[0])]
    apart = calibration & (encoding.separate_calibration | (space != spaces[0]))
    imaging = useful & ~apart
    _check_cartesian(acquisitions, imaging, encoding)
    for name in SEVERAL:
        imaging &= _chosen(acquisitions, header, imaging, name, choose.get(name))
    return (
        _Kinds(np.flatnonzero(imaging), np.flatnonzero(apart & useful), np.flatnonzero(is_noise)),
        encoding,
    )


def _check_cartesian(
    acquisitions: Acquisitions, imaging: NDArray[np.bool_], encoding: Encoding
) -> None:
    if encoding.trajectory == "epi":
        raise RawDataError(
            "These are echo-planar data: ramp sampling and ghosts are not corrected here. Send "
            "the scanner's images instead."
        )
    moving = bool(np.any(acquisitions.column("trajectory_dimensions")[imaging] > 0))
    if encoding.trajectory != "cartesian" or moving:
        said = encoding.trajectory if encoding.trajectory.isalpha() else ""
        named = f" ({said[:20]})" if said and said != "cartesian" else ""
        raise RawDataError(
            f"The samples do not lie on a Cartesian grid{named}; only Cartesian data can be "
            "reconstructed here. Send the scanner's images instead."
        )


def _chosen(
    acquisitions: Acquisitions,
    header: Header,
    imaging: NDArray[np.bool_],
    name: str,
    wanted: int | None,
) -> NDArray[np.bool_]:
    column = acquisitions.column(name)
    found = np.unique(column[imaging])
    one, many = SEVERAL[name]
    if wanted is not None:
        if not 1 <= wanted <= len(found):
            raise RawDataError(f"There is no {one} {wanted}: the file holds {len(found)}.")
        return np.asarray(column == found[wanted - 1])
    if len(found) > 1:
        times = header.acquired.get("EchoTimes", [])
        told = ""
        if name == "contrast" and len(times) == len(found):
            told = f" (TE {', '.join(f'{time:g}' for time in times)} ms)"
        raise RawDataError(
            f"The file holds {len(found)} {many}{told}, and a series is one of them: send a file "
            f"that holds one {one} alone."
        )
    return np.ones(acquisitions.count, dtype=bool)


def _one_value(values: Indices, name: str) -> int:
    found = np.unique(values)
    if len(found) != 1:
        raise RawDataError(
            f"The number of {name} changes from {found[0]} to {found[-1]} within the scan."
        )
    return int(found[0])


def _grid(
    acquisitions: Acquisitions, imaging: Indices, encoding: Encoding
) -> tuple[Grid, Placement]:
    """Where each acquisition belongs, and where the slices lie."""
    nx, ny, nz = encoding.encoded.matrix
    numbers, slices = np.unique(acquisitions.column("slice")[imaging], return_inverse=True)
    if len(numbers) > MAX_SLICES:
        raise RawDataError(f"The file holds {len(numbers)} slices; up to {MAX_SLICES} are read.")
    if encoding.is_3d and len(numbers) > 1:
        raise RawDataError(f"The file holds {len(numbers)} slabs of a 3-D scan: send one a file.")
    rows = acquisitions.column("kspace_encode_step_1")[imaging] - encoding.centre_line + ny // 2
    parts = acquisitions.column("kspace_encode_step_2")[imaging]
    partitions = parts - encoding.centre_partition + nz // 2 if encoding.is_3d else 0 * parts
    for place, size, name in ((rows, ny, "Line"), (partitions, nz, "Partition")):
        wrong = place[(place < 0) | (place >= size)]
        if len(wrong):
            raise RawDataError(
                f"{name} {int(wrong[0]) - size // 2} from the centre lies outside the matrix of "
                f"{size} in the header: matrix and samples do not belong together."
            )
    longest = int(acquisitions.column("number_of_samples")[imaging].max())
    if longest > MAX_SAMPLES:
        raise RawDataError(f"A readout has {longest} samples; up to {MAX_SAMPLES} are read.")
    wanted, encoded = encoding.wanted, encoding.encoded
    columns = min(nx, max(1, round(nx * wanted.fov[0] / encoded.fov[0])))
    firsts = [int(imaging[np.flatnonzero(slices == k)[0]]) for k in range(len(numbers))]
    slabs = tuple(_slab(acquisitions, k) for k in firsts)
    if any(np.dot(slab.normal, slabs[0].normal) < 0.9999 for slab in slabs):
        raise RawDataError(
            "The slices of the file do not lie parallel to each other: send one stack a file."
        )
    placement = Placement(
        is_3d=encoding.is_3d,
        slabs=slabs,
        encoded_fov=(encoded.fov[0] * columns / nx, encoded.fov[1], encoded.fov[2]),
        field_of_view=(
            encoded.fov[0] * columns / nx,
            min(wanted.fov[1], encoded.fov[1]),
            min(wanted.fov[2], encoded.fov[2]),
        ),
        matrix=wanted.matrix,
        thickness=None if encoding.is_3d else wanted.fov[2],
    )
    grid = Grid(
        is_3d=encoding.is_3d,
        readout=nx,
        columns=columns,
        rows=ny,
        partitions=nz if encoding.is_3d else 1,
        slices=len(numbers),
        line={int(k): int(row) for k, row in zip(imaging, rows, strict=True)},
        partition={int(k): int(p) for k, p in zip(imaging, partitions, strict=True)},
        slice={int(k): int(s) for k, s in zip(imaging, slices, strict=True)},
        centre_sample={
            int(k): int(c) - int(d)
            for k, c, d in zip(
                imaging,
                acquisitions.column("center_sample")[imaging],
                acquisitions.column("discard_pre")[imaging],
                strict=True,
            )
        },
    )
    return grid, placement


def _slab(acquisitions: Acquisitions, k: int) -> Slab:
    return checked_slab(
        *(acquisitions.vectors(n)[k] for n in ("position", "read_dir", "phase_dir", "slice_dir"))
    )


def _noise(
    acquisitions: Acquisitions,
    kinds: _Kinds,
    channels: int,
    header: Header,
    warnings: list[str],
) -> Complex | None:
    """Samples of the noise adjustment, scaled to the bandwidth of the images."""
    own = kinds.noise[acquisitions.column("active_channels")[kinds.noise] == channels]
    if len(kinds.noise) and not len(own):
        warnings.append("The noise adjustment was measured with other coils and is not used.")
    blocks, have = [], 0
    for k, samples in acquisitions.samples(own):
        dwell = float(acquisitions.vectors("sample_time_us")[k])
        image = float(acquisitions.vectors("sample_time_us")[kinds.imaging[0]])
        # Noise power goes with the bandwidth, the inverse of the time a sample takes.
        known = dwell > 0 and image > 0
        power = dwell / (image * header.noise_bandwidth) if known else 1.0
        blocks.append(samples * np.float32(np.sqrt(power)))
        have += samples.shape[1]
        if have >= MAX_NOISE_SAMPLES:
            break
    if not blocks:
        return None
    if have < max(LEAST_NOISE_SAMPLES, 2 * channels):
        warnings.append(f"The noise adjustment has {have} samples, too few to be used.")
        return None
    return np.concatenate(blocks, axis=1)[:, :MAX_NOISE_SAMPLES].astype(np.complex64)


def _calibration(
    acquisitions: Acquisitions, kinds: _Kinds, header: Header, filling: Filling, grid: Grid
) -> Complex | None:
    """The centre of a calibration scan of its own, on as many lines as were measured there."""
    if not len(kinds.calibration):
        return None
    space = int(acquisitions.column("encoding_space_ref")[kinds.calibration[0]])
    if not 0 <= space < len(header.encodings):
        return None
    own = header.encodings[space]
    lines = acquisitions.column("kspace_encode_step_1")[kinds.calibration] - own.centre_line
    parts = acquisitions.column("kspace_encode_step_2")[kinds.calibration]
    parts = parts - own.centre_partition if grid.is_3d else 0 * parts
    reach = int(min(-lines.min(), lines.max() + 1, grid.rows // 2))
    deep = int(min(-parts.min(), parts.max() + 1, grid.partitions // 2)) if grid.is_3d else 0
    if reach < 1 or (grid.is_3d and deep < 1):
        return None
    depth = 2 * deep if grid.is_3d else 1
    slices = {int(n): k for k, n in enumerate(np.unique(acquisitions.column("slice")))}
    block = np.zeros(
        (grid.slices, filling.kept, 2 * reach, depth, grid.columns), dtype=np.complex64
    )
    for k, samples in acquisitions.samples(kinds.calibration):
        at = int(np.flatnonzero(kinds.calibration == k)[0])
        row, part = int(lines[at]) + reach, int(parts[at]) + deep
        if not (0 <= row < 2 * reach and 0 <= part < depth) or len(samples) != filling.channels:
            continue
        stack = slices[int(acquisitions.column("slice")[k])] if not grid.is_3d else 0
        if stack < grid.slices:
            block[stack, :, row, part] = filling.line(_fitted(samples, grid.readout))
    if grid.is_3d:
        return np.ascontiguousarray(block[0].transpose(3, 0, 1, 2))
    return block[:, :, :, 0]


def _fitted(samples: Complex, readout: int) -> Complex:
    """A readout of another length, cut or filled with zeros about its centre."""
    length = samples.shape[1]
    line = np.zeros((len(samples), readout), dtype=np.complex64)
    common = min(length, readout)
    into, out_of = readout // 2 - common // 2, length // 2 - common // 2
    line[:, into : into + common] = samples[:, out_of : out_of + common]
    return line


def _acquired(
    header: Header, choose: Mapping[str, int], acquisitions: Acquisitions, imaging: Indices
) -> dict[str, object]:
    said = dict(header.acquired)
    times = said.pop("EchoTimes", [])
    echo = choose.get("contrast", 1 + int(acquisitions.column("contrast")[imaging[0]]))
    if 1 <= echo <= len(times):
        said["EchoTime"] = times[echo - 1]
    return said
