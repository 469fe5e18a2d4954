"""Tells what may still change within a tick of a disk's clock.

A file that is written twice in a tick has the same times after both. So, as git does, nothing that changed right before
it was looked at is remembered by its times: coarse clocks, as of network drives, tick once in one or two seconds.
"""

from collections.abc import Iterable

TICK = 2 * 10**9  # nanoseconds
DAY = 24 * 3600 * 10**9


def settled(stamp: Iterable[int], now: int) -> bool:
    """Return whether no time of a stamp is of the last tick.

    Nor of the next day: the clock may have been set back. Sizes and checksums in a stamp are no such times.
    """
    return not any(now - TICK <= number <= now + DAY for number in stamp)
