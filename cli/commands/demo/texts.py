"""A customer without e-mail: told by text through the garage's own account, answers, and says stop."""

import secrets
from typing import Any, cast

import httpx
from supabase import Client

from cli.commands.demo.cast import NOORD
from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts
from cli.commands.demo.local_stack import LocalStack
from cli.commands.demo.waiting import wait_for

Record = dict[str, Any]
SENDER = "+32460000001"
ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
ANSWER = "Prima, ik kom om vijf uur."


def tell_by_text(stack: LocalStack, olga: Client, rita: Client, facts: Facts) -> None:
    """The account, the message, what the provider tells of it, the answer, and the end of it."""
    facts.step("Olga sets up the garage's account for texts; a customer without e-mail is told by SMS")
    account_id = _set_up(olga, facts)
    tom = _customer(rita)
    told = rita.rpc("announce_work_ready", {"work_order_id": _finished_work(rita, tom)}).execute().data
    message = _settled(rita, str(told))
    events = _rows(rita.table("delivery_events").select("event,code").eq("communication_id", message["id"]))
    facts.prove(
        "the SMS is delivered, as the provider's signed webhook says",
        message["status"] == "delivered" and "delivered" in [event["event"] for event in events],
        f"{message['status']}, {message['segments']} segment(s)",
    )
    inbox = httpx.get(f"{stack.inbox_url}.json", timeout=10).json()
    facts.prove(
        "the inbox shows it, and that it says how to stop",
        any(item["id"] == message["provider_message_id"] and "STOP" in item["text"] for item in inbox),
        tom["phone"],
    )
    _write(stack, account_id, tom, ANSWER)
    talk = wait_for("The answer", lambda: _talk(rita, tom) or None)
    facts.prove("his answer arrives in the conversation", talk[-1]["body"] == ANSWER, talk[-1]["body"])
    _write(stack, account_id, tom, "STOP")
    facts.deny(
        "a text to who answered STOP",
        control="the one before was delivered",
        expected="customer_unreachable",
        actual=refusal(
            lambda: rita.rpc("announce_work_ready", {"work_order_id": _finished_work(rita, tom)}).execute()
        ),
    )


def _set_up(olga: Client, facts: Facts) -> str:
    token = secrets.token_hex(16)
    account = {
        "channel": "sms",
        "provider": "twilio",
        "secret": token,
        "sender_address": SENDER,
        "account_sid": ACCOUNT_SID,
    }
    account_id = str(olga.rpc("set_provider_account", account).execute().data)
    table = olga.table("provider_accounts")
    shown = _rows(table.select("secret_tail").eq("id", account_id))[0]["secret_tail"]
    facts.prove("of its key the last characters are shown", shown == token[-4:], f"…{shown}")
    facts.deny(
        "Olga reading where the key lies",
        control="she set it",
        expected="42501",
        actual=refusal(lambda: olga.table("provider_accounts").select("secret_id").execute()),
    )
    return account_id


def _customer(rita: Client) -> Record:
    phone = f"+3247{secrets.randbelow(10**7):07d}"
    row = {"garage_id": NOORD, "full_name": "Tom Tekst", "phone": phone, "preferred_channel": "sms"}
    return _rows(rita.table("customers").insert(row))[0]


def _finished_work(rita: Client, tom: Record) -> str:
    vehicle = _rows(
        rita.table("vehicles").insert({"garage_id": NOORD, "make": "Opel", "model": "Corsa"}),
    )[0]
    arrival = {
        "garage_id": NOORD,
        "customer_id": tom["id"],
        "vehicle_id": vehicle["id"],
        "complaint": "Banden wisselen",
    }
    order = _rows(rita.table("work_orders").insert(arrival))[0]
    for revision, status in enumerate(("in_progress", "ready"), start=order["revision"] + 1):
        change = {"status": status, "revision": revision}
        rita.table("work_orders").update(change).eq("id", order["id"]).execute()
    return str(order["id"])


def _settled(rita: Client, communication_id: str) -> Record:
    def find() -> Record | None:
        row = _rows(rita.table("communications").select("*").eq("id", communication_id))[0]
        return row if row["status"] in ("delivered", "failed", "unknown") else None

    return wait_for("The text", find)


def _write(stack: LocalStack, account_id: str, tom: Record, body: str) -> None:
    """What his phone sends: the sandbox tells the edge, signed as Twilio signs."""
    message = {"account_id": account_id, "from": tom["phone"], "to": SENDER, "body": body}
    httpx.post(f"{stack.api_url}/sandbox/inbound", json=message, timeout=30).raise_for_status()


def _talk(rita: Client, tom: Record) -> list[Record]:
    query = rita.table("messages").select("body,conversations!inner(customer_id)")
    return _rows(query.eq("conversations.customer_id", tom["id"]).eq("sender", "customer"))


def _rows(query: Any) -> list[Record]:
    return cast(list[Record], query.execute().data)
