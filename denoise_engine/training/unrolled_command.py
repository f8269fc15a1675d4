"""``python -m denoise_engine train unrolled``: from a data folder to weights."""

import argparse
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denoise_engine.training.unrolled import UnrolledTrainer
    from denoise_engine.training.unrolled_held_out import HeldOutScans

POOL_SCALES = (1.0,)


def train_unrolled(arguments: argparse.Namespace) -> int:
    """Train, showing progress, and write the averaged weights."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from denoise_engine.errors import TrainingDataError
    from denoise_engine.training.patches import load_pool
    from denoise_engine.training.sources import SOURCES
    from denoise_engine.training.unrolled import (
        UnrolledProgress,
        UnrolledRecipe,
        UnrolledTrainer,
    )
    from denoise_engine.training.unrolled_data import ScanSampler, read_arrays
    from denoise_engine.training.unrolled_held_out import held_out_scans, judge, judge_sense

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    data: Path = arguments.data
    pool = (
        []
        if arguments.export
        else load_pool(
            data,
            SOURCES,
            scales=POOL_SCALES,
            progress=lambda path, count: print(f"  {path}: {count} slices", flush=True),
        )
    )
    first = Path(arguments.start).read_bytes() if arguments.start else b""
    recipe = UnrolledRecipe(
        start=hashlib.sha256(first).hexdigest() if first else "",
        seed=arguments.seed,
        steps=arguments.steps,
        minutes=arguments.minutes,
        learning_rate=arguments.learning_rate,
    )
    scans = held_out_scans(data)
    print("SENSE on the held-out scans: " + _in_words(judge_sense(scans)), flush=True)
    trainer = UnrolledTrainer(
        ScanSampler(pool, read_arrays(data), seed=recipe.seed, batch=recipe.batch),
        recipe,
        arguments.out,
        judge=lambda network: judge(network, scans),
    )
    if arguments.resume or arguments.export:
        trainer.resume()
    elif first:
        try:
            trainer.start_from(load(first))
        except (SafetensorError, RuntimeError) as error:
            raise TrainingDataError(
                f"“{arguments.start}” does not hold the weights of an unrolled network."
            ) from error
    if arguments.export:
        return _export(trainer, scans, arguments)
    shown = 0.0

    def report(progress: UnrolledProgress, done: float) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < 30 and done < 1:
            return
        shown = now
        bounds = " ".join(f"{bound:.2f}" for bound in trainer.network.bounds)
        print(
            f"{100 * done:5.1f} %  step {progress.step:6d}  loss {progress.mean_loss:.4f}  "
            f"{progress.seconds / max(progress.step, 1):.2f} s a step  λ {bounds}"
            + (f"  {progress.skipped} skipped" if progress.skipped else "")
            + (f"  held out {_in_words(progress.curve[-1])}" if progress.curve else ""),
            flush=True,
        )

    trainer.run(report)
    return _export(trainer, scans, arguments)


def _export(
    trainer: "UnrolledTrainer", scans: "list[HeldOutScans]", arguments: argparse.Namespace
) -> int:
    from denoise_engine.training.unrolled_export import export_unrolled

    weights = export_unrolled(trainer, scans, arguments.data, arguments.out, note=arguments.note)
    print(f"wrote {weights}; its card is {weights.with_suffix('.md')}")
    return 0


def _in_words(figures: dict[str, float]) -> str:
    return "  ".join(
        f"R {name.removeprefix('psnr_')} {value:.2f} dB {figures['ssim' + name[4:]]:.3f}"
        for name, value in figures.items()
        if name.startswith("psnr_")
    )
