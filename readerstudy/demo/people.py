"""One account a role for the demo, with passwords made on this machine and kept in `var/`."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import do_add_member

WORDS = (
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbour",
    "island",
    "juniper",
    "kestrel",
    "lagoon",
    "maple",
    "nectar",
    "opal",
    "prairie",
    "quartz",
    "river",
    "summit",
    "tundra",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zephyr",
)


@dataclass(frozen=True)
class Person:
    role: str
    email: str
    name: str


PEOPLE = (
    Person("administrator", "admin@example.org", "Ada Administrator"),
    Person("coordinator", "coordinator@example.org", "Cora Coordinator"),
    Person("reader", "reader1@example.org", "Rita Reader"),
    Person("reader", "reader2@example.org", "Ravi Reader"),
    Person("reader", "reader3@example.org", "Rosa Reader"),
    Person("statistician", "statistician@example.org", "Stan Statistician"),
)


def _passphrase() -> str:
    return "-".join(secrets.choice(WORDS) for _ in range(4)) + f"-{secrets.randbelow(900) + 100}"


def make_people() -> tuple[dict[str, User], dict[str, str]]:
    """The demo's users by e-mail, and their passwords; run again, it finds both as they were."""
    path = settings.VAR_DIR / "demo-accounts.json"
    passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for person in PEOPLE:
        passwords.setdefault(person.email, _passphrase())
    path.touch(mode=0o600)
    path.write_text(json.dumps(passwords, indent=1))
    users: dict[str, User] = {}
    for person in PEOPLE:
        user = User.objects.filter(email=person.email).first()
        if user is None:
            with transaction.atomic():
                is_administrator = person.role == "administrator"
                user = User.objects.create_user(
                    person.email,
                    passwords[person.email],
                    name=person.name,
                    is_staff=is_administrator,
                    is_superuser=is_administrator,
                )
                record("demo.account.created", None, subject=user, new={"role": person.role})
        users[person.email] = user
    return users, passwords


def add_members(study: Study, users: dict[str, User], *roles: Role) -> None:
    """The platform itself adds them: nobody coordinates the first study yet."""
    for person in PEOPLE:
        user = users[person.email]
        if person.role in roles and not study.memberships.filter(user=user).exists():
            do_add_member(study, None, user, person.role)
