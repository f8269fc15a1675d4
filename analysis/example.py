"""A small invented study: every kind of input, for examples, first steps and tests."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.plan import AnalysisPlan

ARMS = ("STD", "FAST", "DLR")
READERS = ("R1", "R2", "R3")
CRITERIA = ("sharpness", "artifact")
# Mean signal of each tissue, SD of the noise and mean quality of each arm.
_SIGNAL = {"fat": 320.0, "disc": 140.0, "muscle": 55.0}
_NOISE = {"STD": 4.0, "FAST": 6.0, "DLR": 3.6}
_QUALITY = {"STD": 3.2, "FAST": 2.2, "DLR": 3.7}


@dataclass(frozen=True)
class ExampleStudy:
    """The tables and the plan of an invented study.

    Attributes
    ----------
    plan : AnalysisPlan
    scores, regions, choices, rankings, acquisition : pandas.DataFrame
    images : dict of str to numpy.ndarray, shape (rows, columns), float64
        One slice an arm, 1 mm pixels.
    """

    plan: AnalysisPlan
    scores: pd.DataFrame
    regions: pd.DataFrame
    choices: pd.DataFrame
    rankings: pd.DataFrame
    acquisition: pd.DataFrame
    images: dict[str, npt.NDArray[np.float64]]


def example_study(volunteers: int = 12, seed: int = 1) -> ExampleStudy:
    """An invented study of three arms, three readers and two criteria.

    Parameters
    ----------
    volunteers : int
    seed : int
        The same seed gives the same study.

    Returns
    -------
    ExampleStudy
        Nothing in it comes from a person or a scanner.

    Examples
    --------
    >>> study = example_study()
    >>> len(study.scores), sorted(study.images)
    (216, ['DLR', 'FAST', 'STD'])
    >>> example_study().scores.equals(study.scores)
    True
    """
    generator = np.random.default_rng(seed)
    people = [f"V{number + 1:02d}" for number in range(volunteers)]
    plan = AnalysisPlan(
        arms=ARMS,
        control="STD",
        comparisons=(("FAST", "DLR"), ("STD", "DLR")),
        criteria=CRITERIA,
        tissues=tuple(_SIGNAL),
        dlr_arms=("DLR",),
        score_range=(1, 5),
        margin=0.5,
        choice_criteria=("preferred",),
        ranking_criteria=("overall",),
    )
    acquisition = [
        (name, arm, text)
        for name, texts in (
            ("TR (ms)", ("3500", "2100", "2100")),
            ("Acquisition time (min:s)", ("3:05", "1:33", "1:33")),
            ("Reconstruction", ("standard", "standard", "deep learning")),
        )
        for arm, text in zip(ARMS, texts, strict=True)
    ]
    return ExampleStudy(
        plan=plan,
        scores=_scores(people, generator),
        regions=_regions(people, generator),
        choices=_choices(people, generator),
        rankings=_rankings(people, generator),
        acquisition=pd.DataFrame(acquisition, columns=["parameter", "arm", "value"]),
        images={arm: _image(_NOISE[arm], generator) for arm in ARMS},
    )


def _scores(people: list[str], generator: np.random.Generator) -> pd.DataFrame:
    rows = []
    for person in people:
        for criterion in CRITERIA:
            for arm in ARMS:
                middle = _QUALITY[arm] if criterion == "sharpness" else 3.0
                middle += generator.normal(0, 0.3)
                for reader in READERS:
                    score = round(float(np.clip(middle + generator.normal(0, 0.4), 1, 5)))
                    rows.append((person, arm, reader, criterion, score))
    return pd.DataFrame(rows, columns=["volunteer", "arm", "reader", "criterion", "score"])


def _regions(people: list[str], generator: np.random.Generator) -> pd.DataFrame:
    rows = []
    for person in people:
        build = generator.normal(1, 0.15)
        for arm in ARMS:
            noise = _NOISE[arm] * generator.normal(1, 0.05)
            for tissue, signal in _SIGNAL.items():
                texture = 0.05 * signal
                mean = signal * build * generator.normal(1, 0.02)
                # The denoiser leaves most of the noise inside a tissue.
                inside = 5.5 if arm == "DLR" else noise
                sd = float(np.hypot(texture, inside) * generator.normal(1, 0.05))
                difference = float(np.sqrt(2) * inside * generator.normal(1, 0.05))
                measured = (round(mean, 2), round(sd, 3), 45, 30.0, round(difference, 3))
                rows.append((person, arm, tissue, *measured))
            # Air of one channel: Rayleigh, mean / SD is 1.91.
            sd = 0.655 * noise
            measured = (round(1.91 * sd, 3), round(sd, 3), 45, 30.0, float("nan"))
            rows.append((person, arm, "air", *measured))
    columns = ["volunteer", "arm", "tissue", "mean", "sd", "n_pixels", "area_mm2", "sd_difference"]
    return pd.DataFrame(rows, columns=columns)


def _choices(people: list[str], generator: np.random.Generator) -> pd.DataFrame:
    rows = []
    for person in people:
        for first, second in combinations(ARMS, 2):
            for reader in READERS:
                lead = _QUALITY[first] - _QUALITY[second] + generator.normal(0, 1.6)
                # The side is drawn: the first arm is not always on the left.
                pair = (first, second) if generator.random() < 0.5 else (second, first)
                rows.append((person, reader, "preferred", *pair, first if lead > 0 else second))
    columns = ["volunteer", "reader", "criterion", "first", "second", "chosen"]
    return pd.DataFrame(rows, columns=columns)


def _rankings(people: list[str], generator: np.random.Generator) -> pd.DataFrame:
    rows = []
    for person in people:
        for reader in READERS:
            liked = {arm: _QUALITY[arm] + generator.normal(0, 0.6) for arm in ARMS}
            order = sorted(ARMS, key=liked.__getitem__, reverse=True)
            rows += [(person, reader, "overall", arm, order.index(arm) + 1) for arm in ARMS]
    return pd.DataFrame(rows, columns=["volunteer", "reader", "criterion", "arm", "rank"])


def _image(noise: float, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """A drawing of a spine in a body, magnitude with Rician noise."""
    y, x = np.mgrid[0:160, 0:128].astype(np.float64)
    body = ((x - 64) / 52) ** 2 + ((y - 80) / 74) ** 2 <= 1
    image = np.where(body, _SIGNAL["muscle"], 0.0)
    image[body & (((x - 64) / 47) ** 2 + ((y - 80) / 69) ** 2 > 1)] = _SIGNAL["fat"]
    for middle in range(24, 140, 22):
        image[(np.abs(x - 52) < 13) & (np.abs(y - middle) < 8)] = 190.0
        image[(((x - 52) / 13) ** 2 + ((y - middle - 11) / 3) ** 2) <= 1] = _SIGNAL["disc"]
    canal = (np.abs(x - 72) < 5) & (y > 14) & (y < 146)
    image[canal] = 380.0
    real = image + generator.normal(0, 4 * noise, image.shape)
    imaginary = generator.normal(0, 4 * noise, image.shape)
    return np.asarray(np.round(np.hypot(real, imaginary), 2))
