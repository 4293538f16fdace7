"""`autexor invoices`: look at a garage's invoices and at everything that happened to one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from supabase import Client

from cli.client import sign_in_from_environment
from cli.errors import CommandFailed
from cli.lookups import Record, active_garage, in_garage_time, names, records, time_zone
from cli.output import JsonFlag, QuietFlag, emit

app = typer.Typer(no_args_is_help=True, help="Look at invoices and their whole story.")

Number = Annotated[str, typer.Argument(help="The invoice number, for example 2026-00001.")]

SHOWN = (
    "invoice_number",
    "issue_date",
    "due_date",
    "customer",
    "plate",
    "odometer_km",
    "net_total",
    "vat_total",
    "gross_total",
    "structured_communication",
    "document_status",
)


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 25,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the newest invoices and drafts of your garage."""
    found = (
        sign_in_from_environment()
        .table("invoices")
        .select("id,invoice_number,status,issue_date,gross_total::text,customers(full_name,company_name)")
        .order("created_at", desc=True)
        .limit(limit)
        .execute()
    )
    rows = [_flat(row) for row in records(found.data)]
    columns = ("invoice_number", "status", "issue_date", "customer", "gross_total")
    emit(rows, as_json=as_json, quiet=quiet, columns=columns)


@app.command("show")
def show_command(number: Number, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show one issued invoice with its lines, VAT per rate and document."""
    found = (
        sign_in_from_environment()
        .table("invoices")
        .select(
            "*,net_total::text,vat_total::text,gross_total::text,"
            "customers(full_name,company_name),vehicles(plate,vin),"
            "lines:invoice_lines(position,description,quantity::text,unit_price::text,vat_rate::text,"
            "net_amount::text),vat:invoice_vat_totals(vat_rate::text,base::text,vat::text),"
            "documents:invoice_documents(id,version,status,last_error,byte_size,sha256)"
        )
        .eq("invoice_number", number)
        .order("position", foreign_table="lines")
        .order("version", desc=True, foreign_table="documents")
        .execute()
    )
    invoice = _flat(_only(found.data, number))
    emit(invoice, as_json=as_json, quiet=quiet, columns=SHOWN)
    if not as_json and not quiet:
        emit(invoice["lines"])
        emit(invoice["vat"])


@app.command("pdf")
def pdf_command(
    number: Number,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it (default: NUMBER.pdf, here)."),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Render one issued invoice now, from its frozen content, and write the PDF to a file."""
    client = sign_in_from_environment()
    path = output or Path(f"{number}.pdf")
    if path.exists():
        raise CommandFailed(
            "file_exists", f"{path} exists already", "it would be overwritten", "Name another with --output"
        )
    path.write_bytes(_render(client, number))
    row = {"id": str(path), "invoice_number": number, "file": str(path), "bytes": path.stat().st_size}
    emit(row, as_json=as_json, quiet=quiet, columns=("invoice_number", "file", "bytes"))


@app.command("trace")
def trace_command(number: Number, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Tell the story of one invoice: who did what and when, from audit, deliveries and access log."""
    rows = trace(sign_in_from_environment(), number)
    emit(
        rows, as_json=as_json, quiet=quiet, id_field="at", columns=("when", "source", "who", "event", "what")
    )


@app.command("remind")
def remind_command(number: Number, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Remind the customer of an overdue invoice, by the channel they prefer; at most once in seven days."""
    client = sign_in_from_environment()
    found = client.table("invoices").select("id,invoice_number").eq("invoice_number", number).execute()
    invoice_id = _only(found.data, number)["id"]
    told = client.rpc("send_payment_reminder", {"invoice_id": invoice_id}).execute().data
    columns = "id,channel,recipient,status"
    rows = records(client.table("communications").select(columns).eq("id", told).execute().data)
    row = {"invoice_number": number, **(rows[0] if rows else {"id": told})}
    emit(row, as_json=as_json, quiet=quiet, columns=("invoice_number", "channel", "recipient", "status"))


def trace(client: Client, number: str) -> list[Record]:
    """The timeline of one invoice: trace_invoice's rows, plus `when` (the garage's clock), `who` and `what`.

    Raises APIError: `permission_missing` without audit.read, `invoice_not_found`.
    """
    known, zone = names(client), time_zone(client, active_garage(client))
    rows = records(client.rpc("trace_invoice", {"invoice_number": number}).execute().data)
    return [
        {
            **row,
            "when": in_garage_time(row["at"], zone, "milliseconds"),
            "who": known.get(row["actor"], row["actor"]),
            "what": what(row),
        }
        for row in rows
    ]


def what(row: Mapping[str, Any]) -> str:
    """The detail of one step of the timeline in one line."""
    detail = row["detail"]
    if row["source"] == "audit":
        status = detail["changes"].get("status")
        return f"status {status[0]} -> {status[1]}" if status else ", ".join(detail["changed"])
    if row["source"] == "delivery":
        parts = [
            f"attempt {detail['attempt']}",
            detail["reason"],
            detail["provider"],
            detail["provider_message_id"],
        ]
        return ", ".join(str(part) for part in parts if part)
    return f"from {detail['client_ip']}" if detail.get("client_ip") else ""


def _flat(row: Record) -> Record:
    customer = row.get("customers") or {}
    vehicle = row.get("vehicles") or {}
    documents = row.get("documents") or []
    return {
        **row,
        "customer": customer.get("company_name") or customer.get("full_name"),
        "plate": vehicle.get("plate"),
        "document_status": documents[0]["status"] if documents else None,
    }


def _render(client: Client, number: str) -> bytes:
    found = client.table("invoices").select("id").eq("invoice_number", number).execute()
    session = client.auth.get_session()
    assert session is not None
    # Not the client's functions.invoke: its errors forget what the edge said.
    answer = httpx.post(
        f"{str(client.supabase_url).rstrip('/')}/functions/v1/invoices/pdf",
        json={"invoice_id": _only(found.data, number)["id"]},
        headers={"authorization": f"Bearer {session.access_token}", "apikey": client.supabase_key},
        timeout=60,
    )
    return answer.raise_for_status().content


def _only(data: object, number: str) -> Record:
    rows = records(data)
    if not rows:
        raise CommandFailed(
            "invoice_not_found",
            f"There is no invoice {number}",
            "your garage has no issued invoice with this number",
            "Look it up with `autexor invoices list`",
        )
    return rows[0]
