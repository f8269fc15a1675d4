"""Opening an HDF5 file that nobody vouches for.

The format can point at other files (external links and storage, virtual data sets), declare data
sets of any size without holding them, unfold small blocks into large ones, and name filters to be
loaded as programs. Raw data need none of it, so that all of it is refused before a value is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from denoise_engine.errors import RawDataError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_ACQUISITIONS = 4_000_000
FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
MAX_RATIO = 200
MAX_GROUPS = 64


def is_hdf5(start: bytes) -> bool:
    """Whether these first bytes of a file are those of an HDF5 file."""
    return start.startswith(SIGNATURE)


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """The opened file. Raises RawDataError where it is damaged, truncated or no HDF5 file."""
    try:
        with path.open("rb") as handle:
            start = handle.read(len(SIGNATURE))
    except OSError as error:
        raise RawDataError(f"The raw data cannot be read: {error.strerror}.") from None
    if not is_hdf5(start):
        raise RawDataError("This is no HDF5 file, so no ISMRMRD raw data.")
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        said = "truncated: its end is missing" if "truncated" in str(error) else "damaged"
        raise RawDataError(f"The raw-data file is {said}. Send it again.") from None
    with file:
        yield file


def member(group: h5py.Group, name: str, kind: type[h5py.HLObject]) -> h5py.HLObject:
    """A member of a group, stored in this very file. Raises RawDataError."""
    try:
        link = group.get(name, getlink=True)
        if link is None:
            raise RawDataError(f"The file has no “{name}” where ISMRMRD keeps it.")
        if not isinstance(link, h5py.HardLink):
            raise RawDataError("The file points at other places or files: that is refused.")
        found = group[name]
    except (OSError, RuntimeError, KeyError, ValueError):
        raise RawDataError("The raw-data file is damaged: its directory is unreadable.") from None
    if not isinstance(found, kind):
        raise RawDataError(f"“{name}” in the file is not what ISMRMRD keeps there.")
    return found


def measurement(file: h5py.File) -> h5py.Group:
    """The group that holds a header and its acquisitions; “dataset” where there are several."""
    names = list(_names(file))
    if "dataset" in names:
        return member(file, "dataset", h5py.Group)
    found = []
    for name in names:
        if isinstance(file.get(name, getlink=True), h5py.HardLink):
            item = file.get(name)
            if isinstance(item, h5py.Group) and {"xml", "data"} <= set(_names(item)):
                found.append(item)
    if len(found) != 1:
        raise RawDataError(
            "The file holds no ISMRMRD measurement (a header “xml” and the acquisitions “data”)."
            if not found
            else f"The file holds {len(found)} measurements: send one a file."
        )
    return found[0]


def _names(group: h5py.Group) -> Iterator[str]:
    try:
        for number, name in enumerate(group):
            if number >= MAX_GROUPS:
                return
            yield str(name)
    except (OSError, RuntimeError):
        raise RawDataError("The raw-data file is damaged: its directory is unreadable.") from None


def check_stored_here(dataset: h5py.Dataset) -> None:
    """Raises RawDataError for a data set that lies elsewhere or needs a filter of its own."""
    plan = dataset.id.get_create_plist()
    if dataset.is_virtual or plan.get_external_count():
        raise RawDataError("The file points at other places or files: that is refused.")
    for number in range(plan.get_nfilters()):
        if plan.get_filter(number)[0] not in FILTERS:
            raise RawDataError("The file is packed in a way that is not read here.")


def check_dataset(dataset: h5py.Dataset, *, most: int, item_bytes: int) -> int:
    """The number of elements of a one-dimensional data set that is really there.

    Raises RawDataError for one that lies elsewhere, needs a filter of its own, or declares more
    than it holds.
    """
    check_stored_here(dataset)
    shape = dataset.shape or ()
    count = int(np.prod(shape, dtype=object)) if shape else 0
    if count < 1:
        raise RawDataError("The raw-data file is empty: it holds no acquisition.")
    if count > most or count * item_bytes > MAX_RATIO * max(1, dataset.id.get_storage_size()):
        raise RawDataError(
            f"The file declares {count} entries, far more than it holds: it is damaged or hostile."
        )
    if len(shape) != 1:
        raise RawDataError("The acquisitions in the file are not the list that ISMRMRD keeps.")
    return count
