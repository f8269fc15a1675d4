"""Commands of ``python -m denoise_engine``: denoise, simulate, evaluate, train, card."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from denoise_engine.errors import EngineError, StrengthError
from denoise_engine.training.command import add_arguments as add_training_arguments

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
        print(f"Refused: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
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

    p = commands.add_parser("denoise", help="denoise a NIfTI or npy volume")
    p.add_argument("input", type=Path)
    p.add_argument("output", type=Path)
    p.add_argument("--noise", type=float, help="noise SD in the unit of the image; else estimated")
    strength = p.add_mutually_exclusive_group()
    strength.add_argument("--blend", type=float, help="share of denoised image, 0 to 1")
    strength.add_argument(
        "--target-snr-gain", type=float, help="SNR gain inside the body, e.g. 1.7"
    )
    p.add_argument("--model", default="ddlr")
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    p.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    p.set_defaults(command=_denoise)

    p = commands.add_parser("simulate", help="simulate an accelerated scan from an image")
    p.add_argument("input", type=Path)
    p.add_argument("output", type=Path)
    p.add_argument("--protocol", required=True, help="standard, double-fast or triple-fast")
    p.add_argument("--snr", type=float, required=True, help="body SNR of the standard protocol")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(command=_simulate)

    p = commands.add_parser("evaluate", help="PSNR of the demo's arms with and without DLR")
    p.add_argument("folder", type=Path, nargs="?", default=DEMO)
    p.add_argument("--target-snr-gain", type=float, default=1.7)
    p.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    p.set_defaults(command=_evaluate)

    p = commands.add_parser("train", help="train a model; resumable")
    add_training_arguments(p)
    p.set_defaults(command=_train)

    p = commands.add_parser("card", help="print the card of a model")
    p.add_argument("model", nargs="?", default="ddlr")
    p.add_argument("--json", action="store_true")
    p.set_defaults(command=_card)
    return parser


def _denoise(arguments: argparse.Namespace) -> int:
    from denoise_engine.denoiser import denoise
    from denoise_engine.files import read_volume, write_volume
    from denoise_engine.strength import Blend, Full, Strength, TargetSnrGain

    strength: Strength = Full()
    if arguments.blend is not None:
        strength = Blend(arguments.blend)
    elif arguments.target_snr_gain is not None:
        strength = TargetSnrGain(arguments.target_snr_gain)
    volume, template = read_volume(arguments.input)
    result = denoise(
        volume,
        noise=arguments.noise,
        strength=strength,
        model=arguments.model,
        device=arguments.device,
        precision=arguments.precision,
        progress=_progress("denoised"),
    )
    write_volume(arguments.output, result.volume, template)
    print(json.dumps(result.record() | {"seconds": round(result.seconds, 2)}, indent=2))
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from denoise_engine.files import read_volume, write_volume
    from denoise_engine.simulation import simulate_acquisition

    volume, template = read_volume(arguments.input)
    result = simulate_acquisition(
        volume,
        protocol=arguments.protocol,
        snr=arguments.snr,
        seed=arguments.seed,
        progress=_progress("simulated"),
    )
    write_volume(arguments.output, result.volume, template)
    print(json.dumps(result.provenance, indent=2))
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from denoise_engine.evaluation import evaluate_folder, verdict

    if arguments.target_snr_gain < 1:
        raise StrengthError("A target gain must be 1 or more.")
    figures = evaluate_folder(
        arguments.folder,
        gain=arguments.target_snr_gain,
        precision=arguments.precision,
        report=lambda line: print(line, flush=True),
    )
    passed, sentence = verdict(figures)
    print(sentence)
    return 0 if passed else 1


def _train(arguments: argparse.Namespace) -> int:
    from denoise_engine.training.command import train

    return train(arguments)


def _card(arguments: argparse.Namespace) -> int:
    from denoise_engine.models import find_model, read_card

    file = find_model(arguments.model)
    card = read_card(file)
    if arguments.json:
        print(json.dumps(card | {"sha256": file.sha256}, indent=2))
    else:
        from denoise_engine.training.export import card_as_text

        print(card_as_text(card, file.sha256))
    return 0


def _progress(word: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        end = "\n" if done == total else "\r"
        print(f"{word} {done} of {total} slices", end=end, file=sys.stderr, flush=True)

    return show
