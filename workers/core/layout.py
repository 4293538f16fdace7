"""The measures of the A4 page: millimetres for places on it, points for heights and type.

The stylesheet takes its measures from here, and the pagination counts with the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.core.pagination import Room

MM = 72 / 25.4
MOST_LINES_IN_A_ROW = 12


@dataclass(frozen=True)
class Sheet:
    """One paper size; heights of rows and blocks are what the renderer makes of the stylesheet."""

    body_end: float = 272.0
    later_top: float = 28.0
    first_top: float = 101.0
    vehicle_band: float = 15.0

    body_points: float = 9.0
    garage_points: float = 9.0
    recipient_points: float = 10.5
    fact_points: float = 9.5
    note_points: float = 8.5
    imprint_points: float = 7.0
    leading: float = 12.25
    row_padding: float = 6.0
    table_head: float = 18.0
    carry_row: float = 18.5
    vat_row: float = 14.0
    totals_block: float = 96.0
    payment_block: float = 108.0

    description_width: float = 82 * MM
    recipient_width: float = 78 * MM
    recipient_rows: int = 7
    garage_width: float = 86 * MM
    vehicle_width: float = 52 * MM
    beneficiary_width: float = 84 * MM
    note_width: float = 172 * MM
    imprint_width: float = 136 * MM

    def first_body_top(self, has_vehicle: bool) -> float:
        """Where the lines start on the first page, in millimetres."""
        return self.first_top + (self.vehicle_band if has_vehicle else 0)

    def row_height(self, lines: int) -> float:
        """The height of a row with so many lines of description."""
        return lines * self.leading + self.row_padding

    def room(self, has_vehicle: bool, vat_rates: int, note_rows: int) -> Room:
        """What the pages hold, the closing block (totals, payment, note) being kept in one piece."""
        later = (self.body_end - self.later_top) * MM - self.table_head
        closing = self.totals_block + max(0, vat_rates - 2) * self.vat_row + self.payment_block
        note = (note_rows + 1) * self.leading if note_rows else 0
        return Room(
            first=(self.body_end - self.first_body_top(has_vehicle)) * MM - self.table_head,
            later=later,
            carry=self.carry_row,
            closing=min(closing + note, later),
        )


A4 = Sheet()
