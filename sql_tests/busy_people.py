"""People at work in the busy database: somebody is invited, a customer too, and tokens are on their way."""

from devstack.testing import Database
from sql_tests import steps
from sql_tests.cast import ADA, ANON, NOORD, OLGA, OTTO, Customer

TOKEN = """
insert into private.invitation_tokens (garage_id, communication_id, token)
select garage_id, id, 'on its way' from public.communications where recipient = %s
    on conflict do nothing
"""
PORTAL_TOKEN = """
insert into private.portal_mails (garage_id, communication_id, token)
select garage_id, id, 'on its way' from public.communications where recipient = %s
    on conflict do nothing
"""
NEWCOMER = """
insert into public.customers (garage_id, full_name, email) values (%s, 'Nele Nieuw', %s) returning id
"""

# What became of it all: an event of every message, an address that bounced, an SMS of a stranger.
OUTCOMES = """
insert into public.delivery_events (garage_id, communication_id, provider, event, status, provider_id,
    event_key, occurred_at)
select garage_id, id, 'sendgrid', 'processed', 'sent', provider_message_id, 'sendgrid:' || id, now()
  from public.communications where customer_id = %(customer)s and status = 'sent';
insert into public.suppressions (garage_id, channel, address, reason)
values (%(garage)s, 'email', %(address)s, 'bounce');
insert into public.inbound_messages (garage_id, provider_account_id, channel, provider_id, sender_address,
    body)
select %(garage)s, id, 'sms', %(address)s, '+3249900000' || %(number)s::text,
       'Nieuw nummer ' || %(number)s::text
  from public.provider_accounts where garage_id = %(garage)s limit 1;
insert into public.suppressions (garage_id, customer_id, channel, address, reason, lifted_at, lifted_by,
    lift_reason)
values (%(garage)s, %(customer)s, 'sms', '+3247100000' || %(number)s::text, 'stop', now(), %(owner)s,
    'Zij wil weer berichten');
insert into public.inbound_messages (garage_id, provider_account_id, customer_id, channel, provider_id,
    sender_address, body)
select %(garage)s, id, %(customer)s, 'sms', 'own-' || %(number)s::text, '+3247100000' || %(number)s::text,
       'Nieuw nummer'
  from public.provider_accounts where garage_id = %(garage)s limit 1
"""


WEBSITE = (
    "select website.submit_request('demo', 'Vera', 'vera-{0}@example.test', 'Graag een demo')",
    "select website.give_consent('0f8fad5b-d9cb-469f-a165-70867728950e', 'statistics', '2026-02-23')",
    "select website.record_page_view('/prijzen')",
    "select website.report_error('TypeError on the website')",
)
HANDLED = (
    "select (website.follow_up(r.id, 'Gebeld')).id from website.requests r where r.status = 'new'",
    "select website.export_visitor('vera-{0}@example.test')",
)


def visit_the_website(database: Database, number: int) -> None:
    """A visitor asks and consents, an operator takes it up, and mails go out."""
    for actor, statements in ((ANON, WEBSITE), (ADA, HANDLED)):
        with actor.acting(database) as connection:
            for statement in statements:
                connection.execute(statement.format(number).encode())
            connection.commit()


def keep_busy(database: Database, customer: Customer) -> None:
    """Invitations by the garage's owner, their mails sent; tokens as if they were still to be sent."""
    owner = OLGA if customer.garage_id == NOORD else OTTO
    address = f"member-{customer.number}@example.test"
    newcomers = f"newcomer-{customer.number}@example.test"
    with owner.acting(database) as connection:
        connection.execute("select public.invite_member(%s, 'mechanic')", (address,))
        newcomer = steps.one(connection, NEWCOMER, customer.garage_id, newcomers)
        connection.execute("select public.invite_customer(%s)", (newcomer,))
        connection.execute("select public.report_error('TypeError at a garage')")
        connection.commit()
    steps.edge(
        database,
        "portal_forgot_password",
        garage_id=customer.garage_id,
        login=customer.login,
        client_ip="192.0.2.1",
        user_agent="tests",
    )
    visit_the_website(database, customer.number)
    steps.work(database)
    steps.change(database, TOKEN, address)
    steps.change(database, PORTAL_TOKEN, newcomers)
    names = {
        "customer": customer.customer_id,
        "owner": owner.claims["sub"],
        "garage": customer.garage_id,
        "address": f"bounced-{customer.number}@example.test",
        "number": customer.number,
    }
    with database.connect() as connection:
        for statement in OUTCOMES.split(";"):
            connection.execute(statement.encode(), names)
