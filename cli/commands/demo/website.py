"""Autexor's own website: a visitor asks for a demo, a machine is held up, an operator takes it up."""

import sys
from random import randrange
from typing import Any, cast
from uuid import uuid4

import httpx
from supabase import Client

from cli.client import anonymous
from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts
from cli.commands.demo.local_stack import LocalStack
from cli.commands.demo.waiting import mails_to, wait_for

Record = dict[str, Any]
NAME, WORDS = "Vera Bezoeker", "Werkt dit ook met twee vestigingen?"
BURST = 11


def ask_for_a_demo(stack: LocalStack, ada: Client, olga: Client, facts: Facts) -> None:
    """The request, its mail of fixed words, who reads it, and a burst that is refused."""
    facts.step("A visitor of autexor.be asks for a demo; only staff of Autexor sees it")
    email = f"vera-{uuid4().hex[:8]}@example.test"
    request = {"kind": "demo", "full_name": NAME, "email": email, "message": WORDS, "locale": "nl"}
    with _browser(stack) as browser:
        answer = browser.post("/submit_request", json=request)
        facts.prove("it is received", answer.json() == {"is_received": True}, answer.status_code)
        filled = {**request, "homepage": "https://spam.example"}
        codes = [browser.post("/submit_request", json=filled).status_code for _ in range(BURST)]
    mail = wait_for("The mail to the visitor", lambda: next(mails_to(stack, email), None))
    facts.prove("she is thanked by mail", "autexor.be" in mail["text"], mail["subject"])
    facts.prove("in fixed words: nothing she typed is in it", NAME not in mail["text"] + mail["subject"])
    facts.deny(
        f"a burst of {BURST} more from her address",
        control="the first ones were taken",
        expected=429,
        actual=codes[-1],
    )
    website = ada.schema("website")
    found = cast(
        list[Record],
        website.table("requests").select("id, status, legal_basis").eq("email", email).execute().data,
    )
    is_one = [(row["status"], row["legal_basis"]) for row in found] == [("new", "precontractual_steps")]
    facts.prove("Ada (Autexor) finds it once, with its legal basis", is_one, found[0]["legal_basis"])
    taken = cast(Record, website.rpc("follow_up", {"request_id": found[0]["id"]}).execute().data)
    facts.prove("and takes it up", taken["status"] == "in_follow_up", taken["status"])
    facts.deny(
        "Olga (owner of a garage) reading requests",
        control="Ada reads it",
        expected=[],
        actual=olga.schema("website").table("requests").select("id").execute().data,
    )
    visitor = anonymous(stack.api_url, stack.anon_key, schema="website")
    facts.deny(
        "the visitor reading requests",
        control="Ada reads it",
        expected="42501",
        actual=refusal(visitor.table("requests").select("id").execute),
    )


def _browser(stack: LocalStack) -> httpx.Client:
    """Somebody at an address of their own: requests are counted by it, and demos are run many times."""
    own = f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}" if sys.platform == "linux" else None
    return httpx.Client(
        base_url=f"{stack.api_url}/rest/v1/rpc",
        headers={"apikey": stack.anon_key, "content-profile": "website"},
        transport=httpx.HTTPTransport(local_address=own),
        timeout=30,
    )
