"""Launching asks to be confirmed; mail to readers says to whom and what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from readerstudy.reading.models import Session

from .mail import SUBJECT_LENGTH, TEXT_LENGTH


class LaunchForm(forms.Form):
    confirmed = forms.BooleanField(
        label="Freeze the protocol and open the reading; this cannot be undone.",
        error_messages={"required": "Tick the box to launch the study."},
    )


class MailForm(forms.Form):
    sessions = forms.MultipleChoiceField(
        label="To",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one reader."},
    )
    subject = forms.CharField(max_length=SUBJECT_LENGTH)
    text = forms.CharField(
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="The link to the reader's own session is added. Name no arm and no volunteer.",
    )

    def __init__(self, waiting: Sequence[Session], title: str, data: Any = None) -> None:
        super().__init__(
            data,
            label_suffix="",
            initial={
                "sessions": [str(session.pk) for session in waiting],
                "subject": f"Reading: {title}"[:SUBJECT_LENGTH],
                "text": "Your session is open. You can stop at any item and go on later; "
                "everything is saved at once.",
            },
        )
        self.fields["sessions"].choices = [  # type: ignore[attr-defined]
            (
                str(session.pk),
                f"{session.reader_code} {session.reader}"
                + (f", occasion {session.occasion}" if session.occasion > 1 else ""),
            )
            for session in waiting
        ]
