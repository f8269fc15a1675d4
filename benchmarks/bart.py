"""BART as the yardstick of benchmarks/reconstruction.py: its files, its commands, their cost."""

import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex64]
_DIMENSIONS = 16
HOW_TO_INSTALL = "BART is not installed. On Debian and Ubuntu: apt-get install bart"


@dataclass(frozen=True)
class Run:
    """One command: its seconds from start to end of the process, and its peak memory in MiB."""

    seconds: float
    memory: float


def is_installed() -> bool:
    return shutil.which("bart") is not None


def version() -> str:
    done = subprocess.run(["bart", "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write(path: Path, array: Complex) -> None:
    """Write an array; BART's dimensions are (readout, phase, phase 2, coils), columns first."""
    shape = list(array.shape) + [1] * (_DIMENSIONS - array.ndim)
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, shape)) + "\n")
    np.asarray(array, dtype=np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))


def read(path: Path) -> Complex:
    header = path.with_suffix(".hdr").read_text().splitlines()[1]
    shape = [int(n) for n in header.split()]
    values = np.fromfile(path.with_suffix(".cfl"), dtype=np.complex64)
    return values.reshape(shape, order="F").squeeze()


def run(*arguments: str | Path, threads: int) -> Run:
    """Run a command of BART."""
    start = time.perf_counter()
    process = subprocess.Popen(
        ["bart", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"bart {arguments[0]} failed: {said.strip()}")
    return Run(seconds, usage.ru_maxrss / 1024)


def own_peak() -> float:
    """Peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
