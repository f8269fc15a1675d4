from __future__ import annotations

# What to do about a file, where it is always the same.
AGAIN = "Copy or export it again."
ORIGINAL = "Export the original series from the scanner or the PACS, and send that."
LEAVE_OUT = "Leave this file out."


class Refused(Exception):
    """A file that is not taken; the message is the reason, for people, without a header's value.

    Where its header could be read whole, `group` and `position` say which slice of which series is
    lost with it.
    """

    group: str | None = None
    position: list[float] | None = None


class Damaged(Refused):
    """What should have been a usable MR image.

    Without `group` and `position` it may be any slice of the series it was sent with.
    """
