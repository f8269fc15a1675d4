"""Forms of the results and the import pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from readerstudy.conduct.imports import MOST_BYTES
from readerstudy.studies.tables import TableFile


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
