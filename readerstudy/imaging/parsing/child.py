"""The confined process that reads what was uploaded.

It takes one JSON request a line on stdin and answers one JSON line on stdout. It starts with an
empty environment, limits its own memory, writes only into the folder it is given, and answers with
reasons made here, never with what a library says, since libraries quote headers.
"""

from __future__ import annotations

import dataclasses
import errno
import gc
import json
import os
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any

import pydicom.config

from .archives import Limits, is_zip, list_members, open_archive, read_member
from .errors import Damaged, Refused
from .hints import Known
from .images import parse_image

OPEN_FILES = 64


class NotWritten(Exception):
    """What was read found no room: no fault of the file."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Reader:
    """Answers requests; keeps the archive open from one member to the next."""

    def __init__(self, key: bytes, known: Known) -> None:
        self.key = key
        self.known = known
        self._path = ""
        self._archive: zipfile.ZipFile | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if request["op"] == "list":
                return self._list(request)
            return self._parse(request)
        except Refused as refusal:
            return {
                "refused": str(refusal),
                "damaged": isinstance(refusal, Damaged),
                "group": refusal.group,
                "position": refusal.position,
            }
        except NotWritten as failure:
            return {"not_written": failure.number}
        except (RecursionError, MemoryError):
            gc.collect()
            reason = "The file needs more memory than is allowed, or is nested too deep."
            return {"refused": reason, "damaged": True}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        with open(request["path"], "rb") as handle:
            if not is_zip(handle.read(4)):
                return {"archive": False, "bytes": os.path.getsize(request["path"])}
        archive = self._opened(request["path"])
        members = list_members(
            archive,
            os.path.getsize(request["path"]),
            Limits(**request["limits"]),
        )
        infos = archive.infolist()
        return {
            "archive": True,
            "bytes": sum(infos[m.index].file_size for m in members if not m.reason),
            "members": [dataclasses.asdict(m) for m in members],
        }

    def _opened(self, path: str) -> zipfile.ZipFile:
        if self._archive is None or self._path != path:
            if self._archive is not None:
                self._archive.close()
            self._archive, self._path = open_archive(path), path
        return self._archive

    def _parse(self, request: dict[str, Any]) -> dict[str, Any]:
        limit = int(request["limit"])
        if request["member"] is None:
            with open(request["path"], "rb") as handle:
                data = handle.read(limit + 1)
            if len(data) > limit:
                raise Refused(f"The file is larger than {limit // 1024**2} MB.")
        else:
            data = read_member(self._opened(request["path"]), int(request["member"]), limit)
        parsed = parse_image(
            data,
            patient_code=request["patient"],
            key=self.key,
            date_shift=request.get("date_shift"),
            known=self.known,
        )
        del data
        slices = []
        for index, item in enumerate(parsed.slices):
            name = f"{request['out']}-{index}.dcm"
            try:
                Path(name).write_bytes(item.content)
            except OSError as error:
                raise NotWritten(error.errno or errno.EIO) from None
            described = {
                field.name: getattr(item, field.name)
                for field in dataclasses.fields(item)
                if field.name != "content"
            }
            slices.append({**described, "file": name})
        return {
            "slices": slices,
            "report": dict(parsed.report),
            "hints": dataclasses.asdict(parsed.hints),
            "suspicions": parsed.suspicions,
        }


def confine(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def main() -> None:
    # Libraries that print do it into nothing: the answers have a pipe of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    start = json.loads(sys.stdin.readline())
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    confine(int(start["memory"]))
    reader = Reader(bytes.fromhex(start["key"]), Known.from_json(start.get("known", {})))
    for line in sys.stdin:
        answers.write(json.dumps(reader.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
