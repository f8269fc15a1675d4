"""UIDs replaced by a keyed hash: stable over workers and uploads, not to be reversed."""

from __future__ import annotations

import hashlib
import hmac

PREFIX = "2.25."  # PS3.5 B.2: a UUID, as a decimal number


def replace_uid(uid: str, key: bytes) -> str:
    """2.25.<128-bit integer> from HMAC-SHA256 of the UID under the site's key."""
    digest = hmac.new(key, b"uid:" + uid.encode("utf-8", "replace"), hashlib.sha256).digest()
    return PREFIX + str(int.from_bytes(digest[:16], "big"))
