"""How the six criteria of the lumbar protocol are asked, in each mode of reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .models import Study

RELATIVE_ANCHORS = (
    "Obviously inferior",
    "Slightly inferior",
    "Equivalent",
    "Slightly superior",
    "Obviously superior",
)
ABSOLUTE_ANCHORS = (
    "Not diagnostic",
    "Poor, limits the diagnosis",
    "Fair, enough for the diagnosis",
    "Good",
    "Excellent",
)


@dataclass(frozen=True)
class Wording:
    questions: Mapping[str, str]  # by the criterion's code
    anchors: Sequence[str]  # the points 1 … 5; none where points are not given
    instructions: str


LUMBAR_WORDINGS: Mapping[str, Wording] = {
    Study.ReadingMode.RELATIVE: Wording(
        {
            "perceived_snr": "How free of grain and noise is the candidate, compared with the "
            "control?",
            "sharpness": "How sharp are edges and fine detail in the candidate, compared with the "
            "control?",
            "contrast": "How well are the tissues told apart in the candidate, compared with the "
            "control?",
            "structure_visibility": "How well are cord, nerve roots, discs and facet joints seen "
            "in the candidate, compared with the control?",
            "artifact": "How free of artifacts is the candidate, compared with the control? "
            "A higher score means fewer artifacts.",
            "overall": "How good is the candidate as a whole for diagnosis, compared with the "
            "control?",
        },
        RELATIVE_ANCHORS,
        "Score the candidate relative to the control, on all slices. "
        "3 means equivalent. Use the whole scale.",
    ),
    Study.ReadingMode.ABSOLUTE: Wording(
        {
            "perceived_snr": "How free of grain and noise is the image?",
            "sharpness": "How sharp are edges and fine detail?",
            "contrast": "How well are the tissues told apart?",
            "structure_visibility": "How well are cord, nerve roots, discs and facet joints seen?",
            "artifact": "How free of artifacts is the image? A higher score means fewer artifacts.",
            "overall": "How good is the image as a whole for diagnosis?",
        },
        ABSOLUTE_ANCHORS,
        "Score the image by itself, on all slices. Use the whole scale.",
    ),
    Study.ReadingMode.CHOICE: Wording(
        {
            "perceived_snr": "Which image is freer of grain and noise?",
            "sharpness": "In which image are edges and fine detail sharper?",
            "contrast": "In which image are the tissues told apart better?",
            "structure_visibility": "In which image are cord, nerve roots, discs and facet joints "
            "seen better?",
            "artifact": "Which image is freer of artifacts?",
            "overall": "Which image is better as a whole for diagnosis?",
        },
        (),
        "Choose one of the two images for each criterion, on all slices. "
        "If they seem equal, choose all the same.",
    ),
    Study.ReadingMode.RANKING: Wording(
        {
            "perceived_snr": "Rank the images: 1 is the freest of grain and noise.",
            "sharpness": "Rank the images: 1 has the sharpest edges and fine detail.",
            "contrast": "Rank the images: 1 tells the tissues apart best.",
            "structure_visibility": "Rank the images: 1 shows cord, nerve roots, discs and facet "
            "joints best.",
            "artifact": "Rank the images: 1 is the freest of artifacts.",
            "overall": "Rank the images: 1 is the best as a whole for diagnosis.",
        },
        (),
        "Rank all images for each criterion, on all slices. Give each rank once.",
    ),
}
