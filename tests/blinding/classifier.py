"""A classifier that tries to tell the arms by all that an answer shows but its pixels.

Every answer becomes a row of numbers: its length, each of its headers (how long the value is, and
which of the values seen it is), and whatever else was measured, such as times. Gradient boosting is
trained on the answers of some volunteers and guesses the arms of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

# The server's clock and the connection, the same for whatever was asked.
NOT_OF_THE_ANSWER = {"date", "connection", "keep-alive"}
AT_CHANCE = (0.4, 0.6)
SEES = 0.9


@dataclass(frozen=True)
class Answer:
    """What a reader's browser can see of one slice, and what it must not be able to tell."""

    arm: str
    volunteer: str
    status: int
    length: int  # bytes of the body as they came over the wire
    headers: Iterable[tuple[str, str]]
    measured: Mapping[str, float] = field(default_factory=dict)  # seconds, statements, …


def table(answers: Sequence[Answer]) -> np.ndarray:
    """Numbers, [answers, features]."""
    rows: list[dict[str, float]] = []
    numbers: dict[str, dict[str, int]] = {}  # of each header, a number for each value seen
    for answer in answers:
        headers = [(n.lower(), v) for n, v in answer.headers if n.lower() not in NOT_OF_THE_ANSWER]
        row = {"status": answer.status, "length": answer.length, **answer.measured}
        row["headers"] = len(headers)
        row["header bytes"] = sum(len(name) + len(value) for name, value in headers)
        for place, (name, value) in enumerate(headers):
            seen = numbers.setdefault(name, {})
            row[f"{name}: value"] = seen.setdefault(value, len(seen))
            row[f"{name}: length"] = len(value)
            row[f"{name}: place"] = place
        rows.append(row)
    names = sorted({name for row in rows for name in row})
    return np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=float)


def arm_auc(answers: Sequence[Answer], *, folds: int = 5, seed: int = 0) -> float:
    """Area under the curve of guessing the arm, one against the rest, averaged over the arms.

    Cross-validated: no volunteer is in both the part learned from and the part guessed.
    """
    values = table(answers)
    arms = np.array([answer.arm for answer in answers])
    volunteers = np.array([answer.volunteer for answer in answers])
    names = np.unique(arms)
    chances = np.zeros((len(answers), len(names)))
    for learned, guessed in GroupKFold(folds).split(values, arms, volunteers):
        model = HistGradientBoostingClassifier(
            max_iter=30, learning_rate=0.2, min_samples_leaf=8, random_state=seed
        )
        model.fit(values[learned], arms[learned])
        chances[guessed] = model.predict_proba(values[guessed])
    return float(roc_auc_score(arms, chances, multi_class="ovr", labels=names))
