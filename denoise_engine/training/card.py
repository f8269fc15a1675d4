"""The model card as a page for people: first for a radiologist, then for those who check."""

from typing import Any

PURPOSE = "Removes noise from magnitude MR images. Research use only, not for diagnosis."
# What benchmarks/model_card.py fills in once the weights are there to be measured.
MEASURED_START, MEASURED_END = "<!-- measured -->", "<!-- /measured -->"

USE = (
    "At full strength images look artificially smooth. Use a target SNR gain (1.7 in the published "
    "products) or a blend; look at the removed noise beside the image, which should hold no "
    "anatomy.",
    "Give images as the scanner acquired them. Interpolated series are taken back to their own "
    "matrix first, which the record says.",
    "The record beside each derived series tells the noise level, how far it can be trusted, the "
    "gain reached, and where the output should not be believed.",
)

LIMITS = {
    "ddlr": (
        "Trained on brain and knee of a few people, none of them a patient with spine disease. The "
        "lumbar spine is unseen anatomy; fat suppression, contrast medium and implants were seen "
        "in none.",
        "Low-contrast detail near the noise level can be smoothed away: what is fainter than about "
        "the noise SD over a few pixels may vanish, most of all below an SNR of 5.",
        "Noise is taken to be white, or mildly coloured. Streaks and aliasing of compressed "
        "sensing or parallel imaging are not noise: they stay, and stand out once the noise is "
        "gone.",
        "If the noise level is read too low, noise stays; if it is read too high, detail goes. "
        "Interpolated or already denoised images read too low: the estimate refuses or warns.",
        "The local mean passes unchanged, and with it the Rician bias of dark tissue and air; its "
        "correction is a step of its own, off by default.",
    ),
    "ddlr-cs": (
        "Made for comparison: ddlr, trained on with simulated compressed sensing (eight simulated "
        "coils, 55 % of the phase encodings, wavelet penalty). Other accelerations and "
        "reconstructions leave other artifacts.",
        "It may take weak, line-like anatomy along the phase encoding for a streak.",
        "Trained on brain and knee of a few people, none of them a patient with spine disease. The "
        "lumbar spine is unseen anatomy.",
        "Low-contrast detail near the noise level can be smoothed away.",
    ),
}


def card_as_text(card: dict[str, Any], sha256: str) -> str:
    """Return the card as Markdown."""
    low, high = card["snr_range"]
    lines = [
        f"# Model card: {card['name']} version {card['version']}",
        "",
        f"**{card['purpose']}**",
        "",
        "## In short",
        "",
        f"- **Trained on** {_anatomies(card)}. No image of the spine.",
        f"- **Valid** where the mean signal of the body is {low:g} to {high:g} times the noise, on "
        "single magnitude images with noise that is alike at all frequencies. A little outside it "
        "warns, further outside it refuses.",
        "- **How it fails**",
        *(f"  - {limit}" for limit in card["limits"]),
        "- **How to use it**",
        *(f"  - {use}" for use in card["use"]),
        "",
        MEASURED_START,
        MEASURED_END,
        "",
        "## Measured on images kept out of training",
        "",
        "White Gaussian noise of known level, float32; PSNR in dB inside the body, peak: the "
        "maximum of the slice. “Start” is the untrained network, plain DCT shrinkage.",
        "",
        "| anatomy | series | slices | SNR | noisy | start | trained | gain |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {f['anatomy']} | {f['path']} | {f['slices']} | {f['snr']:g} | {f['noisy']:.2f} | "
        f"{f['start']:.2f} | {f['trained']:.2f} | {f['trained'] - f['noisy']:+.2f} |"
        for f in card["figures"]
    ]
    lines += _learning_curve(card)
    lines += _making(card, sha256)
    return "\n".join(lines) + "\n"


def _anatomies(card: dict[str, Any]) -> str:
    contrasts: dict[str, list[str]] = {}
    for d in card["data"]:
        if d["held_out"] != "all" and d["contrast"] not in contrasts.setdefault(d["anatomy"], []):
            contrasts[d["anatomy"]].append(d["contrast"])
    return " and ".join(f"{a} ({', '.join(c)})" for a, c in contrasts.items())


def _learning_curve(card: dict[str, Any]) -> list[str]:
    if not card["curve"]:
        return []
    levels = [key for key in card["curve"][0] if key.startswith("snr_")]
    names = " | ".join(f"SNR {key.removeprefix('snr_')}" for key in levels)
    lines = [
        "",
        "## Learning curve",
        "",
        "What the network had seen against PSNR (dB, mean over a few kept-out slices, averaged "
        "weights). The learning rate falls to 0 by its schedule, so a flat end does not tell what "
        "a longer training would buy.",
        "",
        f"| minutes | patches | megapixels | {names} | mean |",
        "| --- | --- | --- | " + "--- | " * len(levels) + "--- |",
    ]
    for point in card["curve"]:
        values = " | ".join(f"{point[key]:.2f}" for key in levels)
        lines.append(
            f"| {point['minutes']:.0f} | {point['patches']:,} | {point['megapixels']:,.0f} | "
            f"{values} | {point['mean']:.2f} |"
        )
    return lines


def _making(card: dict[str, Any], sha256: str) -> list[str]:
    recipe = card["recipe"]
    began = f" It began with the weights of {recipe['start']}." if recipe.get("start") else ""
    lines = [
        "",
        "## How it was made",
        "",
        f"- Network: {card['architecture']} ({card['parameters']:,} parameters, receptive field "
        f"{card['receptive_field']} pixels). {card['reference']}.",
        f"- Training: seed {recipe['seed']}, {card['steps']:,} steps of {recipe['patches']} "
        f"patches of {recipe['size']}², {card['minutes']:g} minutes on {card['machine']}; "
        f"torch {card['versions']['torch']}.{began}",
        *([f"- {card['note']}"] if card.get("note") else []),
        f"- SHA-256 of the weights: `{sha256}`",
        f"- Made by: `{card['command']}`"
        + (
            f". It was limited to {recipe['minutes']:g} minutes then; by the number of its steps "
            "it can be repeated on any machine, along the same schedule but for its pace."
            if recipe.get("minutes")
            else "."
        ),
        "",
        "| series | anatomy | contrast | licence | kept out | SHA-256 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {d['path']} | {d['anatomy']} | {d['contrast']} | {d['licence']} | {d['held_out']} | "
        f"`{d['sha256'][:16]}…` |"
        for d in card["data"]
    ]
    return lines
