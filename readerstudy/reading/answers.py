"""What an answer is in each mode of reading, and how it is shown and written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from readerstudy.studies.models import Criterion, Study

from .errors import OffScale, TooLong
from .models import ScoreRevision
from .models.answers import REASON_LENGTH

POINTS = 5
SIDES = ("left", "right")  # panes 1 and 2
SHORTEST_REASON = 3

Value = int | str | list[int] | None


@dataclass(frozen=True)
class Answer:
    """As it is stored: exactly one of the three is given."""

    value: int | None = None  # a point, or the number of the chosen pane
    ranks: list[int] | None = None
    cannot_assess: str = ""


def read_answer(mode: str, n_panes: int, value: object, cannot_assess: str) -> Answer:
    """The answer that a page sends, checked. `OffScale` for what the mode does not know."""
    if cannot_assess:
        if value is not None:
            raise OffScale("Give a score, or say why it cannot be given: not both.")
        return Answer(cannot_assess=checked_reason(cannot_assess))
    if mode == Study.ReadingMode.CHOICE:
        if not isinstance(value, str) or value not in SIDES:
            raise OffScale("Choose the left or the right image.")
        return Answer(value=SIDES.index(value) + 1)
    if mode == Study.ReadingMode.RANKING:
        ranks = [rank for rank in value if _is_whole(rank)] if isinstance(value, list) else []
        if sorted(ranks) != list(range(1, n_panes + 1)) or ranks != value:
            raise OffScale(f"Give each rank from 1 to {n_panes} once.")
        return Answer(ranks=ranks)
    if not _is_whole(value) or not 1 <= value <= POINTS:  # type: ignore[operator]
        raise OffScale(f"A score is a whole number from 1 to {POINTS}.")
    return Answer(value=value)  # type: ignore[arg-type]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def checked_reason(reason: str) -> str:
    """A reason without what stands around it; `TooLong` or `OffScale` if it is none."""
    reason = reason.strip()
    if len(reason) > REASON_LENGTH:
        raise TooLong(f"The reason is too long: {REASON_LENGTH} characters at most.")
    if len(reason) < SHORTEST_REASON:
        raise OffScale("Say in a few words why this cannot be assessed.")
    return reason


def answer_of(score: ScoreRevision) -> Answer:
    return Answer(score.value, score.ranks, score.cannot_assess)


def shown_value(mode: str, answer: Answer) -> Value:
    """The answer's value as the page has it; None when it could not be assessed."""
    if answer.ranks is not None:
        return list(answer.ranks)
    if answer.value is None:
        return None
    return SIDES[answer.value - 1] if mode == Study.ReadingMode.CHOICE else answer.value


def as_written(mode: str, criterion: Criterion, answer: Answer) -> dict[str, Any]:
    """The answer as the trail holds it."""
    if answer.cannot_assess:
        return {"criterion": criterion.code, "cannot_assess": answer.cannot_assess}
    return {"criterion": criterion.code, "value": shown_value(mode, answer)}


def wording_of(mode: str, criterion: Criterion, answer: Answer) -> str | None:
    """What was just said, in the protocol's own words: the feedback of a practice item."""
    if answer.cannot_assess:
        return None
    if answer.ranks is not None:
        best = answer.ranks.index(1)
        return f"image {pane_letter(best + 1)} is the best. {criterion.question}"
    if mode == Study.ReadingMode.CHOICE:
        return f"the {shown_value(mode, answer)} image. {criterion.question}"
    point = answer.value or 0
    wording = criterion.anchors[point - 1] if len(criterion.anchors) >= point else ""
    return f"{point} – {wording}. {criterion.question}".strip()


def pane_letter(number: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number - 1]
