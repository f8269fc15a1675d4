"""``python -m denoise_engine train sr-unet`` and the other transfer networks: heads to weights."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denoise_engine.training.transfer import TransferRecipe, TransferTrainer

NETWORKS = ("sr-unet", "anisotropic-unet", "7t-like-gan", "7t-like-plain")


def train_transfer(arguments: argparse.Namespace) -> int:
    """Train, showing progress, and write the averaged weights."""
    import torch

    from denoise_engine.runtime import choose_backend
    from denoise_engine.training.transfer import TransferProgress
    from denoise_engine.training.transfer_data import PatchSampler, ranges_for
    from denoise_engine.training.transfer_held_out import held_out_scans, judge, judge_cubic
    from denoise_engine.transfer.heads import load_heads
    from denoise_engine.transfer.models import load_transfer
    from denoise_engine.transfer.pairs import read_pairs

    _refuse_what_would_be_ignored(arguments)
    if arguments.calibrate and arguments.start:
        return _calibrate(arguments)
    if arguments.export and arguments.start:
        return _refit_errors(arguments)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    data: Path = arguments.data
    recipe, trainer_class = _recipe(arguments)
    device = choose_backend(arguments.device, "float32").device
    start = load_transfer(arguments.start) if arguments.start else None
    pairs = read_pairs(arguments.pairs) if arguments.pairs else []
    for pair in pairs:
        print(f"  {pair.name}: real pair, {pair.high.shape}, factor {pair.factor}", flush=True)
    heads = [] if arguments.export else load_heads(data, "train")
    for head in heads:
        print(f"  {head.name}: {head.source.what}, {head.volume.shape}", flush=True)
    sampler = None
    if not arguments.export:
        sampler = PatchSampler(
            heads,
            seed=recipe.seed,
            factors=recipe.factors,
            patches=recipe.patches,
            size=recipe.size,
            ranges=ranges_for(recipe.factors),
            pairs=pairs,
        )
    validation = load_heads(data, "validation")[0]
    scans = held_out_scans(validation, recipe.factors)
    print(f"cubic on {validation.name}: {_in_words(judge_cubic(scans))}", flush=True)
    trainer = trainer_class(
        sampler,
        recipe,
        arguments.out,
        start=start,
        device=device,
        judge=lambda network: judge(network, scans),
    )
    if arguments.resume or arguments.export:
        trainer.resume(as_it_was=arguments.export)
    if not arguments.export:
        shown = 0.0

        def report(progress: TransferProgress, done: float) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < 30 and done < 1:
                return
            shown = now
            print(
                f"{100 * done:5.1f} %  step {progress.step:6d}  loss {progress.mean_loss:.4f}  "
                f"{progress.seconds / max(progress.step, 1):.2f} s a step"
                + (f"  {progress.skipped} skipped" if progress.skipped else "")
                + (f"  held out {_in_words(progress.curve[-1])}" if progress.curve else ""),
                flush=True,
            )

        trainer.run(report)
    from denoise_engine.training.transfer_export import export_transfer

    weights = export_transfer(trainer, data, arguments.out, note=arguments.note)
    print(f"wrote {weights}; its card is {weights.with_suffix('.md')}")
    return 0


def _refuse_what_would_be_ignored(arguments: argparse.Namespace) -> None:
    """An option that has no effect is refused: its user believes in a training that never was."""
    from denoise_engine.errors import TrainingDataError

    if arguments.calibrate and (arguments.start != arguments.model or arguments.export):
        raise TrainingDataError(
            f"--calibrate looks at a shipped network: write --start {arguments.model} beside it, "
            "and no --export."
        )
    if arguments.calibrate:
        for option, given in (
            ("--pairs", arguments.pairs),
            ("--resume", arguments.resume),
            ("--minutes", arguments.minutes),
            ("--note", arguments.note),
            ("--device", arguments.device != "cpu"),
        ):
            if given:
                raise TrainingDataError(
                    "--calibrate trains nothing, and looks at the validation head alone: "
                    f"{option} has no effect. Leave it out."
                )
    if not arguments.export:
        return
    if arguments.pairs:
        raise TrainingDataError(
            "--export trains nothing: --pairs has no effect. The checkpoint knows its pairs."
        )
    if arguments.device != "cpu":
        raise TrainingDataError("--export works on the processor. Leave --device out.")
    if arguments.minutes is not None:
        raise TrainingDataError("--export trains nothing: --minutes has no effect. Leave it out.")
    if arguments.resume:
        raise TrainingDataError("--export does not train on: leave --resume out, or --export.")
    if arguments.start and arguments.start != arguments.model:
        raise TrainingDataError(
            f"--start {arguments.start} --export fits the model of errors of {arguments.start} "
            f"anew, not that of {arguments.model}. Name the same network twice."
        )


def _refit_errors(arguments: argparse.Namespace) -> int:
    from denoise_engine.training.transfer_export import refit_errors
    from denoise_engine.transfer.models import load_transfer

    weights = refit_errors(
        load_transfer(arguments.start),
        arguments.data,
        arguments.out,
        seed=arguments.seed,
        note=arguments.note,
    )
    print(f"wrote {weights}; its card is {weights.with_suffix('.md')}")
    return 0


def _calibrate(arguments: argparse.Namespace) -> int:
    from denoise_engine.training.transfer_export import calibrate_anew
    from denoise_engine.transfer.models import load_transfer

    written = calibrate_anew(load_transfer(arguments.start), arguments.data, arguments.out)
    print(f"wrote {written}, and the card beside it")
    return 0


def _recipe(arguments: argparse.Namespace) -> "tuple[TransferRecipe, type[TransferTrainer]]":
    from denoise_engine.training.transfer import TransferRecipe, TransferTrainer

    given = {
        "kind": arguments.model,
        "seed": arguments.seed,
        "steps": arguments.steps,
        "minutes": arguments.minutes,
        "learning_rate": arguments.learning_rate,
    }
    if not arguments.model.startswith("7t-like"):
        return TransferRecipe(**given), TransferTrainer
    from denoise_engine.training.adversarial import PLAIN, GeneratorRecipe, GeneratorTrainer

    if arguments.model == PLAIN:
        given["adversarial"] = 0.0
    return GeneratorRecipe(**given), GeneratorTrainer


def _in_words(figures: dict[str, float]) -> str:
    scans = [name.removeprefix("psnr_") for name in figures if name.startswith("psnr_")]
    return "  ".join(
        f"{scan.replace('_', ' ×')} {figures['psnr_' + scan]:.2f} dB {figures['ssim_' + scan]:.3f}"
        for scan in scans
    )
