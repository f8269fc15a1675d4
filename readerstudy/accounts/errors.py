from __future__ import annotations


class AccountError(Exception):
    """An act on an account that cannot be done; the message is for people."""
