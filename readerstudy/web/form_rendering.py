"""How fields of forms are labelled, and where the keyboard stands when a page with a form opens.

A refused form comes back with its fault at the field, perhaps below what the window shows: the page
would look as if nothing had happened. The first field with a fault is therefore given the keyboard,
which also brings it into view. Said in the HTML, so that it holds where no script runs.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.renderers import DjangoTemplates
from django.utils.safestring import SafeString


class Field(forms.BoundField):
    def label_tag(
        self,
        contents: str | None = None,
        attrs: dict[str, Any] | None = None,
        label_suffix: str | None = None,
        tag: str | None = None,
    ) -> SafeString:
        """Labels stand above their fields, on every page alike without a colon."""
        return super().label_tag(contents, attrs, label_suffix or "", tag)

    def build_widget_attrs(
        self, attrs: dict[str, Any], widget: forms.Widget | None = None
    ) -> dict[str, Any]:
        built: dict[str, Any] = super().build_widget_attrs(attrs, widget)
        first = first_with_fault(self.form)
        if first is not None:
            # A field that has the keyboard when the page is new gives it up to the fault.
            built["autofocus"] = first == self.name
        return built


def first_with_fault(form: forms.BaseForm) -> str | None:
    """The first field that people see and that was refused; None when there is none."""
    refused = form.errors
    for name, field in form.fields.items():
        if name in refused and not field.widget.is_hidden:
            return name
    return None


class Renderer(DjangoTemplates):
    bound_field_class = Field
