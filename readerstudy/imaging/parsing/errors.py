from __future__ import annotations


class Refused(Exception):
    """A file that is not taken; the message is the reason, for people, without a header's value."""


class Damaged(Refused):
    """An MR image that should have been usable.

    Where its header could still be read, `group` and `position` say which slice of which series is
    lost with it.
    """

    group: str | None = None
    position: list[float] | None = None
