"""Users and studies for tests, made through the platform's own services."""

from __future__ import annotations

import itertools
from typing import Any

from readerstudy.accounts.models import User
from readerstudy.studies.models import Membership, Role, Study
from readerstudy.studies.services import do_add_member
from readerstudy.studies.templates_lumbar import create_lumbar_study

PASSWORD = "a long enough password 42"
_numbers = itertools.count(1)


def make_user(email: str = "", password: str = PASSWORD, **fields: Any) -> User:
    """An active person with a password who belongs to no study."""
    email = email or f"person{next(_numbers)}@example.org"
    fields.setdefault("name", email.split("@")[0])
    return User.objects.create_user(email, password, **fields)


def make_administrator(email: str = "admin@example.org", **fields: Any) -> User:
    return make_user(email, is_staff=True, is_superuser=True, **fields)


def make_study(
    slug: str = "lumbar",
    title: str = "Lumbar DLR validation",
    *,
    coordinator: User | None = None,
    readers: int = 0,
    statistician: User | None = None,
    notice: str = "",
) -> Study:
    """A draft with the lumbar protocol: 5 arms, 6 criteria, 4 comparisons, 7 tissues.

    `readers` new people read in it as R1, R2, …
    """
    study = create_lumbar_study(slug, title, None, notice=notice)
    if coordinator is not None:
        do_add_member(study, None, coordinator, Role.COORDINATOR)
    for _ in range(readers):
        make_reader(study)
    if statistician is not None:
        do_add_member(study, None, statistician, Role.STATISTICIAN)
    return study


def make_member(study: Study, role: str, email: str = "", **fields: Any) -> Membership:
    """A new person with that role."""
    return do_add_member(study, None, make_user(email, **fields), role)


def make_coordinator(study: Study, email: str = "") -> User:
    return make_member(study, Role.COORDINATOR, email).user


def make_reader(study: Study, email: str = "") -> User:
    return make_member(study, Role.READER, email).user


def make_statistician(study: Study, email: str = "") -> User:
    return make_member(study, Role.STATISTICIAN, email).user
