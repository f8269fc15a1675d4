"""The reconstructions by name, as lists and recipes tell of them; nothing heavy is loaded."""

from denoise_engine.methods.filters import Description

UNROLLED, SENSE, CS, ZERO_FILLED = "unrolled", "sense", "cs", "zero-filled"


def describe_reconstructions() -> dict[str, Description]:
    """Every method that takes raw data, by name."""
    listed = [
        Description(
            UNROLLED,
            "",
            "SENSE steps towards priors that networks propose, unrolled",
            "Hammernik K, et al. Magn Reson Med 2018;79:3055-3071.",
        ),
        Description(
            SENSE,
            "",
            "SENSE, regularised so that noise is amplified by no more than a bound",
            "Pruessmann KP, et al. Magn Reson Med 1999;42:952-962.",
        ),
        Description(
            CS,
            "",
            "compressed sensing: least squares with sparse wavelets",
            "Lustig M, et al. Magn Reson Med 2007;58:1182-1195.",
        ),
        Description(
            ZERO_FILLED,
            "",
            "what was not sampled is left at zero: the comparison that shows the folding",
            "",
        ),
    ]
    return {one.name: one for one in listed}
