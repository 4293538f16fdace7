"""`autexor demo`: the main job, end to end, with the real clients, told step by step.

A car comes in and is worked on, its garage issues an invoice, workers render and send it, its customer
reads it on the portal, nobody else can, and the whole story can be traced. Every claim is checked; one that
does not hold fails the demo.
"""

from cli.client import sign_in
from cli.commands.demo import (
    billing,
    check_in,
    conversation,
    deliveries,
    denials,
    newcomer,
    paperwork,
    portal,
    story,
    texts,
)
from cli.commands.demo.cast import CARLA, MARC, OLGA, OTTO, RITA, STAFF_PASSWORD
from cli.commands.demo.facts import Facts
from cli.commands.demo.local_stack import LocalStack, ensure_up
from cli.errors import CommandFailed, explain
from cli.output import JsonFlag, emit, tell

__all__ = ["demo"]


def demo(as_json: JsonFlag = False) -> None:
    """Perform the main job on the local stack, and prove every step of it.

    Starts the stack if it is not up and leaves it running. Each run makes a new invoice.
    """
    stack = ensure_up()
    facts = Facts()
    facts.values["urls"] = {
        "api": stack.api_url,
        "inbox": stack.inbox_url,
        "portal": portal.page_url(stack, CARLA),
    }
    try:
        _perform(stack, facts)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        facts.fail(f"{failure.what}: {failure.why} [{failure.code}]")
    if as_json:
        emit(facts.as_json(), as_json=True)
    elif not facts.failures:
        _show_summary(stack, facts)
    if facts.failures:
        raise CommandFailed(
            "demo_failed",
            f"The demo found {len(facts.failures)} thing(s) that are not as they should be",
            "; ".join(facts.failures),
            "See `autexor stack status` for the logs; `make reset` starts from a clean stack",
        )


def _perform(stack: LocalStack, facts: Facts) -> None:
    rita, marc, otto, olga = (
        sign_in(stack.api_url, stack.anon_key, email, STAFF_PASSWORD) for email in (RITA, MARC, OTTO, OLGA)
    )
    order = check_in.work_on_the_car(rita, marc, otto, facts)
    invoice = billing.draft_and_issue(rita, marc, order, facts)
    document = deliveries.follow_document(rita, invoice, facts)
    deliveries.follow_messages(rita, stack, invoice, facts)
    carla = portal.visit(stack, rita, otto, invoice, facts)
    conversation.converse(rita, carla, facts)
    newcomer.invite_a_newcomer(stack, olga, facts)
    texts.tell_by_text(stack, olga, rita, facts)
    denials.refuse_everyone_else(stack, rita, otto, carla, invoice, document, facts)
    story.tell_story(olga, rita, otto, invoice, facts)
    paperwork.settle(rita, carla, invoice, facts)


def _show_summary(stack: LocalStack, facts: Facts) -> None:
    values = facts.values
    proved = sum(len(step["proved"]) for step in facts.steps)
    tell(f"\nAll {proved} claims hold.\n", style="bold green")
    emit(
        {
            "invoice": values["invoice_number"],
            "structured communication": values["structured_communication"],
            "total": f"EUR {values['totals']['gross']}",
            "issue to stored PDF": f"{values['issue_to_pdf_ms']} ms",
            "PDF": f"{values['pdf']['bytes']} bytes, sha256 {values['pdf']['sha256'][:16]}…",
            "denials": f"{len(facts.denials)}, each beside a request that is allowed",
            "API": stack.api_url,
            "inbox": stack.inbox_url,
            "portal": f"{values['urls']['portal']} as {CARLA.email}, {CARLA.password}, PIN {CARLA.pin}",
            "look around": 'eval "$(.venv/bin/autexor stack env)", then export '
            f"AUTEXOR_EMAIL={OLGA} AUTEXOR_PASSWORD={STAFF_PASSWORD} and "
            f".venv/bin/autexor invoices trace {values['invoice_number']}",
            "stop": "make down (data is kept), make reset (start afresh)",
        }
    )
