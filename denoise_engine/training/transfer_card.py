"""The card of a transfer network as a page for people."""

from collections.abc import Sequence
from typing import Any

from denoise_engine.training.card import MEASURED_END, MEASURED_START

_PURPOSE = (
    "Makes thin slices of thick ones in T1-weighted MR images of the head. It invents what was not "
    "measured. Research use only, not for diagnosis."
)
_PURPOSE_OF_FIELD = (
    "Makes a T1-weighted MR image of the head at 3 T look as if it came from a higher field. It "
    "invents what was not measured; no scan at 7 T taught it. Research use only, not for diagnosis."
)
_LIMITS = (
    "**Simulation only.** There are no real pairs of low and high quality scans in the training: "
    "the lower quality was computed from the higher by a forward model (contrast, blur, slice "
    "profile, down-sampling, Rician noise). What real scanners do besides, motion, bias fields, "
    "distortion, flow, it has never seen.",
    "Three heads and two synthesised ones train it, all of healthy people. Tumours, infarcts, "
    "bleeding, surgery, children and other contrasts than T1 are unseen: it may remove or invent "
    "lesions. `benchmarks/transfer.py` counts both, with painted ones.",
)
# The same of a network that a site trained on real pairs too.
_PURPOSE_OF_FIELD_WITH_PAIRS = (
    "Makes a T1-weighted MR image of the head look as if it came from a higher field. It invents "
    "what was not measured; {pairs} and simulated scans taught it. Research use only, not for "
    "diagnosis."
)
_LIMITS_WITH_PAIRS = (
    "**Part simulation.** {pairs} of low and high quality scans took part in the training, beside "
    "heads whose lower quality was computed by a forward model (contrast, blur, slice profile, "
    "down-sampling, Rician noise). Validation, calibration and warning maps rest on the simulated "
    "scans alone.",
    "Three heads and two synthesised ones, all of healthy people, train it beside {pairs}; whom "
    "these show, and how well they are registered, the site must know. What they do not hold is "
    "unseen (tumours, infarcts, bleeding, surgery, children, other contrasts than T1): it may "
    "remove or invent lesions. `benchmarks/transfer.py` counts both, with painted ones.",
)
_LIMITS_OF_FIELD_WITH_PAIRS = (
    "**Apart from {pairs} nothing here was scanned at a higher field.** Heads at 1.5 and 3 T stand "
    "for it in the rest of the training, and what is taken for 3 T is computed from them: 1.1 to 2 "
    "voxels of blur in all directions, less contrast of white and grey matter, more noise.",
    "Detail that looks sharp may be made up. How much of it is really there is measured below, on "
    "simulated scans.",
)
_LIMITS_OF_SLICES = (
    "It biases volumes: thin grey matter between thick slices is what it has to guess. Volumes of "
    "its images are not to be compared with those of scans.",
    "What it restores of a contrast that a low field has lost is the mean of its training heads, "
    "not a property of the person.",
)
_LIMITS_OF_FIELD = (
    "**Nothing here was scanned at 7 T.** Heads at 1.5 and 3 T stand for the high field, and what "
    "is taken for 3 T is computed from them: 1.1 to 2 voxels of blur in all directions, less "
    "contrast of white and grey matter, more noise. What 7 T shows besides (veins, other T1, "
    "inhomogeneity) it does not make.",
    "Detail that looks sharp may be made up. How much of it is really there is measured below.",
)
_LIMITS_OF_WARNING = (
    "Its warning map tells where it expects errors of the kind that it met in training. A "
    "confident mistake is possible.",
)
# By so much the ratio must rise for runs that each take as long as the image itself.
WORTH_WHILE = 0.02
CALIBRATED = "The warning maps were calibrated"
_USE = ("Show the warning map beside the image, and the scan that was measured.",)
_USE_OF_SLICES = (
    "Give whole heads, thick slices first, 4 or 8 times as far apart as the pixels; other input is "
    "refused, or warned of in the record.",
)
_USE_OF_FIELD = (
    "Give whole heads with voxels that are nearly cubes; other input is refused, or warned of in "
    "the record.",
)
_ABOUT = {
    "sr-unet": "SR-U-net: a 3-D U-net that pools within the slice until voxels are cubes, and "
    "spreads what crosses at each level along the slices (Heinrich 2017). It corrects cubic "
    "interpolation",
    "anisotropic-unet": "anisotropic U-net: the same way down and up, with residual units and "
    "bottlenecks around the spreading (Lin 2019). It corrects cubic interpolation",
    "7t-like-gan": "a residual 3-D U-net that corrects the scan, trained by L1, structural "
    "similarity and a second network that learns to tell generated patches from real ones",
    "7t-like-plain": "a residual 3-D U-net that corrects the scan, trained by L1 and structural "
    "similarity alone: what `7t-like-gan` is without the second network",
}


def _of_field(name: str) -> bool:
    return name.startswith("7t-like")


def purpose_of(name: str, pairs: int = 0) -> str:
    """Return what a network is for, in a sentence.

    Parameters
    ----------
    name : str
    pairs : int
        Real pairs that took part in its training.
    """
    if not _of_field(name):
        return _PURPOSE
    return _with_pairs(_PURPOSE_OF_FIELD_WITH_PAIRS, pairs) if pairs else _PURPOSE_OF_FIELD


def limits_of(name: str, pairs: int = 0) -> list[str]:
    """Return how it fails, a sentence or more each.

    Parameters
    ----------
    name : str
    pairs : int
        Real pairs that took part in its training; without them the card says that all is simulated.
    """
    shared = _LIMITS_WITH_PAIRS if pairs else _LIMITS
    own = _LIMITS_OF_SLICES
    if _of_field(name):
        own = _LIMITS_OF_FIELD_WITH_PAIRS if pairs else _LIMITS_OF_FIELD
    return [_with_pairs(limit, pairs) for limit in (*shared, *own, *_LIMITS_OF_WARNING)]


def _with_pairs(sentence: str, pairs: int) -> str:
    said = "1 real pair" if pairs == 1 else f"{pairs} real pairs"
    return sentence.replace("{pairs}", said)


def pair_rows(pairs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the card's data table for real pairs, two files each.

    Parameters
    ----------
    pairs : sequence of dict
        As :meth:`denoise_engine.transfer.pairs.RegisteredPair.record` gives them.
    """
    rows = []
    for pair in pairs:
        grid = "the same grid" if pair["factor"] == 1 else f"{pair['factor']} slices to each"
        for role, file in zip(("low", "high"), pair["files"], strict=True):
            rows.append(
                {
                    "path": file["path"],
                    "what": f"real pair {pair['name']}, {role} quality, {grid}",
                    "part": "train",
                    "licence": "of the site",
                    "sha256": file["sha256"],
                    "pair": pair["name"],
                    "role": role,
                }
            )
    return rows


def pairs_behind(card: dict[str, Any]) -> int:
    """Return how many real pairs a network's weights have seen, those of its start among them."""
    return len(pair_hashes(card))


def pair_hashes(card: dict[str, Any]) -> set[str]:
    """Return the SHA-256 of the high scan of each real pair that a network's weights have seen.

    A pair that the network of the start had seen as well is one pair.

    Parameters
    ----------
    card : dict
        Plain JSON values.
    """
    own = {entry["sha256"] for entry in card.get("data", []) if entry.get("role") == "high"}
    return own | set(card.get("start", {}).get("pairs") or ())


def pixel_range_with(
    lowest: float, highest: float, pairs: Sequence[dict[str, Any]]
) -> tuple[float, float]:
    """Return the pixel spacing of all that trained, mm: that of the heads, and of the pairs."""
    pixels = [float(pair["pixel"]) for pair in pairs]
    return min([lowest, *pixels]), max([highest, *pixels])


def use_of(name: str) -> list[str]:
    """Return how to use it."""
    return [*_USE, *(_USE_OF_FIELD if _of_field(name) else _USE_OF_SLICES)]


def transfer_card_as_text(card: dict[str, Any], sha256: str) -> str:
    """Return the card as Markdown."""
    lines = [
        f"# Model card: {card['name']} version {card['version']}",
        "",
        f"**{card['purpose']}**",
        "",
        "## In short",
        "",
        f"- **What** {_ABOUT[card['name']]}. It gives the variance of the error to be expected at "
        "each voxel too.",
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
    if kind == "field":
        return "as at 3 T"
    words = {"thick": "thick slices", "low": "thick slices, low field"}[kind]
    return f"{words}, × {factor}"


def _validation(card: dict[str, Any]) -> list[str]:
    figures = card["validation"]
    scans = [key.removeprefix("psnr_") for key in figures["cubic"] if key.startswith("psnr_")]
    return [
        "## On the validation head",
        "",
        "The middle of a head that training never saw, but whose learning curve decided when to "
        "stop. PSNR (dB; peak: the reference's maximum) and SSIM where there is no air.",
        "",
        f"| scan | {'the scan' if card['architecture']['factors'] == [1] else 'cubic'} | network |",
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
        "The variance at each voxel comes from a second look at the image (`error_model.py`), "
        "fitted to the errors on the training heads with the image frozen.",
        "",
        *calibration_in_words(card["calibration"]),
        "",
    ]


def calibration_in_words(told: dict[str, Any]) -> list[str]:
    """How the warning maps were calibrated; of older cards by factors alone."""
    if not told.get("cross_fitted"):
        return [
            f"{CALIBRATED} there: the intrinsic variance is multiplied by "
            f"{told['intrinsic']:.2f}, that over samples with channels left out by "
            f"{told['parameter']:.2f}."
        ]
    names = ("intrinsic", "parameter", "together")
    rows = told["cross_fitted"].items()
    return [
        f"{CALIBRATED} {_region(told)} there. The intrinsic uncertainty, the "
        "parameter uncertainty (the spread over 8 runs with channels left out) and their weighted "
        "sum each have a rising line of their own from the variance that was predicted to the "
        f"one that was found. In the sum the intrinsic variance counts {told['intrinsic']:.2f} "
        f"times, the spread {told['parameter']:,.2f} times. Fitted to three quarters of the slices "
        "and measured on the fourth, in turn: expected calibration error, and the error of the "
        "least sure tenth over that of the rest.",
        "",
        "| scan | intrinsic | parameter | both together |",
        "| --- | --- | --- | --- |",
        *(
            f"| {_name(scan)} | "
            + " | ".join(f"{of[n]['error']:.3f}; {of[n]['over_rest']:.2f}" for n in names)
            + " |"
            for scan, of in rows
        ),
        "",
        _verdict(told["cross_fitted"]),
    ]


def _region(told: dict[str, Any]) -> str:
    if told.get("region", "brain") == "brain":
        return "in the brain"
    return "in the whole head (no template told where the brain is)"


def _verdict(found: dict[str, Any]) -> str:
    gain = [of["together"]["over_rest"] - of["intrinsic"]["over_rest"] for of in found.values()]
    if sum(gain) / len(gain) < WORTH_WHILE:
        return (
            "**The parameter uncertainty adds nothing** to the intrinsic one here: flagging by "
            "both finds no more than flagging by the intrinsic one alone. Runs with channels left "
            "out buy nothing."
        )
    return (
        "The parameter uncertainty adds to the intrinsic one here: flagging by both finds more, by "
        f"{min(gain):+.2f} to {max(gain):+.2f} in the ratio."
    )


def _curve(card: dict[str, Any]) -> list[str]:
    if not card["curve"]:
        return []
    scans = [key.removeprefix("psnr_") for key in card["curve"][0] if key.startswith("psnr_")]
    lines = [
        "## Learning curve",
        "",
        "PSNR (dB) on the validation head, averaged weights; minutes of "
        f"{'a GPU' if card.get('device') == 'cuda' else 'one processor core'}.",
        "",
        "| minutes | patches | " + " | ".join(_name(scan) for scan in scans) + " |",
        "| --- | --- |" + " --- |" * len(scans),
    ]
    for point in card["curve"]:
        values = " | ".join(f"{point[f'psnr_{scan}']:.2f}" for scan in scans)
        lines.append(f"| {point['minutes']:.0f} | {point['patches']:,} | {values} |")
    return [*lines, ""]


def _start(card: dict[str, Any]) -> list[str]:
    start = card.get("start")
    if not start:
        return []
    return [
        f"- Begun with the weights of {start['name']} version {start['version']} (SHA-256 "
        f"`{start['sha256']}`), not at random; what that network had seen stands in its own card."
    ]


def _making(card: dict[str, Any], sha256: str) -> list[str]:
    size, drawn = card["architecture"], card["forward_model"]
    recipe = card["recipe"]

    def between(name: str) -> str:
        low, high = drawn[name]
        return f"{low:g} to {high:g}"

    if "thickness" in drawn:
        how = (
            f"slice thickness {between('thickness')} of the spacing, blur {between('blur')} pixels "
            f"in half of them, contrast of white and grey matter {between('contrast')} of what it "
            f"was in {1 - drawn['unchanged']:.0%}"
        )
    else:
        how = (
            f"blur {between('blur')} voxels in all directions, contrast of white and grey matter "
            f"{between('contrast')} of what it was"
        )
    return [
        "## How it was made",
        "",
        f"- Channels {'-'.join(str(c) for c in size['channels'])} going down, {size['fine']} on "
        f"the fine grid; {card['parameters']:,} parameters, kept in bfloat16; "
        + (
            "voxels stay as large as they are."
            if size["factors"] == [1]
            else f"one network for the factors {' and '.join(str(f) for f in size['factors'])}."
        ),
        f"- Forward model, drawn for every patch: {how}, SNR {between('snr')}.",
        f"- Training: seed {recipe['seed']}, {card['steps']:,} steps of {recipe['patches']} "
        f"patches of {recipe['size']}³, {card['minutes']:g} minutes of "
        f"{'a GPU' if card.get('device') == 'cuda' else 'one processor core'}; torch "
        f"{card['versions']['torch']}.",
        *_start(card),
        *([f"- {card['note']}"] if card.get("note") else []),
        f"- SHA-256 of the weights: `{sha256}`",
        f"- Made by: `{card['command']}`"
        + ("." if card["ended"] else f", stopped at step {card['steps']:,}, before its end."),
        *(
            [f"- Model of errors fitted by: `{card['refitted']}`, from the weights before."]
            if card.get("refitted")
            else []
        ),
        "",
        "| head | what | part | licence | SHA-256 |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {d['path']} | {d['what']} | {d['part']} | {d['licence']} | `{d['sha256'][:16]}…` |"
            for d in card["data"]
        ),
    ]
