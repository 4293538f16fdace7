from collections.abc import Callable
from typing import Any

import pytest

from workers.adapters.memory import MonospaceTypeface
from workers.core.documents import invoice_html, invoice_view
from workers.core.jobs import Snapshot

Make = Callable[..., Snapshot]
FACE = MonospaceTypeface()


def html_of(snapshot: Snapshot) -> str:
    view = invoice_view(snapshot, None, FACE)
    return invoice_html(view, len(view.pages))


@pytest.mark.req("D7", "D14")
@pytest.mark.parametrize("locale", ["nl", "fr", "en"])
def test_the_document_in_each_language(
    snapshot: Make, golden: Callable[[str, str], None], locale: str
) -> None:
    text = html_of(snapshot(3, locale=locale, note="Bedankt voor uw vertrouwen."))
    golden(f"invoice.{locale}.html", text)


@pytest.mark.req("D7", "D14")
@pytest.mark.parametrize("locale", ["nl", "fr", "en"])
def test_a_credit_note_in_each_language(
    credit_note_payload: Callable[..., dict[str, Any]], golden: Callable[[str, str], None], locale: str
) -> None:
    snapshot = Snapshot.model_validate(credit_note_payload(locale=locale))
    golden(f"credit_note.{locale}.html", html_of(snapshot))


@pytest.mark.req("D7")
def test_a_credit_note_names_its_invoice_and_its_mentions_and_asks_for_no_money(
    credit_note_payload: Callable[..., dict[str, Any]],
) -> None:
    html = html_of(Snapshot.model_validate(credit_note_payload(locale="en")))
    text = " ".join(html.replace("<br>", " ").split())
    for wanted in ("Credit note", "CN2026-00001", "2026-00001", "717/2021/0001", "Reverse charge"):
        assert wanted in text, wanted
    assert "+++" not in html
    assert '<td class="code">' not in html


@pytest.mark.req("D14")
def test_markup_in_names_and_descriptions_is_text(
    snapshot: Make, snapshot_payload: Callable[..., dict[str, Any]]
) -> None:
    payload = snapshot_payload(1)
    hostile = '<img src="file:///etc/passwd"><script>1</script>{{ 7*7 }}'
    html = html_of(
        snapshot(
            1,
            lines=[payload["lines"][0] | {"description": hostile}],
            customer=payload["customer"] | {"name": "<b>Carla</b>"},
            note="</p><pdf:nextpage>",
        )
    )
    assert html.count("<img") == 1
    assert "<script" not in html
    assert "{{ 7*7 }}" in html.replace("<br>", " ")
    assert "&lt;b&gt;Carla&lt;/b&gt;" in html
    assert "<pdf:nextpage>" not in html


def test_sums_are_carried_from_page_to_page(snapshot: Make) -> None:
    pages = invoice_view(snapshot(60), None, FACE).pages
    assert len(pages) == 3
    assert pages[0].carried_over is None
    assert [page.carried_forward for page in pages[:-1]] == [page.carried_over for page in pages[1:]]
    assert pages[-1].carried_forward is None


def test_an_endless_description_continues_in_rows_without_figures(
    snapshot: Make, snapshot_payload: Callable[..., dict[str, Any]]
) -> None:
    line = snapshot_payload(1)["lines"][0] | {"description": "remblokken " * 1500}
    view = invoice_view(snapshot(1, lines=[line]), None, FACE)
    rows = [row for page in view.pages for row in page.rows]
    assert [bool(row.amount) for row in rows] == [True] + [False] * (len(rows) - 1)
    assert [row.is_continued for row in rows] == [True] * (len(rows) - 1) + [False]


@pytest.mark.parametrize(("gross", "words"), [("0.00", "niets te betalen"), ("-5.00", "in uw voordeel")])
def test_without_anything_to_pay_there_is_no_payment_box(snapshot: Make, gross: str, words: str) -> None:
    html = html_of(snapshot(1, totals={"net": gross, "vat": "0.00", "gross": gross}))
    assert words in html
    assert "data:image/png" not in html


def test_a_long_recipient_still_fits_the_window(
    snapshot: Make, snapshot_payload: Callable[..., dict[str, Any]]
) -> None:
    customer = snapshot_payload(1)["customer"] | {
        "name": "Anaïs " * 20,
        "company_name": "Transport Lefèvre " * 6,
        "street": "Langestraat " * 10,
        "country_code": "FR",
        "vat_number": "FR40303265045",
    }
    view = invoice_view(snapshot(1, customer=customer), None, FACE)
    assert len(view.recipient_rows) <= 7
    assert all(FACE.width(row, 10.5) < 81 * 72 / 25.4 for row in view.recipient_rows)
