"""The acquisitions of an ISMRMRD file: their headers in one go, their samples a few at a time."""

from collections.abc import Iterator

import h5py
import ismrmrd
import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata.hdf5 import MAX_ACQUISITIONS, check_dataset, check_stored_here

BATCH = 64
MAX_CHANNELS = 256
MAX_SAMPLES = 16384
COUNTERS = (
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "slice",
    "contrast",
    "phase",
    "repetition",
    "set",
)
NUMBERS = (
    "flags",
    "number_of_samples",
    "active_channels",
    "discard_pre",
    "discard_post",
    "center_sample",
    "encoding_space_ref",
    "trajectory_dimensions",
)
VECTORS = ("position", "read_dir", "phase_dir", "slice_dir")
NO_IMAGING = (
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION,
)
DAMAGED = "The acquisitions in the file are damaged or not laid out as ISMRMRD lays them out."


class Acquisitions:
    """Every header as columns (`column`), samples on demand (`samples`).

    Times, counters and identifiers of the measurement are not kept.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        check_stored_here(dataset)
        head = _checked_layout(dataset)
        self.count = check_dataset(dataset, most=MAX_ACQUISITIONS, item_bytes=head.itemsize)
        self._dataset = dataset
        self._columns: dict[str, NDArray[np.int64]] = {}
        self._vectors: dict[str, NDArray[np.float64]] = {}
        self._read_heads()

    def _read_heads(self) -> None:
        parts: dict[str, list[NDArray[np.int64]]] = {n: [] for n in (*NUMBERS, *COUNTERS)}
        floats: dict[str, list[NDArray[np.float64]]] = {n: [] for n in (*VECTORS, "sample_time_us")}
        heads = self._dataset.fields("head")
        step = 4096
        try:
            for start in range(0, self.count, step):
                block = heads[start : min(start + step, self.count)]
                for name in NUMBERS:
                    parts[name].append(block[name].astype(np.uint64).view(np.int64))
                for name in COUNTERS:
                    parts[name].append(block["idx"][name].astype(np.int64))
                for name in floats:
                    floats[name].append(block[name].astype(np.float64))
        except (OSError, RuntimeError, ValueError, TypeError, KeyError):
            raise RawDataError(DAMAGED) from None
        self._columns = {name: np.concatenate(found) for name, found in parts.items()}
        self._vectors = {name: np.concatenate(found) for name, found in floats.items()}

    def column(self, name: str) -> NDArray[np.int64]:
        return self._columns[name]

    def vectors(self, name: str) -> NDArray[np.float64]:
        return self._vectors[name]

    def has_flag(self, flag: int) -> NDArray[np.bool_]:
        """Where a flag of ISMRMRD is set; flags count from 1."""
        return np.asarray((self._columns["flags"] >> (flag - 1)) & 1 == 1)

    def samples(self, chosen: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.complex64]]]:
        """Index and samples (coils, samples) of chosen acquisitions, in the order of the file.

        What the scanner says to discard at either end is cut off; readouts that were sampled
        backwards are turned round.
        """
        reverse = self.has_flag(ismrmrd.ACQ_IS_REVERSE)
        data = self._dataset.fields("data")
        for at in range(0, len(chosen), BATCH):
            wanted = chosen[at : at + BATCH]
            first, last = int(wanted[0]), int(wanted[-1]) + 1
            try:
                if last - first <= 4 * BATCH:
                    block = data[first:last]
                    found = [block[int(k) - first] for k in wanted]
                else:
                    found = [data[int(k) : int(k) + 1][0] for k in wanted]
            except (OSError, RuntimeError, ValueError, TypeError):
                raise RawDataError(
                    "The raw-data file is damaged: some of its samples cannot be read."
                ) from None
            for k, values in zip(wanted, found, strict=True):
                yield int(k), self._unpacked(int(k), values, bool(reverse[k]))

    def _unpacked(self, k: int, values: object, reverse: bool) -> NDArray[np.complex64]:
        channels = int(self._columns["active_channels"][k])
        length = int(self._columns["number_of_samples"][k])
        flat = np.asarray(values)
        if flat.dtype != np.float32 or flat.size != 2 * channels * length:
            raise RawDataError(
                f"Acquisition {k + 1} holds {flat.size // 2} samples; its header says "
                f"{channels} coils × {length}."
            )
        samples = flat.view(np.complex64).reshape(channels, length)
        if not np.isfinite(flat).all():
            wrong = int((~np.isfinite(samples)).sum())
            raise RawDataError(
                f"Acquisition {k + 1} holds {wrong} sample{'s' if wrong > 1 else ''} that "
                f"{'are' if wrong > 1 else 'is'} no number (NaN or infinite)."
            )
        before = int(self._columns["discard_pre"][k])
        after = int(self._columns["discard_post"][k])
        if before + after >= length:
            raise RawDataError(f"Acquisition {k + 1} is to be discarded as a whole.")
        kept = samples[:, before : length - after]
        return kept[:, ::-1] if reverse else kept


def _checked_layout(dataset: h5py.Dataset) -> np.dtype:
    """The type of the headers. Raises RawDataError for any layout but that of ISMRMRD."""
    try:
        names = dataset.dtype.names or ()
        if "head" not in names or "data" not in names:
            raise RawDataError(DAMAGED)
        head, data = dataset.dtype["head"], dataset.dtype["data"]
        known = ismrmrd.hdf5.acquisition_header_dtype
        for name in (*NUMBERS, *VECTORS, "sample_time_us"):
            if head[name].base != known[name].base or head[name].shape != known[name].shape:
                raise RawDataError(DAMAGED)
        for name in COUNTERS:
            if head["idx"][name] != known["idx"][name]:
                raise RawDataError(DAMAGED)
        if h5py.check_vlen_dtype(data) != np.dtype("float32"):
            raise RawDataError(DAMAGED)
    except (KeyError, TypeError, OSError, RuntimeError):
        raise RawDataError(DAMAGED) from None
    return head
