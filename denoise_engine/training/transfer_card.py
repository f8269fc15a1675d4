"""The card of a transfer network as a page for people."""

from typing import Any

from denoise_engine.training.card import MEASURED_END, MEASURED_START

PURPOSE = (
    "Makes thin slices of thick ones in T1-weighted MR images of the head. It invents what was not "
    "measured. Research use only, not for diagnosis."
)
LIMITS = (
    "**Simulation only.** There are no real pairs of low and high quality scans in the training: "
    "the lower quality was computed from the higher by a forward model (contrast, blur, slice "
    "profile, down-sampling, Rician noise). What real scanners do besides, motion, bias fields, "
    "distortion, flow, it has never seen.",
    "Three heads and two synthesised ones train it, all of healthy people. Tumours, infarcts, "
    "bleeding, surgery, children and other contrasts than T1 are unseen: it may remove or invent "
    "lesions. `benchmarks/transfer.py` counts both, with painted ones.",
    "It biases volumes: thin grey matter between thick slices is what it has to guess. Volumes of "
    "its images are not to be compared with those of scans.",
    "What it restores of a contrast that a low field has lost is the mean of its training heads, "
    "not a property of the person.",
    "Its warning map tells where it expects errors of the kind that it met in training. A "
    "confident mistake is possible.",
)
USE = (
    "Show the warning map beside the image, and the thick slices that were measured.",
    "Give whole heads, thick slices first, 4 or 8 times as far apart as the pixels; other input is "
    "refused, or warned of in the record.",
)
_ABOUT = {
    "sr-unet": "SR-U-net: a 3-D U-net that pools within the slice until voxels are cubes, and "
    "spreads what crosses at each level along the slices (Heinrich 2017)",
    "anisotropic-unet": "anisotropic U-net: the same way down and up, with residual units and "
    "bottlenecks around the spreading (Lin 2019)",
}


def transfer_card_as_text(card: dict[str, Any], sha256: str) -> str:
    """Return the card as Markdown."""
    lines = [
        f"# Model card: {card['name']} version {card['version']}",
        "",
        f"**{card['purpose']}**",
        "",
        "## In short",
        "",
        f"- **What** {_ABOUT[card['architecture']['kind']]}. It corrects cubic interpolation, and "
        "gives the variance of the error to be expected at each voxel.",
        "- **How it fails**",
        *(f"  - {limit}" for limit in card["limits"]),
        "- **How to use it**",
        *(f"  - {use}" for use in card["use"]),
        "",
        MEASURED_START,
        MEASURED_END,
        "",
        *_validation(card),
        *_curve(card),
        *_making(card, sha256),
    ]
    return "\n".join(lines) + "\n"


def _name(scan: str) -> str:
    kind, factor = scan.rsplit("_", 1)
    words = {"thick": "thick slices", "low": "thick slices, low field"}[kind]
    return f"{words}, × {factor}"


def _validation(card: dict[str, Any]) -> list[str]:
    figures = card["validation"]
    scans = [key.removeprefix("psnr_") for key in figures["cubic"] if key.startswith("psnr_")]
    factors = card["calibration"]
    return [
        "## On the validation head",
        "",
        "The middle of a head that training never saw, but whose learning curve decided when to "
        "stop. PSNR (dB; peak: the reference's maximum) and SSIM where there is no air.",
        "",
        "| scan | cubic | network |",
        "| --- | --- | --- |",
        *(
            f"| {_name(scan)} | "
            + " | ".join(
                f"{figures[who]['psnr_' + scan]:.2f} / {figures[who]['ssim_' + scan]:.3f}"
                for who in ("cubic", "network")
            )
            + " |"
            for scan in scans
        ),
        "",
        "The warning maps were calibrated there: the intrinsic variance is multiplied by "
        f"{factors['intrinsic']:.2f}, that over samples with channels left out by "
        f"{factors['parameter']:.2f}.",
        "",
    ]


def _curve(card: dict[str, Any]) -> list[str]:
    if not card["curve"]:
        return []
    scans = [key.removeprefix("psnr_") for key in card["curve"][0] if key.startswith("psnr_")]
    lines = [
        "## Learning curve",
        "",
        "PSNR (dB) on the validation head, averaged weights; minutes of one processor core.",
        "",
        "| minutes | patches | " + " | ".join(_name(scan) for scan in scans) + " |",
        "| --- | --- |" + " --- |" * len(scans),
    ]
    for point in card["curve"]:
        values = " | ".join(f"{point[f'psnr_{scan}']:.2f}" for scan in scans)
        lines.append(f"| {point['minutes']:.0f} | {point['patches']:,} | {values} |")
    return [*lines, ""]


def _making(card: dict[str, Any], sha256: str) -> list[str]:
    size, drawn = card["architecture"], card["forward_model"]
    recipe = card["recipe"]

    def between(name: str) -> str:
        low, high = drawn[name]
        return f"{low:g} to {high:g}"

    return [
        "## How it was made",
        "",
        f"- Channels {'-'.join(str(c) for c in size['channels'])} going down, {size['fine']} on "
        f"the fine grid; {card['parameters']:,} parameters, kept in bfloat16; one network for the "
        f"factors {' and '.join(str(f) for f in size['factors'])}.",
        "- Forward model, drawn for every patch: slice thickness "
        f"{between('thickness')} of the spacing, blur {between('blur')} pixels in half of them, "
        f"contrast of white and grey matter {between('contrast')} of what it was in "
        f"{1 - drawn['unchanged']:.0%}, SNR {between('snr')}.",
        f"- Training: seed {recipe['seed']}, {card['steps']:,} steps of {recipe['patches']} "
        f"patches of {recipe['size']}³, {card['minutes']:g} minutes of one processor core; torch "
        f"{card['versions']['torch']}.",
        *([f"- {card['note']}"] if card.get("note") else []),
        f"- SHA-256 of the weights: `{sha256}`",
        f"- Made by: `{card['command']}`"
        + ("." if card["ended"] else f", stopped at step {card['steps']:,}, before its end."),
        "",
        "| head | what | part | licence | SHA-256 |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {d['path']} | {d['what']} | {d['part']} | {d['licence']} | `{d['sha256'][:16]}…` |"
            for d in card["data"]
        ),
    ]
