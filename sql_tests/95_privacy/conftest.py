"""A garage that has been at work, and requests of its customers."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from devstack import database as databases
from devstack.testing import Database
from sql_tests.cast import CARLA, NOORD, OLGA, Actor, Customer
from sql_tests.conftest import make_busy
from sql_tests.people import call

Row = dict[str, Any]
NUMBERS = count(1)


@pytest.fixture(scope="session")
def worked_at(clone_database: Callable[[], Database]) -> Iterator[Database]:
    """A busy copy to copy from: nobody stays connected to it."""
    copy = clone_database()
    make_busy(copy)
    complete(copy)
    yield copy
    databases.drop_database(copy.cluster, copy.name)


@pytest.fixture
def at_work(worked_at: Database) -> Iterator[Database]:
    """A busy copy of one's own, to be changed."""
    copy = Database(worked_at.cluster, f"{worked_at.name}_{next(NUMBERS)}")
    databases.clone(copy.cluster, worked_at.name, copy.name)
    yield copy
    databases.drop_database(copy.cluster, copy.name)


# What the busy garages lack: a customer's row in every table that can hold one.
MORE = """
insert into private.portal_mails (garage_id, communication_id, token)
select distinct on (customer_id) garage_id, id, 'on its way' from public.communications
 where customer_id is not null order by customer_id, id
on conflict do nothing;
insert into private.portal_challenges (garage_id, account_id, purpose, secret_sha256, install_sha256,
    fingerprint_sha256, new_login, expires_at)
select a.garage_id, a.id, purpose, 'secret', case purpose when 'device' then 'install' end,
       case purpose when 'device' then 'print' end,
       case purpose when 'email_change' then 'new@example.test' end, now() + interval '1 hour'
  from public.portal_accounts a, unnest(array['device', 'email_change']) purpose;
insert into public.portal_invitations
    (garage_id, customer_id, channel, recipient, token_sha256, invited_by, expires_at)
select c.garage_id, c.id, 'email', c.email, encode(sha256(c.id::text::bytea), 'hex'), m.id, now()
  from public.customers c join public.memberships m on m.garage_id = c.garage_id and m.role = 'owner'
 where not exists (select from public.portal_invitations i where i.customer_id = c.id);
insert into public.rights_requests (garage_id, customer_id, kind, details, due_on, status, finished_at,
    refusal_reason, extended_at, extension_reason)
select garage_id, id, 'access', 'Wat weet u?', current_date, 'refused', now(), 'Al beantwoord', now(),
       'Veel werk' from public.customers;
insert into public.legal_holds (garage_id, customer_id, reason, lifted_at)
select garage_id, id, 'Geschil', now() from public.customers;
insert into public.customer_restrictions (garage_id, customer_id, request_id, lifted_at, lift_reason)
select garage_id, customer_id, id, now(), 'Opgelost' from public.rights_requests;
insert into public.restriction_openings (garage_id, customer_id, membership_id, reason, expires_at)
select c.garage_id, c.id, m.id, 'Moest iets nakijken', now()
  from public.customers c join public.memberships m on m.garage_id = c.garage_id and m.role = 'owner'
"""


def complete(database: Database) -> None:
    """Give every customer a row in what is rare, too."""
    with database.connect() as connection:
        connection.execute(MORE.encode())


def do(database: Database, query: str, *arguments: object, who: Actor = OLGA) -> Row:
    """The one row that a call answers, for good."""
    with who.acting(database) as connection:
        row = connection.execute(query.encode(), arguments).fetchone()
        connection.commit()
    assert row is not None
    return row


def twin(database: Database, name: str = "C.") -> str:
    """The id of a customer entered a second time, not merged yet."""
    insert = "insert into public.customers (garage_id, full_name, locale) values (%s, %s, 'nl') returning id"
    return str(do(database, insert, NOORD, name)["id"])


def ask(
    database: Database, kind: str, customer: Customer | str = CARLA, *, verified: bool = True, **more: object
) -> Row:
    """A request of a customer (or their id), the identity checked or not."""
    named = "".join(f", {name} => %s" for name in more)
    request = do(
        database,
        f"select * from public.receive_rights_request(%s, %s{named})",
        customer if isinstance(customer, str) else customer.customer_id,
        kind,
        *more.values(),
    )
    if verified:
        request = do(database, "select * from public.verify_rights_identity(%s, 'id_card')", request["id"])
    return request


def erase(database: Database, customer: Customer = CARLA) -> tuple[Row, Row]:
    """Erase a customer by the plan; the plan, and the request afterwards."""
    request = ask(database, "erasure", customer)
    plan = call(database, OLGA, "erasure_plan(%s)", request["id"])
    done = do(database, "select * from public.execute_erasure(%s, %s)", request["id"], plan["sha256"])
    return plan, done
