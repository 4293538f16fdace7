"""Steps 2 and 3: what the workers did with the issued invoice."""

import hashlib
import json
from datetime import datetime
from typing import Any, cast

import httpx
from supabase import Client

from cli.commands.demo.facts import Facts
from cli.commands.demo.local_stack import LocalStack
from cli.commands.demo.waiting import wait_for

Record = dict[str, Any]
WOKEN_MILLISECONDS = 10_000
FINAL = ("stored", "sent", "delivered", "failed", "unknown")


def follow_document(rita: Client, invoice: Record, facts: Facts) -> Record:
    """Wait for the PDF; check that Rita can fetch exactly the stored bytes. Returns the document's row."""
    facts.step("A worker, woken through Realtime, renders the PDF and files it in private storage")
    document = _wait_for(rita, "invoice_documents", invoice["id"], "Rendering the PDF")
    facts.prove("the document is stored", document["status"] == "stored", document["last_error"] or "stored")
    content = rita.storage.from_("invoices").download(document["storage_path"])
    sha256 = hashlib.sha256(content).hexdigest()
    facts.values["pdf"] = {"bytes": len(content), "sha256": sha256}
    facts.prove(
        "Rita downloads it, byte for byte what was recorded",
        content.startswith(b"%PDF-") and sha256 == document["sha256"],
        f"{len(content)} bytes, {document['page_count']} page(s)",
    )
    facts.values["issue_to_claim_ms"] = _milliseconds(invoice["issued_at"], document["claimed_at"])
    facts.values["issue_to_pdf_ms"] = _milliseconds(invoice["issued_at"], document["stored_at"])
    facts.prove(
        "the worker was woken: by itself it looks only every 30 seconds",
        facts.values["issue_to_claim_ms"] < WOKEN_MILLISECONDS,
        f"it claimed the document {facts.values['issue_to_claim_ms']} ms after the issue",
    )
    facts.prove(
        "the PDF followed",
        facts.values["issue_to_pdf_ms"] > 0,
        f"{facts.values['issue_to_pdf_ms']} ms after the issue",
    )
    return document


def follow_messages(rita: Client, stack: LocalStack, invoice: Record, facts: Facts) -> None:
    """Wait for the e-mail and the push, and find both in the sandbox's inbox."""
    facts.step("Workers e-mail Carla the invoice and push to her phone")
    mail = _wait_for(rita, "communications", invoice["id"], "Sending the e-mail")
    push = _wait_for(rita, "push_notifications", invoice["id"], "Sending the push")
    facts.values["mail_id"] = mail["provider_message_id"]
    facts.values["push_id"] = push["ticket_id"]
    facts.prove(
        "the e-mail is accepted",
        mail["status"] in ("sent", "delivered"),
        mail["last_error"] or mail["subject"],
    )
    facts.prove(
        "the push is accepted",
        push["status"] in ("sent", "delivered"),
        push["last_error"] or push["ticket_id"],
    )
    inbox = {item["id"]: item for item in httpx.get(f"{stack.inbox_url}.json", timeout=10).json()}
    _check_mail(inbox.get(mail["provider_message_id"]), facts)
    _check_opt_out(inbox.get(mail["provider_message_id"]), facts)
    _check_push(inbox.get(push["ticket_id"]), invoice, facts)


def _check_mail(mail: Record | None, facts: Facts) -> None:
    attached = [attachment["sha256"] for attachment in mail["attachments"]] if mail else []
    facts.prove(
        "the inbox shows the e-mail, the very PDF attached",
        attached == [facts.values["pdf"]["sha256"]],
        mail["subject"] if mail else "no e-mail",
    )


def _check_opt_out(mail: Record | None, facts: Facts) -> None:
    """Only looked at: the other steps still write to Carla."""
    link = mail["headers"].get("List-Unsubscribe", "").strip("<>") if mail else ""
    page = httpx.get(link, timeout=10).text if link else ""
    facts.prove(
        "it carries a link that stops such mails without a login",
        mail is not None and link in mail["text"] and "Garage Noord" in page and "<button>" in page,
        link.rpartition("/")[0] or "no link",
    )
    if not link:
        return
    forged = httpx.get(f"{link[:-1]}{'0' if link[-1:] != '0' else '1'}", timeout=10).status_code
    facts.deny("that link with one letter changed", control="the link itself", expected=404, actual=forged)


def _check_push(push: Record | None, invoice: Record, facts: Facts) -> None:
    text = json.dumps(push)
    personal = [invoice["snapshot"]["customer"]["name"], invoice["invoice_number"], invoice["gross_total"]]
    facts.prove(
        "and the push, which names no person, number or amount",
        push is not None and not any(str(value) in text for value in personal),
        push["title"] if push else "no push",
    )


def _milliseconds(start: str, end: str) -> int:
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return round(passed.total_seconds() * 1000)


def _wait_for(rita: Client, table: str, invoice_id: str, label: str) -> Record:
    """The table's row of this invoice, once it is settled."""

    def find() -> Record | None:
        query = rita.table(table).select("*").eq("invoice_id", invoice_id)
        rows = cast(list[Record], query.execute().data)
        return rows[0] if rows and rows[0]["status"] in FINAL else None

    return wait_for(label, find)
