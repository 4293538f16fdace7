"""Step 6: the whole story of the invoice, from audit, deliveries and access log."""

from typing import Any

from supabase import Client

from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts
from cli.commands.invoices import trace
from cli.output import tell

EXPECTED = {
    ("audit", "invoices created"),
    ("audit", "invoices changed"),
    ("audit", "invoice_lines created"),
    ("audit", "invoice_documents created"),
    ("delivery", "render done"),
    ("delivery", "email done"),
    ("delivery", "push done"),
    ("access", "document_link_issued"),
}


def tell_story(olga: Client, rita: Client, otto: Client, invoice: dict[str, Any], facts: Facts) -> None:
    """Print the timeline as `autexor invoices trace` does, and check that nothing is missing."""
    number = invoice["invoice_number"]
    facts.step(f"Olga (owner) reads the whole story: autexor invoices trace {number}")
    rows = trace(olga, number)
    for row in rows:
        tell(
            f"   {row['when'][11:]}  {row['source']:<8}  {row['who']:<28}  {row['event']:<26}  {row['what']}"
        )
    facts.values["trace"] = [f"{row['source']}: {row['event']}" for row in rows]
    missing = EXPECTED - {(row["source"], row["event"]) for row in rows}
    facts.prove("every step is in it", not missing, missing or f"{len(rows)} entries")
    issued = [row for row in rows if row["event"] == "invoices changed"]
    is_one = len(issued) == 1 and issued[0]["at"] == invoice["issued_at"]
    facts.prove("the audit row was written in the issuing transaction", is_one)
    story = {"invoice_number": number}
    facts.deny(
        "Rita reading the audit log",
        control="Olga has audit.read",
        expected="permission_missing",
        actual=refusal(rita.rpc("trace_invoice", story).execute),
    )
    facts.deny(
        "Otto tracing an invoice of Garage Noord",
        control="Olga traced it",
        expected="invoice_not_found",
        actual=refusal(otto.rpc("trace_invoice", story).execute),
    )
