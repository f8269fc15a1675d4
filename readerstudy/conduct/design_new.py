"""What a coordinator types in for a new study, and for an amendment of a launched one."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.text import slugify

from readerstudy.accounts.models import User
from readerstudy.studies.access import studies_for
from readerstudy.studies.amendments import AMENDABLE, MOST_REASON
from readerstudy.studies.design_document import MOST_BYTES, read_text
from readerstudy.studies.models import Membership, Role, Study
from readerstudy.studies.templates_lumbar import create_lumbar_study

from .design import do_copy_study, do_create_blank, do_create_from_document

LUMBAR, BLANK, COPY, FILE = "lumbar", "blank", "copy", "file"


def copied_from(user: User) -> QuerySet[Study]:
    """Whose design a person may take over: studies that the person coordinates."""
    if user.is_administrator:
        return studies_for(user)
    held = Membership.objects.filter(user=user, role=Role.COORDINATOR)
    return studies_for(user).filter(pk__in=held.values("study"))


class NewStudyForm(forms.Form):
    start = forms.ChoiceField(
        required=False,
        choices=[
            (LUMBAR, "The lumbar protocol"),
            (BLANK, "A blank design"),
            (COPY, "The design of a former study"),
            (FILE, "A design in a file"),
        ],
    )
    source = forms.ModelChoiceField(
        Study.objects.none(), required=False, label="Former study", empty_label="Choose a study"
    )
    file = forms.FileField(
        required=False, label="Design file", help_text="JSON, as another study’s design was saved."
    )
    title = forms.CharField(
        max_length=200,
        required=False,
        help_text="Readers see it too: name no arm and no sequence.",
    )
    slug = forms.SlugField(
        label="Address",
        max_length=50,
        required=False,
        help_text="Stands in the study’s address. Left empty, it is made of the title.",
    )
    notice = forms.CharField(
        max_length=300,
        required=False,
        help_text="Shown on every page, readers’ pages included, and written into every export.",
    )

    def __init__(
        self, user: User, data: QueryDict | None, files: MultiValueDict[str, UploadedFile] | None
    ) -> None:
        super().__init__(data, files, label_suffix="", initial={"start": LUMBAR})
        sources = cast(forms.ModelChoiceField, self.fields["source"])
        sources.queryset = copied_from(user)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        said["start"] = said.get("start") or LUMBAR
        file = said.get("file")
        if said["start"] == COPY and not said.get("source"):
            self.add_error("source", "Choose the study whose design is to be copied.")
        if said["start"] == FILE:
            if file is None:
                self.add_error("file", "Choose the file.")
            elif file.size > MOST_BYTES:
                self.add_error(
                    "file", f"The file is too large: a design has {MOST_BYTES // 1_000_000} MB."
                )
        elif not said.get("title"):
            self.add_error("title", "Give the study a title.")
        if not said.get("slug") and "slug" not in self.errors:
            said["slug"] = slugify(said.get("title") or (file.name[:-5] if file else ""))[:50]
            if not said["slug"] and not self.errors:
                self.add_error("slug", "No address can be made of the title: give one.")
        return said


def create(form: NewStudyForm, user: User) -> Study:
    """The study that the form asks for. Raises `StudyError`, `DesignError` for a file."""
    said = form.cleaned_data
    slug, title, notice = said["slug"], said["title"], said["notice"]
    if said["start"] == LUMBAR:
        return create_lumbar_study(slug, title, user, notice=notice)
    if said["start"] == BLANK:
        return do_create_blank(slug, title, user, notice=notice)
    if said["start"] == COPY:
        return do_copy_study(said["source"], slug, title, user, notice=notice)
    document = read_text(said["file"].read())
    return do_create_from_document(slug, document, user, title=title, notice=notice)


class AmendmentForm(forms.ModelForm):
    """What may change after the launch, with the reason."""

    opened = forms.IntegerField(widget=forms.HiddenInput)
    planned_volunteers = forms.IntegerField(
        required=False, min_value=1, max_value=500, label="Volunteers planned"
    )
    reason = forms.CharField(
        max_length=MOST_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        label="Reason for the amendment",
        help_text="Kept with the protocol and in the trail.",
    )

    class Meta:
        model = Study
        fields = [name for name in AMENDABLE if name != "planning"]
        labels = {name: label for name, label in AMENDABLE.items() if name != "planning"}
        widgets = {
            name: forms.Textarea(attrs={"rows": 3})
            for name in ("description", "credits", "reading_instructions")
        }

    def __init__(self, study: Study, data: QueryDict | None) -> None:
        super().__init__(
            data,
            instance=Study.objects.get(pk=study.pk),
            label_suffix="",
            initial={
                "opened": 1 + study.amendments.count(),
                "planned_volunteers": study.planning.get("volunteers"),
            },
        )
        self._planning = dict(study.planning)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        for name in ("description", "credits", "reading_instructions", "reason"):
            if isinstance(said.get(name), str):
                said[name] = said[name].replace("\r\n", "\n")
        if len(said.get("reading_instructions") or "") > 5000:
            raise ValidationError("The instructions have more than 5,000 characters.")
        return said

    def changes(self) -> dict[str, Any]:
        planning = {k: v for k, v in self._planning.items() if k != "volunteers"}
        if volunteers := self.cleaned_data["planned_volunteers"]:
            planning = {"volunteers": volunteers, **planning}
        texts = {name: self.cleaned_data[name] for name in AMENDABLE if name != "planning"}
        return {**texts, "planning": planning}
