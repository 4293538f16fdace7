"""The invoice document: a frozen snapshot in, HTML for the renderer out.

All text is wrapped here, with the document font's own metrics, because the sums carried from page to page
need to know which line ends up where; the renderer only sets what it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

from workers.core import money
from workers.core.colors import Palette, palette
from workers.core.jobs import Locale, Snapshot, SnapshotLine
from workers.core.layout import A4, MOST_LINES_IN_A_ROW
from workers.core.logo import Logo, read_logo
from workers.core.pagination import paginate
from workers.core.parties import garage_rows, imprint, recipient_rows, vehicle_name
from workers.core.payment import beneficiary, payment_qr, structured
from workers.core.templating import template
from workers.core.text import Typeface, clean, clip, wrap
from workers.core.wording import WORDS, Words

INVOICE_TEMPLATE_VERSION = "invoice/2"


@dataclass(frozen=True)
class Row:
    """One printed row; a very long line continues in rows without figures."""

    description: tuple[str, ...]
    net_amount: Decimal = Decimal(0)
    quantity: str = ""
    unit_price: str = ""
    vat_rate: str = ""
    amount: str = ""
    is_continued: bool = False


@dataclass(frozen=True)
class Page:
    """The rows of one page, and the sums carried over to it and forward from it."""

    rows: tuple[Row, ...]
    carried_over: str | None
    carried_forward: str | None


@dataclass(frozen=True)
class InvoiceView:
    """Everything the template shows, already worded, measured and cut into pages."""

    snapshot: Snapshot
    words: Words
    title: str
    discount: Decimal
    colors: Palette
    logo: Logo | None
    garage_rows: tuple[str, ...]
    recipient_rows: tuple[str, ...]
    imprint: tuple[str, ...]
    vehicle_name: str | None
    beneficiary: str
    pages: tuple[Page, ...]
    note_rows: tuple[str, ...]
    qr: str | None
    communication: str
    body_top: float


def invoice_view(snapshot: Snapshot, logo_png_base64: str | None, typeface: Typeface) -> InvoiceView:
    """Lay the invoice out; raises ValueError for an accent colour that is not one."""
    snapshot = Snapshot.model_validate(_cleaned(snapshot.model_dump(by_alias=True), typeface))
    words = WORDS[snapshot.locale]
    note = "\n".join(text for text in (*_mentions(snapshot, words), snapshot.note) if text)
    note_rows = wrap(note, A4.note_width, A4.note_points, typeface) if note else ()
    return InvoiceView(
        snapshot=snapshot,
        words=words,
        title=words.credit_note if snapshot.kind == "credit_note" else words.title,
        discount=sum((row.discount for row in snapshot.vat), Decimal(0)),
        colors=palette(snapshot.garage.accent_color),
        logo=read_logo(logo_png_base64),
        garage_rows=garage_rows(snapshot, typeface),
        recipient_rows=recipient_rows(snapshot, typeface),
        imprint=imprint(snapshot, typeface),
        vehicle_name=vehicle_name(snapshot.vehicle, typeface) if snapshot.vehicle else None,
        beneficiary=clip(
            wrap(beneficiary(snapshot), A4.beneficiary_width, A4.body_points, typeface, True), 1
        )[0],
        pages=_pages(snapshot, len(note_rows), typeface),
        note_rows=note_rows,
        qr=payment_qr(snapshot),
        communication=structured(snapshot.structured_communication or ""),
        body_top=A4.first_body_top(has_vehicle=snapshot.vehicle is not None),
    )


def invoice_html(view: InvoiceView, page_total: int) -> str:
    """The document's HTML; `page_total` is the n of "page 1 of n"."""
    locale = view.snapshot.locale
    return template("documents/invoice.html.j2").render(
        view=view,
        s=view.snapshot,
        words=view.words,
        colors=view.colors,
        page_total=page_total,
        a4=A4,
        **_formats(locale),
    )


def _mentions(snapshot: Snapshot, words: Words) -> list[str]:
    mentions = [words.mentions[mention] for mention in snapshot.mentions]
    if snapshot.credits is not None:
        mentions.insert(
            0, f"{words.credits} {snapshot.credits.number} · {money.short_date(snapshot.credits.issue_date)}"
        )
    if snapshot.vehicle is not None and snapshot.vehicle.attest_717_reference is not None:
        mentions.append(f"{words.attest_717} {snapshot.vehicle.attest_717_reference}")
    return mentions


def _formats(locale: Locale) -> dict[str, Any]:
    return {
        "amount": lambda value: money.amount(value, locale),
        "percentage": lambda value: money.percentage(value, locale),
        "kilometres": lambda value: money.kilometres(value, locale),
        "day": money.short_date,
        "iban_groups": money.iban_groups,
    }


def _cleaned(value: Any, typeface: Typeface) -> Any:
    if isinstance(value, str):
        return clean(value, typeface)
    if isinstance(value, dict):
        return {key: _cleaned(item, typeface) for key, item in value.items()}
    return [_cleaned(item, typeface) for item in value] if isinstance(value, list | tuple) else value


def _pages(snapshot: Snapshot, note_rows: int, typeface: Typeface) -> tuple[Page, ...]:
    rows = [row for line in snapshot.lines for row in _rows(line, snapshot.locale, typeface)]
    totals = len(snapshot.vat) + (snapshot.discount_percent > 0)
    room = A4.room(snapshot.vehicle is not None, totals, note_rows)
    cuts = paginate([A4.row_height(len(row.description)) for row in rows], room)
    sums = [Decimal(0), *accumulate(row.net_amount for row in rows)]
    return tuple(_page(rows, cut, sums, snapshot.locale) for cut in cuts)


def _page(rows: Sequence[Row], cut: range, sums: Sequence[Decimal], locale: Locale) -> Page:
    has_rows_before, has_rows_after = cut.start > 0 and len(cut) > 0, cut.stop < len(rows)
    return Page(
        rows=tuple(rows[cut.start : cut.stop]),
        carried_over=money.amount(sums[cut.start], locale) if has_rows_before else None,
        carried_forward=money.amount(sums[cut.stop], locale) if has_rows_after else None,
    )


def _rows(line: SnapshotLine, locale: Locale, typeface: Typeface) -> list[Row]:
    description = line.description
    if line.discount_percent > 0:
        percentage = money.percentage(line.discount_percent, locale)
        description += f"\n{WORDS[locale].discount} {percentage}"
    text = wrap(description, A4.description_width, A4.body_points, typeface)
    parts = [text[at : at + MOST_LINES_IN_A_ROW] for at in range(0, len(text), MOST_LINES_IN_A_ROW)]
    first = Row(
        description=parts[0],
        net_amount=line.net_amount,
        quantity=money.quantity(line.quantity, locale),
        unit_price=money.unit_price(line.unit_price, locale),
        vat_rate=money.percentage(line.vat_rate, locale) if line.vat_category == "standard" else "–",
        amount=money.amount(line.net_amount, locale),
        is_continued=len(parts) > 1,
    )
    rest = [Row(description=part, is_continued=part is not parts[-1]) for part in parts[1:]]
    return [first, *rest]
