"""``python -m denoise_engine reconstruct``: from a raw data file to images."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from denoise_engine.errors import ReconstructionError

if TYPE_CHECKING:
    from denoise_engine.rawdata import Sampling

METHODS = ("unrolled", "sense", "cs", "zero-filled")
CENTRE = 24
Progress = Callable[[int, int], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="ISMRMRD .h5, or .npz with kspace")
    parser.add_argument("output", type=Path, help="a new folder for DICOM, or a new .npy file")
    parser.add_argument(
        "--method", choices=METHODS, help="left out: what fits the sampling (sense or cs)"
    )
    parser.add_argument("--bound", type=float, help="λ of sense: bound of the noise amplification")
    parser.add_argument("--penalty", type=float, help="wavelet weight of cs, in noise SD")
    parser.add_argument("--model", help="which unrolled network")
    fewer = parser.add_mutually_exclusive_group()
    fewer.add_argument(
        "--regular",
        metavar="R",
        help="of a full scan use every R-th line (4), or R1xR2 of a 3-D scan (2x2)",
    )
    fewer.add_argument("--random", metavar="R", type=float, help="of a full scan use 1/R at random")
    parser.add_argument("--centre", type=int, default=CENTRE, help="lines of the full centre; 24")
    parser.add_argument("--seed", type=int, default=1, help="of random sampling")
    parser.add_argument(
        "--choose",
        action="append",
        default=[],
        metavar="WHAT=N",
        help="of several in a file the N-th contrast (echo), phase, repetition or set, from 1",
    )
    parser.add_argument("--noise-map", type=Path, help="a new .npy file for the noise SD")
    parser.add_argument("--memory", type=int, help="MiB that reconstructing may take")


def reconstruct_file(arguments: argparse.Namespace, progress: Progress) -> int:
    """Read, reconstruct, write; print the record.

    Raises
    ------
    EngineError
        With a sentence; nothing is left behind then.
    """
    from denoise_engine.files import write_volume
    from denoise_engine.rawdata import (
        Reconstruction,
        read_raw,
        reconstruct_raw,
        write_reconstructed,
    )

    output: Path = arguments.output
    beside = _record_of(output)
    if beside is None and output.suffix in {".nii", ".gz", ".dcm", ".h5", ".npz"}:
        raise ReconstructionError(
            f"“{output.name}”: images are written as a DICOM series into a new folder, or as .npy."
        )
    if arguments.noise_map is not None and arguments.noise_map.suffix != ".npy":
        raise ReconstructionError(f"“{arguments.noise_map.name}” must end in .npy.")
    files = [output, *filter(None, [arguments.noise_map, beside])]
    for path in files:
        _check_new(path)
    if len({path.absolute() for path in files}) < len(files):
        raise ReconstructionError(f"“{output}” is named for both the images and the noise map.")
    sampling = _sampling(arguments)
    raw = read_raw(arguments.input, choose=_chosen(arguments.choose))
    wanted = Reconstruction(
        method=arguments.method,
        sampling=sampling,
        bound=arguments.bound,
        penalty=arguments.penalty,
        model=arguments.model,
    )
    memory = None if arguments.memory is None else arguments.memory * 2**20
    result = reconstruct_raw(raw, wanted, progress=progress, memory_limit=memory)
    record = json.dumps(result.record | {"seconds": round(result.seconds, 2)}, indent=2)
    try:
        if arguments.noise_map is not None:
            write_volume(arguments.noise_map, result.noise_map)
        if beside is not None:
            beside.write_text(record + "\n", encoding="utf-8")
            write_volume(output, result.volume)
        else:
            write_reconstructed(output, result)
    except BaseException:
        # The images come last: without them the rest would be half an output.
        for path in files[1:]:
            path.unlink(missing_ok=True)
        raise
    for warning in result.record["warnings"]:
        print(f"Warning: {warning}", file=sys.stderr)
    print(record)
    return 0


def _record_of(output: Path) -> Path | None:
    """Where the record goes; the headers of a DICOM series hold it themselves."""
    return output.with_suffix(".json") if output.suffix == ".npy" else None


def _chosen(words: list[str]) -> dict[str, int]:
    from denoise_engine.rawdata.ismrmrd_file import SEVERAL

    found: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        if name not in SEVERAL or not number.isdecimal():
            raise ReconstructionError(
                f"“{word}” chooses nothing: name one of {', '.join(SEVERAL)} and its number, such "
                "as contrast=2."
            )
        found[name] = int(number)
    return found


def _sampling(arguments: argparse.Namespace) -> "Sampling | None":
    from denoise_engine.rawdata import Sampling

    if arguments.random is not None:
        return Sampling(
            kind="random",
            acceleration=arguments.random,
            centre=arguments.centre,
            seed=arguments.seed,
        )
    if arguments.regular is None:
        return None
    parts = arguments.regular.lower().split("x")
    try:
        numbers = [int(part) for part in parts]
    except ValueError as error:
        raise ReconstructionError(
            f"“{arguments.regular}” is no regular sampling: give every how many-th line is used, "
            "such as 4, or 2x2."
        ) from error
    if len(numbers) > 2:
        raise ReconstructionError("There are at most two directions of phase encoding.")
    return Sampling(
        kind="regular",
        acceleration=float(numbers[0]),
        second=numbers[1] if len(numbers) == 2 else 1,
        centre=arguments.centre,
    )


def _check_new(path: Path) -> None:
    if path.exists():
        raise ReconstructionError(f"“{path}” exists already; name a new one.")
    if not path.absolute().parent.is_dir():
        raise ReconstructionError(f"“{path.absolute().parent}” is no folder to write into.")
