"""The tabs over a study's pages: each person sees those that person may open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import reverse

from readerstudy.studies.access import has_role
from readerstudy.studies.models import Role, Study

register = template.Library()


@dataclass(frozen=True)
class Tab:
    label: str
    address: str
    current: bool


# URL name, label, who may open it, other pages that stand under the tab.
_UNDER_READINESS = ("launch", "lock", "variants", "variant_evidence")
_OF_A_SITE = (Role.COORDINATOR, Role.SITE_COORDINATOR)
_BOTH = (Role.COORDINATOR, Role.STATISTICIAN)
TABS: tuple[tuple[str, str, tuple[Role, ...], tuple[str, ...]], ...] = (
    ("study", "Overview", _BOTH, ()),
    ("study_design", "Design", (Role.COORDINATOR,), ("study_amendments",)),
    ("study_members", "Members", (Role.COORDINATOR,), ()),
    ("uploads", "Uploads", _OF_A_SITE, ()),
    (
        "readiness",
        "Readiness",
        _OF_A_SITE,
        ("launch", "lock", "unlock", "variants", "variant_evidence"),
    ),
    ("regions", "Regions", (Role.COORDINATOR,), ()),
    ("plan", "Plan", _BOTH, ()),
    ("results", "Results", _BOTH, ()),
)


@register.simple_tag(takes_context=True)
def study_tabs(context: dict[str, Any], study: Study) -> list[Tab]:
    request = context["request"]
    match = request.resolver_match
    here = match.url_name if match else ""
    return [
        Tab(
            label=_label(name, label, study),
            address=reverse(name, args=[study.slug]),
            current=here == name
            or here in also
            or bool(here and name != "study" and here.startswith(f"{name}_")),
        )
        for name, label, roles, also in TABS
        if has_role(request.user, study, *roles)
    ]


def _label(name: str, label: str, study: Study) -> str:
    return "Progress" if name == "readiness" and not study.is_draft else label
