"""What a storage raises that is slow or away for a while, and does not refuse for good.

Below the rooms that ask it and the class that does the asking (`web.object_storage`): whoever would
wait for each of many files breaks off at the first.
"""

from __future__ import annotations


class StoreAway(OSError):
    """The store did not answer, or not now: the same may be asked again later."""


class StoreTimeout(StoreAway, TimeoutError):
    pass


class StoreGone(StoreAway, ConnectionError):
    pass
