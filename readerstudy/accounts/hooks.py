"""Where higher floors are asked for the keys of programs, which open something as a person does.

Accounts know nothing of what such a key opens. Whoever makes them registers here, in its
AppConfig.ready(), how many stand and how all of a person's are revoked: that follows whenever a
person or an administrator ends every sign-in, and whenever a password is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import User


@dataclass(frozen=True)
class Keys:
    """`revoke(person, actor, why)` writes to the trail, and tells how many it revoked."""

    count: Callable[[User], int]
    revoke: Callable[[User, User | None, str], int]


_keys: list[Keys] = []


def on_programs_keys(keys: Keys) -> None:
    if keys not in _keys:
        _keys.append(keys)


def count_keys(user: User) -> int:
    return sum(keys.count(user) for keys in _keys)


def revoke_keys(user: User, actor: User | None, why: str) -> int:
    return sum(keys.revoke(user, actor, why) for keys in _keys)
