"""Warnings at the number that they concern: a few words there, the whole text below the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from analysis import PlanWarning

# What is said at the number itself. The first pattern that fits counts.
_WORDS = (
    (r"^Only (\d+) of \d+ pairs", "only {0} differ"),
    (r"^All \d+ differences are zero", "all tied"),
    (r"^No volunteer has a value in both", "no pair"),
    (r"^(\d+) volunteers? lacks? a value in one", "{0} left out"),
    (r"^(\d+) volunteers? lacks? the score of", "{0} incomplete"),
    (r"^forced choice: Only (\d+) volunteers?", "only {0} chose"),
    (r"^forced choice: .*evenly split", "some split"),
    (r"^forced choice: .*no reader chose", "some missing"),
    (r"^No value for", "value missing"),
    (r"DLR-processed\. A denoiser lowers the SD of the air", "DLR: air-based"),
    (r"DLR-processed", "DLR: smoothed"),
    (r"^All \d+ tissues gain", "one gain, not many"),
    (r"The air region holds", "zeros or clipping in air"),
    (r"Mean / SD of the air", "air is not plain noise"),
)


@dataclass(frozen=True)
class Note:
    """A footnote where it is called: its number, its words there, its text below."""

    number: int
    words: str
    text: str


def words_of(text: str) -> str:
    """A warning in two or three words.

    >>> words_of("Only 3 of 10 pairs are not ties: the smallest p …")
    'only 3 differ'
    """
    for pattern, words in _WORDS:
        found = re.search(pattern, text)
        if found:
            return words.format(*found.groups())
    return "see note"


class Footnotes:
    """Numbers the warnings of one table; a text that comes again keeps its number."""

    def __init__(self, warnings: Iterable[PlanWarning], metrics: tuple[str, ...]) -> None:
        self.texts: list[str] = []
        ratios = "score" not in metrics or len(metrics) > 1
        self._places: dict[tuple[str, str, str], list[PlanWarning]] = {}
        for w in warnings:
            if w.metric in metrics or (ratios and not w.metric):
                self._places.setdefault((w.row, w.arm, w.comparison), []).append(w)

    def at(
        self, metric: str = "", row: str = "", arm: str = "", pair: str = ""
    ) -> tuple[Note, ...]:
        """The notes of exactly this place: a heading has no row, a cell has both."""
        here = self._places.get((row, arm, pair), [])
        texts = [w.text for w in here if w.metric == metric or not row]
        return self.numbered(texts)

    def numbered(self, texts: Iterable[str]) -> tuple[Note, ...]:
        found = []
        for text in dict.fromkeys(texts):
            if text not in self.texts:
                self.texts.append(text)
            found.append(Note(self.texts.index(text) + 1, words_of(text), text))
        return tuple(sorted(found, key=lambda note: note.number))


def together(*parts: tuple[Note, ...]) -> tuple[Note, ...]:
    """Several places' notes, each once."""
    return tuple(sorted({note for part in parts for note in part}, key=lambda note: note.number))
