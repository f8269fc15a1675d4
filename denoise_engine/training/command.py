"""``python -m denoise_engine train``: from a data folder to weights."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from denoise_engine.training.sources import SOURCES
from denoise_engine.training.transfer_command import NETWORKS as TRANSFER_NETWORKS

if TYPE_CHECKING:
    from denoise_engine.training.patches import CleanSlice
    from denoise_engine.training.undersampled import UndersampledPair


# Share of the patches that come from simulated compressed sensing.
UNDERSAMPLED_SHARE = {"ddlr": 0.0, "ddlr-cs": 0.6}
PAIRS = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", choices=[*UNDERSAMPLED_SHARE, "unrolled", *TRANSFER_NETWORKS])
    parser.add_argument("--data", type=Path, required=True, help="folder of the training images")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and weights")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes of training")
    parser.add_argument("--steps", type=int, default=100_000, help="stop after so many steps")
    parser.add_argument("--seed", type=int, default=20240611)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch thinks best")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--export",
        action="store_true",
        help="unrolled and transfer networks: write the weights of the last checkpoint, without "
        "training on",
    )
    parser.add_argument(
        "--pairs", type=Path, help="transfer networks: BIDS folder of real pairs, beside the heads"
    )
    parser.add_argument("--start", help="a shipped model to begin with; unrolled: its file")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="transfer, with --start: calibrate its warning maps anew, keep the weights",
    )
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--note", default="", help="a sentence about this training for the card")
    parser.add_argument("--no-compile", action="store_true", help="no C++ compiler is needed")


def train(arguments: argparse.Namespace) -> int:
    """Train, showing progress, and write the averaged weights."""
    _refuse_what_would_be_ignored(arguments)
    if arguments.model == "unrolled":
        from denoise_engine.training.unrolled_command import train_unrolled

        return train_unrolled(arguments)
    if arguments.model in TRANSFER_NETWORKS:
        from denoise_engine.training.transfer_command import train_transfer

        return train_transfer(arguments)
    import torch

    from denoise_engine.models import find_model, load_model
    from denoise_engine.runtime import choose_backend
    from denoise_engine.training.export import export_model
    from denoise_engine.training.held_out import curve_judge
    from denoise_engine.training.loop import Progress, Recipe, Trainer
    from denoise_engine.training.patches import PatchSampler, load_pool

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    pool = load_pool(
        arguments.data,
        SOURCES,
        progress=lambda path, count: print(f"  {path}: {count} slices", flush=True),
    )
    megapixels = sum(clean.image.size for clean in pool) / 1e6
    print(f"{len(pool)} training images at all scales, {megapixels:.0f} megapixels", flush=True)
    recipe = Recipe(
        seed=arguments.seed,
        steps=arguments.steps,
        minutes=arguments.minutes,
        learning_rate=arguments.learning_rate,
        start=arguments.start or "",
        undersampled=UNDERSAMPLED_SHARE[arguments.model],
    )
    sampler = PatchSampler(
        pool,
        seed=recipe.seed,
        patches=recipe.patches,
        size=recipe.size,
        pairs=_pairs(arguments.out, pool, recipe.seed) if recipe.undersampled else (),
        share=recipe.undersampled,
    )
    start = None
    if arguments.start:
        start = load_model(find_model(arguments.start)).network.state_dict()
    trainer = Trainer(
        sampler,
        recipe,
        arguments.out,
        compiled=not arguments.no_compile,
        device=choose_backend(arguments.device, "float32").device,
        start=start,
        judge=curve_judge(arguments.data, SOURCES),
    )
    if arguments.resume:
        trainer.resume()

    shown = 0.0

    def report(progress: Progress, done: float) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > 15 or done >= 1:
            shown = now
            left = progress.seconds * (1 - done) / max(done, 1e-6) / 60
            print(
                f"{100 * done:5.1f} %  step {progress.step:6d}  loss {progress.mean_loss:.5f}  "
                f"{progress.seconds / max(progress.step, 1):.2f} s a step  {left:.0f} min left"
                + (f"  {progress.rollbacks} rollbacks" if progress.rollbacks else "")
                + (f"  held out {progress.curve[-1]['mean']:.2f} dB" if progress.curve else ""),
                flush=True,
            )

    trainer.run(report)
    print("judging on held-out images", flush=True)
    weights = export_model(
        trainer, arguments.data, arguments.out, name=arguments.model, note=arguments.note
    )
    print(f"wrote {weights}; its card is {weights.with_suffix('.md')}")
    return 0


def _refuse_what_would_be_ignored(arguments: argparse.Namespace) -> None:
    """An option that another kind of network has: its user believes in a training that never was.

    What is ignored of the options of transfer networks themselves, their own command refuses.
    """
    from denoise_engine.errors import TrainingDataError

    model = arguments.model
    if model in TRANSFER_NETWORKS:
        return
    if arguments.pairs:
        raise TrainingDataError(
            f"--pairs is for the transfer networks ({', '.join(TRANSFER_NETWORKS)}): {model} is "
            "not trained on pairs, and would not read them. Leave it out."
        )
    if arguments.calibrate:
        raise TrainingDataError(
            f"--calibrate is for the transfer networks ({', '.join(TRANSFER_NETWORKS)}): {model} "
            "has no warning maps. Leave it out."
        )
    if arguments.export and model != "unrolled":
        raise TrainingDataError(
            f"--export is for unrolled and the transfer networks: {model} writes its weights when "
            "its training ends. Leave it out; with --resume and the same length nothing is "
            "trained any more."
        )
    if arguments.device != "cpu" and model == "unrolled":
        raise TrainingDataError("unrolled is trained on the processor. Leave --device out.")


def _pairs(out: Path, pool: "list[CleanSlice]", seed: int) -> "list[UndersampledPair]":
    from denoise_engine.training.undersampled import read_pairs, save_pairs, simulate_pairs

    kept = out / "pairs.npz"
    if not kept.exists():
        out.mkdir(parents=True, exist_ok=True)

        def show(done: int, total: int) -> None:
            if done % 20 == 0:
                print(f"  simulated {done} of {total} accelerated scans", flush=True)

        save_pairs(simulate_pairs(pool, count=PAIRS, seed=seed, progress=show), kept)
    return read_pairs(kept)
