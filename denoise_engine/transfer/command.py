"""``python -m denoise_engine transfer``: thin slices from thick ones, with warning maps."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise_engine.files import Image

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class _Geometry:
    """What writing a NIfTI file takes over."""

    affine: Any
    header: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="DICOM folder, .nii, .nii.gz or .npy")
    parser.add_argument("output", type=Path, help=".nii, .nii.gz or .npy")
    parser.add_argument("--model", default="anisotropic-unet", help="or sr-unet")
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
        "--samples", type=int, default=8, help="runs for the parameter uncertainty; 8"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")


def transfer_file(arguments: argparse.Namespace, progress: Callable[[int, int], None]) -> int:
    """Enhance a file; both results are written, or neither."""
    from denoise_engine.files import check_free, read_image, write_volume
    from denoise_engine.transfer.enhance import enhance
    from denoise_engine.transfer.patches import PatchSettings

    image = read_image(arguments.input)
    targets = [arguments.output, *filter(None, [arguments.uncertainty])]
    for target in targets:
        _check_kind(target)
        check_free(target, image, overwrite=arguments.overwrite)
    spacing = _spacing_of(image, arguments.spacing)
    result = enhance(
        image.volume,
        spacing,
        model=arguments.model,
        factor=arguments.factor,
        patches=PatchSettings(arguments.patch, arguments.overlap),
        samples=arguments.samples if arguments.uncertainty is not None else 0,
        seed=arguments.seed,
        device=arguments.device,
        precision=arguments.precision,
        progress=progress,
    )
    geometry = None if image.nifti is None else _thinner(image.nifti, result.factor)
    write_volume(arguments.output, result.volume, geometry)
    if arguments.uncertainty is not None:
        try:
            write_volume(arguments.uncertainty, result.uncertainty, geometry)
        except BaseException:
            # Images without the map of where not to believe them would be half an output.
            arguments.output.unlink(missing_ok=True)
            raise
    record = result.record()
    for warning in (*image.caveats, *record["warnings"]):
        print(f"Warning: {warning}", file=sys.stderr)
    print(json.dumps(record | {"seconds": round(result.seconds, 2)}, indent=2))
    return 0


def _check_kind(path: Path) -> None:
    from denoise_engine.errors import UnusableVolumeError

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


def _thinner(nifti: Any, factor: int) -> _Geometry:
    """The geometry of the thin slices: they fill the same box as the thick ones."""
    affine = nifti.affine.copy()
    step = affine[:3, 2] / factor
    affine[:3, 3] += 0.5 * (step - affine[:3, 2])
    affine[:3, 2] = step
    return _Geometry(affine, nifti.header)
