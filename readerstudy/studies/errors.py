"""What a study refuses, said to people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import ValidationError


class StudyError(Exception):
    """An act that the study's state or its protocol does not allow; each message is for people."""

    def __init__(self, *messages: str) -> None:
        super().__init__(" ".join(messages))
        self.messages: tuple[str, ...] = messages

    @classmethod
    def from_validation(cls, error: ValidationError) -> StudyError:
        """The faults that a model found, each with the field it found them in."""
        return cls(*_lines(error))


@dataclass(frozen=True)
class DesignFault:
    """What is wrong with a design, and where: `path` is a JSON path, e.g. "arms[2].source"."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DesignError(StudyError):
    """A design that cannot be taken; every fault is told with its place."""

    def __init__(self, *faults: DesignFault) -> None:
        super().__init__(*(str(fault) for fault in faults))
        self.faults = faults


class DesignConflict(StudyError):
    """Somebody else changed the design since it was opened."""


def _lines(error: ValidationError) -> Iterable[str]:
    if not hasattr(error, "error_dict"):
        yield from error.messages
        return
    for field, messages in error.message_dict.items():
        for message in messages:
            yield message if field == "__all__" else f"{field.replace('_', ' ')}: {message}"
