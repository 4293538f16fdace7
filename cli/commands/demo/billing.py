"""Step 1, at the desk: Rita turns the finished work into a draft invoice and issues it."""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast

from supabase import Client

from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts

Record = dict[str, Any]
CENT = Decimal("0.01")

# Half cents on purpose (rounded away from zero), at two rates.
LINES: Sequence[Mapping[str, str]] = (
    {"description": "Remblokken vooraan", "quantity": "1", "unit_price": "12.345", "vat_rate": "21"},
    {"description": "Werkuren", "quantity": "1.5", "unit_price": "62.35", "vat_rate": "21"},
    {"description": "Aanpassing handbediening", "quantity": "1", "unit_price": "48.005", "vat_rate": "6"},
)


def draft_and_issue(rita: Client, marc: Client, order: Record, facts: Facts) -> Record:
    """Draft what the work order says, issue and check it; returns the invoice as the API answered it."""
    last_numbers = _last_numbers(rita)
    invoice_id = _draft(rita, marc, order, facts)
    invoice = cast(Record, rita.rpc("issue_invoice", {"invoice_id": invoice_id}).execute().data)
    facts.values["invoice_number"] = invoice["invoice_number"]
    facts.values["structured_communication"] = invoice["structured_communication"]
    facts.prove("it has a number", bool(invoice["invoice_number"]), invoice["invoice_number"])
    facts.prove("no number was skipped", invoice["number"] == last_numbers.get(invoice["year"], 0) + 1)
    _check_reference(str(invoice["structured_communication"]), facts)
    _check_totals(rita, invoice, facts)
    vehicle = invoice["snapshot"]["vehicle"]
    facts.prove(
        "the frozen snapshot states VIN and odometer",
        bool(vehicle["vin"]) and vehicle["odometer_km"] == order["odometer_in_km"],
        f"{vehicle['vin']}, {vehicle['odometer_km']} km",
    )
    document = _documents(rita, invoice_id)[0]
    facts.prove(
        "its document was requested in the same transaction",
        document["created_at"] == invoice["issued_at"],
    )
    return invoice


def expected_totals(lines: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Base and VAT per rate, highest rate first: lines rounded half up, VAT on the rate's total."""
    bases: dict[Decimal, Decimal] = {}
    for line in lines:
        net = (Decimal(line["quantity"]) * Decimal(line["unit_price"])).quantize(CENT, ROUND_HALF_UP)
        rate = Decimal(line["vat_rate"]).quantize(CENT)
        bases[rate] = bases.get(rate, Decimal(0)) + net
    return [
        {
            "rate": str(rate),
            "base": str(base),
            "vat": str((base * rate / 100).quantize(CENT, ROUND_HALF_UP)),
        }
        for rate, base in sorted(bases.items(), reverse=True)
    ]


def is_structured_communication(text: str) -> bool:
    """Whether the text is a Belgian OGM whose last two digits are the first ten modulo 97 (0 becomes 97)."""
    if not re.fullmatch(r"\+\+\+\d{3}/\d{4}/\d{5}\+\+\+", text):
        return False
    digits = re.sub(r"\D", "", text)
    return int(digits[10:]) == (int(digits[:10]) % 97 or 97)


def _draft(rita: Client, marc: Client, order: Record, facts: Facts) -> str:
    work = {"work_order_id": order["id"]}
    by_marc = refusal(marc.rpc("invoice_work_order", work).execute)
    draft = cast(Record, rita.rpc("invoice_work_order", work).execute().data)
    lines = rita.table("invoice_lines").select("id").eq("invoice_id", draft["id"]).execute().data
    facts.prove(
        "one click makes its draft invoice, every line of the work on it",
        len(lines) == len(LINES),
        f"{len(lines)} lines",
    )
    facts.deny(
        "the same click by Marc", control="Rita's worked", expected="permission_missing", actual=by_marc
    )
    return str(draft["id"])


def _last_numbers(rita: Client) -> dict[int, int]:
    series = rita.table("invoice_series").select("year,last_number").eq("series", "").execute()
    return {row["year"]: row["last_number"] for row in cast(list[Record], series.data)}


def _documents(rita: Client, invoice_id: str) -> list[Record]:
    found = rita.table("invoice_documents").select("created_at").eq("invoice_id", invoice_id).execute()
    return cast(list[Record], found.data)


def _check_reference(reference: str, facts: Facts) -> None:
    facts.prove(
        "the structured communication passes modulo 97", is_structured_communication(reference), reference
    )


def _check_totals(rita: Client, invoice: Record, facts: Facts) -> None:
    found = (
        rita.table("invoice_vat_totals")
        .select("rate:vat_rate::text,base::text,vat::text")
        .eq("invoice_id", invoice["id"])
        .order("vat_rate", desc=True)
        .execute()
    )
    rates = cast(list[Record], found.data)
    totals = {name: f"{Decimal(str(invoice[f'{name}_total'])):.2f}" for name in ("net", "vat", "gross")}
    facts.values["totals"] = {**totals, "rates": rates}
    told = [f"{rate['vat']} on {rate['base']} at {rate['rate']} %" for rate in rates]
    facts.prove("VAT is computed per rate, half cents rounded", rates == expected_totals(LINES), told)
    sums = [sum(Decimal(rate[name]) for rate in rates) for name in ("base", "vat")]
    is_sum = [str(sums[0]), str(sums[1]), str(sum(sums))] == list(totals.values())
    facts.prove("the totals are the sums of the rates", is_sum, f"EUR {totals['gross']}")
