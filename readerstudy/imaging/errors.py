"""What imaging refuses, said to people."""

from __future__ import annotations


class ImagingError(Exception):
    """A file, a series or an act that cannot be accepted; the message is for people."""
