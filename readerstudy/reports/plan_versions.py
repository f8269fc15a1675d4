"""Which version of the plan a page was asked for: `?plan=2`."""

from __future__ import annotations

from django.http import Http404, HttpRequest


def asked_version(request: HttpRequest) -> int | None:
    """None where none is asked for: the plan that the key was opened under."""
    asked = request.GET.get("plan", "")
    if not asked:
        return None
    if not (asked.isdecimal() and len(asked) < 6):
        raise Http404("The plan has no such version.")
    return int(asked)
