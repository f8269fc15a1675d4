"""What a study refuses, said to people."""

from __future__ import annotations

from collections.abc import Iterable

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


def _lines(error: ValidationError) -> Iterable[str]:
    if not hasattr(error, "error_dict"):
        yield from error.messages
        return
    for field, messages in error.message_dict.items():
        for message in messages:
            yield message if field == "__all__" else f"{field.replace('_', ' ')}: {message}"
