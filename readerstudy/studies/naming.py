"""The study that a command of the server was given by name."""

from __future__ import annotations

from django.core.management.base import CommandError

from .models import Study

MOST = 20  # are listed for who mistyped one
HELP = "the study's address, as in its pages after /studies/, or its title"


def study_of_command(name: str) -> Study:
    if study := Study.objects.filter(slug=name).first():
        return study
    titled = list(Study.objects.filter(title=name)[:2])
    if len(titled) == 1:
        return titled[0]
    every = [
        f"{slug} (“{title}”)"
        for slug, title in Study.objects.order_by("slug").values_list("slug", "title")
    ]
    known = ", ".join(every[:MOST]) + (f" and {len(every) - MOST} more" if every[MOST:] else "")
    fault = "More than one study is called" if titled else "There is no study"
    raise CommandError(f"{fault} “{name}”. Addresses and titles here: {known or 'none'}.")
