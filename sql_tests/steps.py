"""What people and workers do, as the tests' vocabulary."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Connection, Database
from sql_tests.cast import Actor, Customer

Row = dict[str, Any]
LINES = (("Onderhoud", 1, "95.125", 21), ("Waterpomp", 2, "10.005", 6))
RESULTS: dict[str, Row] = {
    "render": {"byte_size": 1000, "sha256": "ab" * 32, "page_count": 1, "template_version": "1"},
    "send": {
        "subject": "Factuur",
        "body_text": "Dag",
        "body_html": "<p>Dag</p>",
        "template_version": "1",
        "provider": "sendgrid",
        "provider_message_id": "sg-1",
    },
    "push": {"ticket_id": "ticket-1", "provider": "expo"},
    "check": {"verdict": "live", "problem": None},
    "website": {"template_version": "1", "provider": "sendgrid", "provider_message_id": "sg-1"},
    "erase": {},
}


@contextmanager
def refused(code: str, status: int = 422) -> Iterator[None]:
    """What happens inside is refused in the one shape of our errors."""
    with pytest.raises(psycopg.Error) as caught:
        yield
    found = caught.value.diag
    assert (found.sqlstate, found.message_detail) == (f"PT{status}", code), found.message_primary
    assert found.message_primary and found.message_hint


@contextmanager
def denied() -> Iterator[None]:
    """What happens inside is refused by a grant or a policy."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        yield


def one(connection: Connection, query: str, *arguments: Any) -> Any:
    """The only column of the only row."""
    row = connection.execute(query.encode(), arguments).fetchone()
    assert row is not None, "no row"
    (value,) = row.values()
    return value


def look(database: Database, query: str, *arguments: Any) -> Any:
    """`one`, as the owner, who sees everything."""
    with database.connect() as connection:
        return one(connection, query, *arguments)


def change(database: Database, statement: str, *arguments: Any) -> None:
    """Do something as the owner, for good."""
    with database.connect() as connection:
        connection.execute(statement.encode(), arguments)


def draft(
    connection: Connection,
    customer: Customer,
    lines: Sequence[tuple[str, object, object, object]] = LINES,
    odometer_km: int | None = 84512,
) -> str:
    """A draft invoice for a customer and their car, by whoever the connection acts as; its id."""
    invoice_id = one(
        connection,
        "insert into public.invoices (garage_id, customer_id, vehicle_id, odometer_km)"
        " values (%s, %s, %s, %s) returning id",
        customer.garage_id,
        customer.customer_id,
        customer.vehicle_id,
        odometer_km,
    )
    for position, line in enumerate(lines, start=1):
        add_line(connection, customer.garage_id, invoice_id, position, *line)
    return str(invoice_id)


def add_line(
    connection: Connection,
    garage_id: str,
    invoice_id: str,
    position: int,
    description: str = "Onderhoud",
    quantity: object = 1,
    unit_price: object = 100,
    vat_rate: object = 21,
) -> None:
    """One line more on an invoice."""
    connection.execute(
        "insert into public.invoice_lines"
        " (garage_id, invoice_id, position, description, quantity, unit_price, vat_rate)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (garage_id, invoice_id, position, description, quantity, unit_price, vat_rate),
    )


def work_order(connection: Connection, customer: Customer, status: str = "in_progress") -> str:
    """A work order of one task and one line for a customer's car, by whoever acts; its id."""
    order_id = one(
        connection,
        "insert into public.work_orders (garage_id, customer_id, vehicle_id, status, complaint,"
        " internal_note, odometer_in_km) values (%s, %s, %s, %s, 'Remmen piepen', 'Slechte betaler', 84600)"
        " returning id",
        customer.garage_id,
        customer.customer_id,
        customer.vehicle_id,
        status,
    )
    task_id = one(
        connection,
        "insert into public.work_order_tasks (garage_id, work_order_id, position, title)"
        " values (%s, %s, 1, 'Remblokken vervangen') returning id",
        customer.garage_id,
        order_id,
    )
    connection.execute(
        "insert into public.work_order_lines (garage_id, work_order_id, task_id, kind, position,"
        " description, quantity, unit_price, discount_percent, vat_rate)"
        " values (%s, %s, %s, 'labour', 1, 'Werkuren', 1.5, 62.35, 10, 21)",
        (customer.garage_id, order_id, task_id),
    )
    return str(order_id)


def issue(connection: Connection, invoice_id: str) -> Row:
    """Issue a draft; the invoice."""
    row = connection.execute("select * from public.issue_invoice(%s)", (invoice_id,)).fetchone()
    assert row is not None
    return row


def issued_invoice(database: Database, staff: Actor, customer: Customer) -> Row:
    """An invoice that a member of staff drafted and issued, for good."""
    with staff.acting(database) as connection:
        invoice = issue(connection, draft(connection, customer))
        connection.commit()
    return invoice


def claim(database: Database, queue: str, visibility_seconds: int = 60, max_jobs: int = 50) -> list[Row]:
    """The work a worker gets: rows of msg_id and job."""
    with database.connect("worker") as connection:
        return connection.execute(
            "select * from private.claim_jobs(%s, %s, %s)", (queue, max_jobs, visibility_seconds)
        ).fetchall()


def finish(
    database: Database,
    queue: str,
    claimed: Row,
    outcome: str = "done",
    reason: str | None = None,
    delay: int = 0,
    result: Row | None = None,
) -> str:
    """Record what became of a claimed job; the row's status. `result` is added to what is usual."""
    job = claimed["job"]
    with database.connect("worker") as connection:
        return str(
            one(
                connection,
                "select private.finish_job(%s, %s, %s, %s, %s, %s, %s, %s)",
                queue,
                claimed["msg_id"],
                job["subject_id"],
                job["attempt"],
                outcome,
                reason,
                delay,
                Jsonb(RESULTS[queue] | (result or {}) if outcome == "done" else {}),
            )
        )


def work(database: Database) -> None:
    """Do all the work there is, successfully."""
    for queue in ("check", "render", "send", "push", "website"):
        while jobs := claim(database, queue):
            for claimed in jobs:
                finish(database, queue, claimed)
            # What had to wait because others were under way need not wait any more.
            change(
                database,
                f"update pgmq.q_{queue} set vt = now() where vt < now() + interval '10 seconds'",
            )


def edge(database: Database, function: str, **arguments: object) -> Any:
    """Call one of the functions of the edge, as the edge."""
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    with database.connect("edge") as connection:
        row = connection.execute(
            f"select private.{function}({named}) as answer".encode(), arguments
        ).fetchone()
    assert row is not None
    return row["answer"]


def restrict(database: Database, customer: Customer) -> None:
    """The state of a restricted customer, without its way through the request."""
    with database.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "with asked as ("
            " insert into public.rights_requests (garage_id, customer_id, kind, due_on, status)"
            " values (%s, %s, 'restriction', current_date, 'received') returning garage_id, customer_id, id)"
            " insert into public.customer_restrictions (garage_id, customer_id, request_id)"
            " select garage_id, customer_id, id from asked",
            (customer.garage_id, customer.customer_id),
        )


def digest(text: str) -> str:
    """SHA-256 as hex, which is how tokens are stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def reserve(database: Database, customer: Customer, client_ip: str = "192.0.2.1", **other: object) -> Row:
    """Begin to sign in; `other` replaces what the customer would send."""
    arguments = {
        "garage_id": customer.garage_id,
        "login": customer.login,
        "device_id": customer.device_id,
        "fingerprint": customer.fingerprint,
        "client_ip": client_ip,
        "user_agent": "tests",
    }
    answer: Row = edge(database, "portal_login_reserve", **{**arguments, **other})
    return answer


def complete(database: Database, attempt: Row, token: str, is_ok: bool = True) -> Row:
    """End a sign-in with what the edge found out about the secrets."""
    answer: Row = edge(
        database,
        "portal_login_finish",
        attempt_id=attempt["attempt_id"],
        is_ok=is_ok,
        refresh_token_sha256=digest(token),
    )
    return answer


def sign_in(database: Database, customer: Customer) -> tuple[Row, str]:
    """A live session and its refresh token."""
    token = secrets.token_hex(16)
    session = complete(database, reserve(database, customer), token)
    assert session["account_id"] == customer.account_id
    return session, token


def refresh(database: Database, customer: Customer, token: str, next_token: str, **other: object) -> Row:
    """Spend a refresh token."""
    arguments = {
        "refresh_token_sha256": digest(token),
        "next_token_sha256": digest(next_token),
        "device_id": customer.device_id,
        "fingerprint": customer.fingerprint,
        "client_ip": "192.0.2.1",
    }
    answer: Row = edge(database, "portal_refresh", **{**arguments, **other})
    return answer


def grant_document(
    database: Database, customer: Customer, session_id: object, invoice_id: object, nonce: str
) -> Row:
    """Ask for a link to a document, as the edge does for a customer."""
    answer: Row = edge(
        database,
        "portal_grant_document",
        session_id=session_id,
        account_id=customer.account_id,
        garage_id=customer.garage_id,
        invoice_id=invoice_id,
        grant_sha256=digest(nonce),
        client_ip="192.0.2.1",
        user_agent="tests",
    )
    return answer
