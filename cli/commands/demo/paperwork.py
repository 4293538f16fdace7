"""Step 7: the rest of the day at the counter: a payment, a credit note, and what the lists say of it."""

from decimal import Decimal
from typing import Any, cast

from supabase import Client

from cli.commands.demo.cast import NOORD
from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts
from cli.commands.demo.portal import PortalSession

Record = dict[str, Any]


def settle(rita: Client, carla: PortalSession, invoice: Record, facts: Facts) -> None:
    """Carla pays a part, Rita credits one line, Carla pays the rest; every list agrees."""
    facts.step("Carla pays a part, Rita credits one line, and the rest is settled")
    gross = Decimal(str(invoice["gross_total"]))
    _pay(rita, invoice, Decimal("50.00"))
    balance = _balance(rita, invoice)
    facts.prove(
        "a part is paid, the rest is open",
        (balance["payment_status"], Decimal(balance["balance"])) == ("partly_paid", gross - 50),
        f"EUR {balance['balance']} left",
    )
    note = _credit_a_line(rita, invoice, facts)
    balance = _balance(rita, invoice)
    left = gross - 50 - Decimal(str(note["gross_total"]))
    facts.prove(
        "what was given back is owed no more", Decimal(balance["balance"]) == left, f"EUR {left} left"
    )
    _pay(rita, invoice, left)
    balance = _balance(rita, invoice)
    facts.prove("and with the rest it is paid", balance["payment_status"] == "paid")
    _check_portal(carla, invoice, note, facts)
    _check_search(rita, note, facts)
    facts.values["credit_note"] = {
        "invoice_number": note["invoice_number"],
        "gross": f"{Decimal(str(note['gross_total'])):.2f}",
    }


def _pay(rita: Client, invoice: Record, amount: Decimal) -> None:
    payment = {
        "garage_id": NOORD,
        "invoice_id": invoice["id"],
        "amount": str(amount),
        "paid_on": invoice["issue_date"],
        "method": "card",
    }
    rita.table("payments").insert(payment).execute()


def _balance(rita: Client, invoice: Record) -> Record:
    columns = "payment_status,balance::text"
    found = rita.table("invoice_balances").select(columns).eq("invoice_id", invoice["id"]).execute()
    return cast(list[Record], found.data)[0]


def _credit_a_line(rita: Client, invoice: Record, facts: Facts) -> Record:
    request = {"invoice_id": invoice["id"], "reason": "Remblokken teruggebracht"}
    draft = cast(Record, rita.rpc("credit_invoice", request).execute().data)
    rita.table("invoice_lines").delete().eq("invoice_id", draft["id"]).gt("position", 1).execute()
    stale = rita.table("invoices").update({"note": "…", "revision": draft["revision"]}).eq("id", draft["id"])
    facts.deny(
        "saving a draft that somebody else changed meanwhile",
        control="the same change with the next revision is saved",
        expected="changed_meanwhile",
        actual=refusal(stale.execute),
    )
    fresh = {"note": "Remblokken teruggebracht", "revision": draft["revision"] + 1}
    rita.table("invoices").update(fresh).eq("id", draft["id"]).execute()
    note = cast(Record, rita.rpc("issue_invoice", {"invoice_id": draft["id"]}).execute().data)
    facts.prove(
        "a credit note has a series of its own and names its invoice",
        note["series"] == "CN" and note["snapshot"]["credits"]["number"] == invoice["invoice_number"],
        note["invoice_number"],
    )
    again = cast(Record, rita.rpc("credit_invoice", request).execute().data)
    facts.deny(
        "crediting the same line a second time",
        control=f"the first time was {note['invoice_number']}",
        expected="credit_exceeds_invoice",
        actual=refusal(rita.rpc("issue_invoice", {"invoice_id": again["id"]}).execute),
    )
    rita.table("invoices").delete().eq("id", again["id"]).execute()
    return note


def _check_portal(carla: PortalSession, invoice: Record, note: Record, facts: Facts) -> None:
    (seen,) = carla.rows("invoices", "id", invoice["id"])
    notes = carla.rows("invoices", "credits_invoice_id", invoice["id"])
    facts.prove(
        "Carla sees her credit note, and that nothing is left to pay",
        seen["payment_status"] == "paid" and [one["id"] for one in notes] == [note["id"]],
        notes[0]["invoice_number"],
    )


def _check_search(rita: Client, note: Record, facts: Facts) -> None:
    for words, kind in (("1abc234", "vehicle"), (str(note["invoice_number"]), "credit_note")):
        found = cast(list[Record], rita.rpc("search", {"query": words}).execute().data)
        facts.prove(f'a search for "{words}" finds it', found[0]["kind"] == kind, found[0]["title"])
