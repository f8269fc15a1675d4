"""Forms of the results, the export and the import pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from readerstudy.accounts.confirming import SignedForm
from readerstudy.conduct.imports import MOST_BYTES
from readerstudy.studies.tables import TableFile

from .api.tokens import DAYS, NAME_LENGTH


class ImportForm(forms.Form):
    scores = forms.FileField(
        required=False,
        label="Scores (CSV)",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )
    regions = forms.FileField(
        required=False,
        label="Region measurements (CSV)",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_scores(self) -> UploadedFile | None:
        return self._small_enough("scores")

    def clean_regions(self) -> UploadedFile | None:
        return self._small_enough("regions")

    def clean(self) -> dict[str, Any] | None:
        if not self.errors and not any(self.cleaned_data.values()):
            raise forms.ValidationError("Choose a file of scores, a file of regions, or both.")
        return self.cleaned_data

    def _small_enough(self, field: str) -> UploadedFile | None:
        file: UploadedFile | None = self.cleaned_data[field]
        if file is not None and (file.size or 0) > MOST_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {MOST_BYTES // 1024**2} MB: split it by reader, "
                "or import it on the server with import_study_tables."
            )
        return file

    def table(self, field: str) -> TableFile | None:
        """The file of a valid form, read; None when none was chosen."""
        file: UploadedFile | None = self.cleaned_data[field]
        return TableFile(file.name or field, file.read()) if file else None


class TokenForm(SignedForm):
    name = forms.CharField(
        max_length=NAME_LENGTH,
        label="Name",
        error_messages={"required": "Say what the token is for: its name stands in the list."},
    )
    days = forms.TypedChoiceField(
        choices=[(number, f"{number} days") for number in DAYS],
        coerce=int,
        label="Lasts",
        error_messages={
            "required": f"A token lasts {', '.join(map(str, DAYS))} days.",
            "invalid_choice": f"A token lasts {', '.join(map(str, DAYS))} days.",
        },
    )
    field_order = ["name", "days", "password"]

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="token-%s", label_suffix="")
        self.fields["password"].error_messages["required"] = "Type your password to make a token."
