from __future__ import annotations


class Refused(Exception):
    """A file that is not taken; the message is the reason, for people, without a header's value."""


class Damaged(Refused):
    """An MR image that should have been usable: its series would be incomplete without it."""
