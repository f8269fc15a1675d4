"""What a zip holds, checked before anything of it is unpacked.

Nothing is ever written under a name from an archive: members are read into memory, one by one and
bounded, and addressed by their index.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass

from .errors import Damaged, Refused

MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
RATIO_FROM_BYTES = 1024**2  # an empty slice of a small matrix may well shrink 500-fold
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
NAME_LENGTH = 400
# What desktops leave in archives; neither images nor worth a word.
CLUTTER_FOLDERS = {"__MACOSX"}
CLUTTER_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Limits:
    files: int
    file_bytes: int
    total_bytes: int
    ratio: int


@dataclass(frozen=True)
class Member:
    index: int
    name: str
    reason: str = ""  # why it is refused, or empty


def is_zip(head: bytes) -> bool:
    return head.startswith(MAGIC)


def open_archive(path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        raise Refused(
            "The zip archive is damaged or truncated: it cannot be opened. Make and send it again."
        ) from None


def list_members(archive: zipfile.ZipFile, archive_bytes: int, limits: Limits) -> list[Member]:
    """Every file in the archive, with a reason where it is refused unread.

    Raises
    ------
    Refused
        The archive as a whole is beyond the limits.
    """
    infos = archive.infolist()
    if len(infos) > 2 * limits.files:
        raise Refused(f"The archive holds more than {limits.files} files: split it.")
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        raise Refused(
            f"The archive unpacks to more than {limits.total_bytes // 1024**3} GB: split it."
        )
    if total > limits.file_bytes and total > limits.ratio * max(archive_bytes, 1):
        raise Refused(
            f"The archive unpacks to more than {limits.ratio} times its size, as no images do."
        )
    members = []
    for index, info in enumerate(infos):
        if info.is_dir() or is_clutter(info.filename):
            continue
        members.append(Member(index, shown_name(info.filename), _refusal(info, limits)))
    if len(members) > limits.files:
        raise Refused(f"The archive holds more than {limits.files} files: split it.")
    return members


def is_clutter(name: str) -> bool:
    parts = name.split("/")
    return parts[-1] in CLUTTER_FILES or bool(CLUTTER_FOLDERS & set(parts))


def shown_name(name: str) -> str:
    """A name as it may be shown: no control characters, not endless."""
    cleaned = "".join(c if c.isprintable() else "?" for c in name)
    return cleaned if len(cleaned) <= NAME_LENGTH else "…" + cleaned[-NAME_LENGTH:]


def _refusal(info: zipfile.ZipInfo, limits: Limits) -> str:
    parts = info.filename.replace("\\", "/").split("/")
    if info.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        return "The name leads out of the archive: such a file is never taken. Leave it out."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "This is a link to another file, not a file: send the file itself."
    if info.flag_bits & 0x1:
        return "The file is encrypted: upload an archive without a password."
    if info.compress_type not in METHODS:
        return "The file is packed with an unusual method: use plain zip."
    if info.file_size > limits.file_bytes:
        limit = limits.file_bytes // 1024**2
        return f"The file is larger than {limit} MB: no MR slice is. Leave it out."
    if info.file_size > RATIO_FROM_BYTES and info.file_size > limits.ratio * max(
        info.compress_size, 1
    ):
        return f"The file unpacks to more than {limits.ratio} times its size, as no image does."
    return ""


def read_member(archive: zipfile.ZipFile, index: int, limit: int) -> bytes:
    """The bytes of one member; the limit holds whatever the archive says of its size."""
    try:
        with archive.open(archive.infolist()[index]) as handle:
            data = handle.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        raise Damaged(
            "The file is damaged within the archive: it does not unpack. Make the archive again."
        ) from None
    if len(data) > limit:
        raise Refused(f"The file is larger than {limit // 1024**2} MB.")
    if is_zip(data[:4]):
        raise Refused("This is an archive within an archive: unpack it first.")
    return data
