"""What customers do about their access, as the edge would ask the database for them."""

import secrets
from typing import Any

from devstack.testing import Database
from sql_tests.cast import CARLA, NOORD, OLGA, Actor, Customer
from sql_tests.people import call
from sql_tests.steps import change, claim, complete, digest, edge, finish, look, reserve

HASH = "$argon2id$v=19$m=47104,t=1,p=1$c2FsdHNhbHQ$"
ADDRESS = {"client_ip": "192.0.2.1", "user_agent": "tests"}
NEWCOMER = """
insert into public.customers (garage_id, full_name, email) values (%s, 'Nele Nieuw', %s) returning id::text
"""
Answer = dict[str, Any]


def newcomer(database: Database, email: str, garage_id: str = NOORD) -> str:
    """A customer who has no access yet; the id."""
    with database.connect() as connection:
        row = connection.execute(NEWCOMER, (garage_id, email)).fetchone()
    assert row is not None
    return str(row["id"])


def invite(database: Database, customer_id: str, actor: Actor = OLGA) -> str:
    """The id of a customer's invitation."""
    return str(call(database, actor, "invite_customer(%s)", customer_id))


def mails(database: Database) -> list[Answer]:
    """Send all mails that wait; their jobs."""
    claimed = claim(database, "send")
    for mail in claimed:
        finish(database, "send", mail)
    return [dict(mail["job"]) for mail in claimed]


def mailed_token(database: Database) -> str:
    """Send the one mail that waits; the token in it."""
    (mail,) = mails(database)
    return str(mail["context"]["token"])


def activate(database: Database, token: str, phone: str = "nele-phone", **other: object) -> Answer:
    """Accept an invitation on a phone."""
    arguments = {
        "token_sha256": digest(token),
        "password_hash": HASH + "cGFzc3dvcmQ",
        "pin_hash": HASH + "cGlu",
        "device_id": phone,
        "fingerprint": "fp-nele",
        "label": "Phone",
        "key_thumbprint": None,
        "refresh_token_sha256": digest(secrets.token_hex(16)),
        **ADDRESS,
    }
    answer: Answer = edge(database, "portal_activate", **{**arguments, **other})
    return answer


def forgot(database: Database, login: str, garage_id: str = NOORD, client_ip: str = "192.0.2.1") -> Answer:
    """Ask for a new password."""
    answer: Answer = edge(
        database,
        "portal_forgot_password",
        garage_id=garage_id,
        login=login,
        client_ip=client_ip,
        user_agent="tests",
    )
    return answer


def reset(database: Database, token: str, password_hash: str = HASH + "bmV3") -> Answer:
    """Set a new password with the token of a mail."""
    answer: Answer = edge(
        database, "portal_reset_password", token_sha256=digest(token), password_hash=password_hash, **ADDRESS
    )
    return answer


def ask_device(database: Database, phone: str, is_ok: bool = True, customer: Customer = CARLA) -> Answer:
    """Ask for a code that binds a phone, the password being right or not."""
    attempt = reserve(database, customer, device_id=phone, purpose="device")
    answer: Answer = edge(
        database,
        "portal_device_ask",
        attempt_id=attempt["attempt_id"],
        is_ok=is_ok,
        device_id=phone,
        fingerprint="fp-new",
    )
    return answer


def bind_device(database: Database, phone: str, code: str, is_ok: bool = True, **other: object) -> Answer:
    """Bind a phone with the code."""
    attempt = reserve(database, CARLA, device_id=phone, purpose="device")
    arguments = {
        "attempt_id": attempt["attempt_id"],
        "is_ok": is_ok,
        "code_sha256": digest(code),
        "device_id": phone,
        "fingerprint": "fp-new",
        "label": "New phone",
        "pin_hash": HASH + "bmV3cGlu",
        "refresh_token_sha256": digest(secrets.token_hex(16)),
    }
    answer: Answer = edge(database, "portal_device_finish", **{**arguments, **other})
    return answer


def confirm(
    database: Database, session: Answer, kind: str, value: str | None, is_ok: bool = True, **other: object
) -> Answer:
    """Make a change in a session of Carla's, password and PIN given once more."""
    arguments = {
        "session_id": session["session_id"],
        "account_id": session["account_id"],
        "garage_id": session["garage_id"],
        "device_id": CARLA.device_id,
        "fingerprint": CARLA.fingerprint,
        **ADDRESS,
    }
    attempt = edge(database, "portal_change_reserve", **{**arguments, **other})
    if "error" in attempt:
        return dict(attempt)
    answer: Answer = edge(
        database, "portal_change", attempt_id=attempt["attempt_id"], is_ok=is_ok, change=kind, value=value
    )
    return answer


def is_live(database: Database, session: Answer) -> bool:
    """Whether a session still holds."""
    query = "select (private.live_portal_session(%s, %s, %s)).id is not null"
    return bool(look(database, query, session["session_id"], session["account_id"], session["garage_id"]))


def opens(database: Database, customer: Customer, **other: object) -> bool:
    """Whether the right secrets open a session."""
    attempt = reserve(database, customer, **other)
    return "session_id" in complete(database, attempt, secrets.token_hex(16))


def let_pass(database: Database, table: str, time: str) -> None:
    """Let what expires there come nearer to its end."""
    change(database, f"update {table} set expires_at = expires_at - %s::interval", time)
