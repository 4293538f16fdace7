"""Cutting rows of known height into pages, so that sums can be carried from one page to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """Heights in points: the rows' area on the first and on later pages, a carry row, the closing block."""

    first: float
    later: float
    carry: float
    closing: float


def paginate(heights: Sequence[float], room: Room) -> list[range]:
    """Which rows go on which page; the last page has room for the closing block and, where it can, a row.

    >>> paginate([10] * 8, Room(first=50, later=60, carry=5, closing=20))
    [range(0, 4), range(4, 7), range(7, 8)]
    """
    pages: list[range] = []
    start = 0
    while True:
        available = room.later - room.carry if pages else room.first
        if start >= len(heights) or sum(heights[start:]) + room.closing <= available:
            return [*pages, range(start, len(heights))]
        end = _fill(heights, start, available - room.carry)
        if end == len(heights) and end - start > 1:
            end -= 1
        pages.append(range(start, max(end, start + 1)))
        start = pages[-1].stop


def _fill(heights: Sequence[float], start: int, available: float) -> int:
    end = start
    while end < len(heights) and heights[end] <= available:
        available -= heights[end]
        end += 1
    return end
