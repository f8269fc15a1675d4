"""The confined process that reads raw data that were uploaded.

Like the one that reads images: one JSON request a line on stdin, one JSON answer a line on stdout,
an empty environment, limited memory, and reasons made here or by the engine, never a library's.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from readerstudy.imaging.parsing.child import confine

MODULE = "readerstudy.variants.raw_child"
# Of the memory allowed, what the interpreter and its libraries take.
OWN_BYTES = 1024**3
BLOCK = 1024**2


def answer(request: dict[str, Any], memory_bytes: int) -> dict[str, Any]:
    from denoise_engine.errors import EngineError
    from denoise_engine.rawdata import read_raw, save_raw
    from denoise_engine.rawdata.undersampling import is_one_block

    try:
        raw = read_raw(request["path"], memory_limit=max(memory_bytes - OWN_BYTES, OWN_BYTES // 4))
        folder = Path(request["out"])
        files = save_raw(raw, folder)
        rows, columns = raw.matrix
        return {
            "files": files,
            "sha256": _sha256(folder / "kspace.npy"),
            "description": {
                "planes": raw.planes,
                "coils": raw.coils,
                "rows": rows,
                "columns": columns,
                "is_3d": raw.placement.is_3d,
                "acceleration": round(raw.acceleration, 4),
                "is_full": is_one_block(raw),
                "has_noise": raw.noise is not None,
                "has_calibration": raw.calibration is not None,
                "acquired": raw.acquired,
                "warnings": raw.warnings,
            },
        }
    except EngineError as error:
        return {"refused": str(error)}
    except (RecursionError, MemoryError):
        gc.collect()
        return {"refused": "The raw data need more memory than is allowed."}
    except OSError as error:
        if error.errno is None:
            return {"refused": "The raw-data file is damaged: it cannot be read."}
        return {"not_written": error.errno}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # HDF5 loads no filter from anywhere: a file may name one.
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"
    memory = int(json.loads(sys.stdin.readline())["memory"])
    confine(memory)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line), memory)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
