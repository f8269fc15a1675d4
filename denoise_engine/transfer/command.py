"""``python -m denoise_engine transfer``: thin slices from thick ones, with warning maps."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from denoise_engine.files import Image
    from denoise_engine.transfer.enhance import TransferResult

Spacing = tuple[float, float, float]

FLAGGED_SHARE = 0.1  # of the inside of the head
# Named here, so that the help needs no manifest and no torch; a test compares them.
DEFAULT = "anisotropic-unet"
_MODELS = (
    "anisotropic-unet or sr-unet, for thin slices of thick ones; 7t-like-gan or 7t-like-plain, "
    "for a scan at 3 T as if from a higher field"
)


@dataclass(frozen=True)
class _Geometry:
    """What writing a NIfTI file takes over; no header where the image came from none."""

    affine: Any
    header: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``transfer`` takes: files, model, spacing (mm), patches and warning maps.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command; :func:`transfer_file` reads what it parses.
    """
    parser.add_argument("input", type=Path, help="DICOM folder, .nii, .nii.gz or .npy")
    parser.add_argument("output", type=Path, help=".nii, .nii.gz or .npy")
    parser.add_argument("--model", default=DEFAULT, help=f"{_MODELS}; {DEFAULT} by default")
    parser.add_argument("--factor", type=int, help="thin slices to each; by default for cubes")
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("SLICE", "ROW", "COLUMN"),
        help="mm; needed for .npy, else the header's",
    )
    parser.add_argument("--patch", type=int, default=96, help="size of a patch; 96")
    parser.add_argument("--overlap", type=float, default=0.25, help="0, 0.25, 0.5 or 0.75")
    parser.add_argument(
        "--uncertainty", type=Path, help="file for the SD of the error to be expected"
    )
    parser.add_argument(
        "--flags",
        type=Path,
        help="file for the flagged map: 1 where the image is believed least, a tenth of the inside "
        "of the head",
    )
    parser.add_argument(
        "--samples",
        type=int,
        help="runs for the parameter uncertainty, 0 or from 2, each as long as the image takes; by "
        "default 8, or 0 where the card gives them no weight",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")


def transfer_file(arguments: argparse.Namespace, progress: Callable[[int, int], None]) -> int:
    """Enhance a file; image and maps are all written, or none; the record is printed.

    Parameters
    ----------
    arguments : Namespace
        As declared by :func:`add_arguments`.
    progress : callable
        Called with (patches done, patches in all).

    Returns
    -------
    int
        0.

    Raises
    ------
    EngineError
        What cannot be read, enhanced or written, or two results under one name.
    """
    from denoise_engine.files import check_free, read_image, write_volumes
    from denoise_engine.transfer.enhance import check_samples, enhance, telling_samples
    from denoise_engine.transfer.models import load_transfer
    from denoise_engine.transfer.patches import PatchSettings

    check_samples(arguments.samples or 0)
    maps = [target for target in (arguments.uncertainty, arguments.flags) if target is not None]
    targets = [arguments.output, *maps]
    _check_different(targets)
    image = read_image(arguments.input)
    for target in targets:
        _check_kind(target)
        check_free(target, image, overwrite=arguments.overwrite)
    spacing = _spacing_of(image, arguments.spacing)
    samples = 0
    if maps:
        samples = arguments.samples
        if samples is None:
            samples = telling_samples(load_transfer(arguments.model))
    result = enhance(
        image.volume,
        spacing,
        model=arguments.model,
        factor=arguments.factor,
        patches=PatchSettings(arguments.patch, arguments.overlap),
        samples=samples,
        seed=arguments.seed,
        device=arguments.device,
        precision=arguments.precision,
        progress=progress,
    )
    geometry = _geometry_of(image, spacing, result.factor)
    record = result.record()
    volumes = [(arguments.output, result.volume)]
    if arguments.uncertainty is not None:
        volumes.append((arguments.uncertainty, result.uncertainty))
    if arguments.flags is not None:
        flags = _flagged(result)
        volumes.append((arguments.flags, flags))
        voxels = int(flags.sum())
        record["flags"] = {"share": FLAGGED_SHARE, "of": "the inside of the head", "voxels": voxels}
        if not voxels:
            record["warnings"].append(
                "Nothing was flagged: no slice of the head is wide enough to have an inside. That "
                "does not make the image sure."
            )
    # Images without the map of where not to believe them would be half an output.
    write_volumes(volumes, geometry)
    for warning in (*image.caveats, *_unplaced(image, targets), *record["warnings"]):
        print(f"Warning: {warning}", file=sys.stderr)
    print(json.dumps(record | {"seconds": round(result.seconds, 2)}, indent=2))
    return 0


def _flagged(result: "TransferResult") -> "NDArray[np.float32]":
    """1 at the least sure share of the voxels inside of the head, else 0, on the result's grid.

    Scalp and skull are left out, as on the platform: the maps were calibrated in the brain.
    """
    import numpy as np

    from denoise_engine.transfer.calibration import warning_map
    from denoise_engine.transfer.inside import inside_of_head

    inside = inside_of_head(result.volume, result.spacing)
    flags = warning_map(result.uncertainty, inside, FLAGGED_SHARE)
    return flags.astype(np.float32)


def _check_different(targets: list[Path]) -> None:
    """Two results under one name would leave the last one alone."""
    from denoise_engine.errors import UnusableVolumeError

    places = [target.resolve() for target in targets]
    for target, place in zip(targets, places, strict=True):
        if places.count(place) > 1:
            raise UnusableVolumeError(
                f"“{target}” is named for two results; give each a file of its own."
            )


def _check_kind(path: Path) -> None:
    from denoise_engine.errors import UnusableVolumeError

    if path.is_dir():
        raise UnusableVolumeError(f"“{path}” is a folder; name a file.")
    if not path.name.endswith((".nii", ".nii.gz", ".npy")):
        raise UnusableVolumeError(
            f"“{path.name}” must end in .nii, .nii.gz or .npy: the thin slices are on a grid of "
            "their own, for which no DICOM series is written yet."
        )
    if not path.absolute().parent.is_dir():
        raise UnusableVolumeError(f"“{path.absolute().parent}” is no folder to write into.")


def _spacing_of(image: "Image", given: list[float] | None) -> Spacing:
    from denoise_engine.errors import UnusableVolumeError

    if given is not None:
        return given[0], given[1], given[2]
    if image.series is not None:
        return image.series.spacing
    if image.nifti is not None:
        rows, columns, slices = (float(z) for z in image.nifti.header.get_zooms()[:3])
        return slices, rows, columns
    raise UnusableVolumeError(
        f"“{image.path.name}” does not tell its spacing: give --spacing SLICE ROW COLUMN in mm."
    )


def _unplaced(image: "Image", targets: list[Path]) -> list[str]:
    """An array tells nothing but numbers; a NIfTI file made of it must not seem to know more."""
    files = [target.name for target in targets if not target.name.endswith(".npy")]
    if image.nifti is not None or image.series is not None or not files:
        return []
    return [
        f"“{image.path.name}” does not tell where the head lies: {', '.join(files)} "
        f"{'hold' if len(files) > 1 else 'holds'} the spacing alone; directions and origin mean "
        "nothing."
    ]


def _geometry_of(image: "Image", spacing: Spacing, factor: int) -> _Geometry:
    """The geometry of the thin slices: they fill the same box as the thick ones."""
    import numpy as np

    header = None
    if image.nifti is not None:
        affine, header = image.nifti.affine.copy(), image.nifti.header
    elif image.series is not None:
        affine = image.series.affine()
    else:
        affine = np.diag([spacing[1], spacing[2], spacing[0], 1.0])
    step = affine[:3, 2] / factor
    affine[:3, 3] += 0.5 * (step - affine[:3, 2])
    affine[:3, 2] = step
    return _Geometry(affine, header)
