"""Commands of ``python -m denoise_engine``: methods, apply, reconstruct, transfer, train …"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from denoise_engine.errors import EngineError, StrengthError, UnusableVolumeError
from denoise_engine.reconstruction.command import add_arguments as add_reconstruction_arguments
from denoise_engine.training.command import add_arguments as add_training_arguments
from denoise_engine.transfer.command import add_arguments as add_transfer_arguments

DEMO = Path("readerstudy") / "demo" / "data" / "lumbar"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a bound that was missed, 2 a refusal."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except EngineError as error:
        print(f"Refused: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = error.strerror or "it cannot be read or written"
        print(f"Refused: {error.filename or 'a file'}: {reason}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        from denoise_engine.runtime import ran_out_of_memory

        if not ran_out_of_memory(error):
            raise
        print("Refused: the image is larger than this machine's memory.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m denoise_engine",
        description="Denoising reconstruction of MR volumes. Research use only.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    p = commands.add_parser("methods", help="list the denoising methods")
    p.add_argument("--json", action="store_true")
    p.set_defaults(command=_methods)

    p = commands.add_parser("apply", help="denoise a DICOM folder, a NIfTI file or an npy file")
    p.add_argument("input", type=Path, help="DICOM folder or file, .nii, .nii.gz or .npy")
    p.add_argument("output", type=Path, help="a new folder for DICOM; else .nii, .nii.gz or .npy")
    p.add_argument("--method", default="ddlr", help="as listed by `methods`; ddlr by default")
    p.add_argument(
        "--noise",
        type=_noise,
        help="noise SD in the unit of the image, or “map” to estimate a map; else estimated",
    )
    strength = p.add_mutually_exclusive_group()
    strength.add_argument("--blend", type=float, help="share of denoised image, 0 to 1")
    strength.add_argument(
        "--target-snr-gain", type=float, help="SNR gain inside the body, e.g. 1.7"
    )
    p.add_argument(
        "--bias-coils",
        type=int,
        help="correct the bias of magnitude noise: 1 for Rician, else the number of channels",
    )
    p.add_argument("--native-grid", choices=["auto", "off"], default="auto")
    p.add_argument("--overwrite", action="store_true", help="replace an output file that exists")
    p.add_argument("--evidence", type=Path, help="a new folder for what speaks for the result")
    p.add_argument("--memory", type=int, help="MiB that a network may hold beside the volumes; 512")
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    p.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    p.set_defaults(command=_apply)

    p = commands.add_parser("reconstruct", help="images from raw data (k-space)")
    add_reconstruction_arguments(p)
    p.set_defaults(command=_reconstruct)

    p = commands.add_parser(
        "transfer", help="thin slices from thick ones of a T1-weighted head, with warning maps"
    )
    add_transfer_arguments(p)
    p.set_defaults(command=_transfer)

    p = commands.add_parser(
        "evaluate",
        help="PSNR and SSIM: of the demo's arms, or on an image with noise added",
        description="Without SOURCE: simulate the demo's accelerated arms of each volunteer, "
        "denoise them, and print PSNR against the source and the SNR gain reached. With SOURCE "
        "(DICOM folder, .nii, .nii.gz or .npy of high quality): add noise at each SNR, denoise, "
        "and print PSNR and SSIM inside the body before and after.",
    )
    p.add_argument("source", type=Path, nargs="?", default=DEMO, help="left out: the demo's scans")
    p.add_argument("--method", default="ddlr", help="of the demo's arms")
    p.add_argument("--target-snr-gain", type=float, default=1.7, help="of the demo's arms")
    p.add_argument(
        "--snr", type=float, nargs="+", default=[5.0, 10.0, 20.0], help="levels of added noise"
    )
    p.add_argument("--slices", type=int, default=5, help="of an image with noise added")
    p.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    p.set_defaults(command=_evaluate)

    p = commands.add_parser("train", help="train a model; resumable")
    add_training_arguments(p)
    p.set_defaults(command=_train)

    p = commands.add_parser("card", help="print the card of a model")
    p.add_argument("model", nargs="?", default="ddlr")
    p.add_argument("--json", action="store_true")
    p.set_defaults(command=_card)

    p = commands.add_parser("compile", help="build the fast passes for this processor, once")
    p.set_defaults(command=_compile)

    p = commands.add_parser("simulate", help="simulate an accelerated scan from an image")
    p.add_argument("input", type=Path)
    p.add_argument("output", type=Path, help=".nii, .nii.gz or .npy")
    p.add_argument("--protocol", required=True, help="standard, double-fast, triple-fast, parallel")
    p.add_argument("--snr", type=float, required=True, help="body SNR of the standard protocol")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--overwrite", action="store_true", help="replace an output file that exists")
    p.set_defaults(command=_simulate)
    return parser


def _noise(text: str) -> float | str:
    if text == "map":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is neither a number nor “map”") from error


def _methods(arguments: argparse.Namespace) -> int:
    from denoise_engine.methods.filters import describe_methods

    methods = describe_methods().values()
    if arguments.json:
        print(json.dumps([method.as_json() for method in methods], indent=2))
        return 0
    for method in methods:
        print(f"{method.name:10} {method.version}\n    {method.summary}. {method.source}")
        if method.sha256:
            print(f"    weights {method.sha256}; `card {method.name}` tells what it is valid for")
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from denoise_engine.denoiser import denoise
    from denoise_engine.files import check_target, read_image, write_image
    from denoise_engine.strength import Blend, Full, Strength, TargetSnrGain

    strength: Strength = Full()
    if arguments.blend is not None:
        strength = Blend(arguments.blend)
    elif arguments.target_snr_gain is not None:
        strength = TargetSnrGain(arguments.target_snr_gain)
    if arguments.evidence is not None:
        _check_new_folder(arguments.evidence)
    image = read_image(arguments.input)
    check_target(arguments.output, image, overwrite=arguments.overwrite)
    memory_limit = None if arguments.memory is None else arguments.memory * 2**20
    with _progress("denoising") as progress:
        result = denoise(
            image.volume,
            noise=arguments.noise,
            strength=strength,
            model=arguments.method,
            device=arguments.device,
            precision=arguments.precision,
            native_grid=arguments.native_grid,
            acquired=image.acquired,
            bias_coils=arguments.bias_coils,
            memory_limit=memory_limit,
            caveats=image.caveats,
            progress=progress,
        )
    record = result.record()
    if arguments.evidence is None:
        write_image(arguments.output, result.volume, image, record, overwrite=arguments.overwrite)
    else:
        from denoise_engine.evidence import gather_evidence

        with _progress("gathering evidence") as progress:
            evidence = gather_evidence(
                image.volume, result, progress=progress, memory_limit=memory_limit
            )
        record = evidence.judged(record)
        evidence.save(arguments.evidence)
        try:
            write_image(
                arguments.output, result.volume, image, record, overwrite=arguments.overwrite
            )
        except BaseException:
            # Evidence of images that are not there would be half an output.
            shutil.rmtree(arguments.evidence, ignore_errors=True)
            raise
    for warning in record["warnings"]:
        print(f"Warning: {warning}", file=sys.stderr)
    print(json.dumps(record | {"seconds": round(result.seconds, 2)}, indent=2))
    return 0


def _reconstruct(arguments: argparse.Namespace) -> int:
    from denoise_engine.reconstruction.command import reconstruct_file

    with _progress("reconstructing") as progress:
        return reconstruct_file(arguments, progress)


def _transfer(arguments: argparse.Namespace) -> int:
    from denoise_engine.transfer.command import transfer_file

    with _progress("enhancing") as progress:
        return transfer_file(arguments, progress)


def _check_new_folder(folder: Path) -> None:
    if folder.exists():
        raise UnusableVolumeError(f"“{folder}” exists already; name a new folder.")
    if not folder.absolute().parent.is_dir():
        raise UnusableVolumeError(f"“{folder.absolute().parent}” is no folder to write into.")


def _evaluate(arguments: argparse.Namespace) -> int:
    from denoise_engine.evaluation import evaluate_folder, evaluate_with_added_noise, verdict
    from denoise_engine.files import read_image
    from denoise_engine.methods.filters import describe_methods

    def report(line: str) -> None:
        print(line, flush=True)

    source: Path = arguments.source
    if source.is_dir() and (source == DEMO or any(source.glob("*.npz"))):
        if arguments.target_snr_gain < 1:
            raise StrengthError("A target gain must be 1 or more.")
        figures = evaluate_folder(
            source,
            gain=arguments.target_snr_gain,
            precision=arguments.precision,
            report=report,
            model=arguments.method,
        )
        passed, sentence = verdict(figures)
        print(sentence)
        return 0 if passed else 1
    if min(arguments.snr) <= 0 or arguments.slices < 1:
        raise StrengthError("SNR and the number of slices must be above 0.")
    evaluate_with_added_noise(
        read_image(source).volume,
        methods=tuple(describe_methods()),
        snrs=arguments.snr,
        slices=arguments.slices,
        precision=arguments.precision,
        report=report,
    )
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from denoise_engine.training.command import train

    return train(arguments)


def _card(arguments: argparse.Namespace) -> int:
    from denoise_engine.models import (
        RECONSTRUCTION_MANIFEST,
        TRANSFER_MANIFEST,
        available_models,
        card_in_use,
        find_model,
        page_beside,
    )

    networks = available_models(RECONSTRUCTION_MANIFEST)
    transfer = available_models(TRANSFER_MANIFEST)
    of_name = networks.get(arguments.model) or transfer.get(arguments.model)
    file = of_name or find_model(arguments.model)
    card = card_in_use(file)
    if arguments.json:
        print(json.dumps(card | {"sha256": file.sha256}, indent=2))
    elif page := page_beside(file):
        print(page)
    elif file.name in networks:
        from denoise_engine.training.unrolled_export import unrolled_card_as_text

        print(unrolled_card_as_text(card, file.sha256))
    elif file.name in transfer:
        from denoise_engine.training.transfer_card import transfer_card_as_text

        print(transfer_card_as_text(card, file.sha256))
    else:
        from denoise_engine.training.card import card_as_text

        print(card_as_text(card, file.sha256))
    return 0


def _compile(arguments: argparse.Namespace) -> int:
    from denoise_engine.ddlr.compiled import build

    build()
    print("The denoiser's fast passes are built for this processor.")
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from denoise_engine.files import check_free, read_image, write_volume
    from denoise_engine.simulation import simulate_acquisition

    image = read_image(arguments.input)
    check_free(arguments.output, image, overwrite=arguments.overwrite)
    with _progress("simulating") as progress:
        result = simulate_acquisition(
            image.volume,
            protocol=arguments.protocol,
            snr=arguments.snr,
            seed=arguments.seed,
            progress=progress,
        )
    write_volume(arguments.output, result.volume, image.nifti)
    print(json.dumps(result.provenance, indent=2))
    return 0


@contextmanager
def _progress(word: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the error stream: done, in all, time left. It ends with the block, well or not."""
    from tqdm import tqdm

    bar: tqdm[None] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, desc=word, unit="slice", file=sys.stderr, leave=True)
        bar.update(done - bar.n)
        if done >= total:
            bar.close()  # its line ends before anything else is said

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
