"""Databases for the SQL tests: one per test, and one that is full of rows in both garages."""

from collections.abc import Callable, Iterator

import pytest

from devstack import database as databases
from devstack.testing import Database
from sql_tests import busy_people, busy_rights, steps, support
from sql_tests.cast import (
    CUSTOMERS,
    NOORD,
    OLGA,
    OTTO,
    OTTO_MEMBERSHIP,
    RITA_MEMBERSHIP,
    ZUID,
    Actor,
    Customer,
)

SESSION = """
insert into public.portal_sessions (id, garage_id, account_id, device_id, idle_expires_at, expires_at)
values (%s, %s, %s, %s, now() + interval '30 minutes', now() + interval '12 hours')
"""
OVERRIDE = """
insert into public.membership_permissions (garage_id, membership_id, permission, is_granted)
values (%s, %s, 'garage.read', true)
"""


@pytest.fixture
def fresh_database(clone_database: Callable[[], Database]) -> Iterator[Database]:
    """A copy of the migrated and seeded database for one test that changes it."""
    copy = clone_database()
    yield copy
    databases.drop_database(copy.cluster, copy.name)


@pytest.fixture(scope="session")
def busy_database(clone_database: Callable[[], Database]) -> Iterator[Database]:
    """A copy in which both garages have been at work: every tenant table has rows of both.

    Shared by all tests, which therefore only read it or roll back.
    """
    copy = clone_database()
    make_busy(copy)
    busy_rights.keep_busy(copy)
    yield copy
    databases.drop_database(copy.cluster, copy.name)


def make_busy(database: Database) -> None:
    """Put both garages to work."""
    for garage_id, membership_id in ((NOORD, RITA_MEMBERSHIP), (ZUID, OTTO_MEMBERSHIP)):
        steps.change(database, OVERRIDE, garage_id, membership_id)
        _set_up_sending(database, OLGA if garage_id == NOORD else OTTO)
    for customer in CUSTOMERS:
        _keep_busy(database, customer)
    support.keep_busy(database)


def _set_up_sending(database: Database, owner: Actor) -> None:
    """An account for mails, and how much may be sent."""
    with owner.acting(database) as connection:
        connection.execute(
            "select public.set_provider_account('email', 'sendgrid', 'SG.one.two-three', 'garage@example.be')"
        )
        connection.execute(
            "insert into public.channel_settings (garage_id, channel)"
            " values (private.garage_id_for('providers.write'), 'email')"
        )
        connection.commit()


def _keep_busy(database: Database, customer: Customer) -> None:
    """A sign-in, an issued and a drafted invoice with all deliveries, a talk, and an opened document."""
    staff = OLGA if customer.garage_id == NOORD else OTTO
    steps.change(
        database,
        SESSION,
        customer.session_id,
        customer.garage_id,
        customer.account_id,
        customer.portal_device_id,
    )
    steps.sign_in(database, customer)
    with customer.actor.acting(database) as connection:
        connection.execute(
            "select portal.register_push_token(%s)", (f"ExponentPushToken[phone-{customer.number:010d}]",)
        )
        conversation = steps.one(connection, "select (portal.send_message('Is hij klaar?')).conversation_id")
        connection.execute("select portal.announce_photo('image/jpeg')")
        connection.commit()
    invoice = steps.issued_invoice(database, staff, customer)
    with staff.acting(database) as connection:
        steps.draft(connection, customer)
        connection.execute(
            "insert into public.payments (garage_id, invoice_id, amount, paid_on, method)"
            " values (%s, %s, 1, current_date - 1, 'card')",
            (customer.garage_id, invoice["id"]),
        )
        connection.execute(
            "insert into public.customer_opt_outs (garage_id, customer_id, channel)"
            " values (%s, %s, 'whatsapp')",
            (customer.garage_id, customer.customer_id),
        )
        connection.execute(
            "insert into public.work_order_photos (garage_id, work_order_id, content_type)"
            " values (%s, %s, 'image/jpeg')",
            (customer.garage_id, steps.work_order(connection, customer)),
        )
        connection.execute(
            "select public.save_message_template('work_ready', 'email', 'nl', 'Klaar', 'Klaar', '<p>Ja</p>')"
        )
        connection.execute(
            "insert into public.messages (garage_id, conversation_id, body) values (%s, %s, 'Ja')",
            (customer.garage_id, conversation),
        )
        connection.commit()
    steps.work(database)
    nonce = f"nonce-{customer.number}"
    steps.grant_document(database, customer, customer.session_id, invoice["id"], nonce)
    steps.change(database, "update private.document_grants set expires_at = now() + interval '1 day'")
    steps.change(
        database,
        "insert into storage.objects (bucket_id, name) select 'invoices', storage_path"
        "  from public.invoice_documents where invoice_id = %s",
        invoice["id"],
    )
    busy_people.keep_busy(database, customer)
