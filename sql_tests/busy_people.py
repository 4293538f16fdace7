"""People at work in the busy database: somebody is invited, and a token is on its way."""

from devstack.testing import Database
from sql_tests import steps
from sql_tests.cast import NOORD, OLGA, OTTO, Customer

TOKEN = """
insert into private.invitation_tokens (garage_id, communication_id, token)
select garage_id, id, 'on its way' from public.communications where recipient = %s
"""


def keep_busy(database: Database, customer: Customer) -> None:
    """An invitation by the garage's owner, its mail sent; a token as if it were still to be sent."""
    owner = OLGA if customer.garage_id == NOORD else OTTO
    address = f"member-{customer.number}@example.test"
    with owner.acting(database) as connection:
        connection.execute("select public.invite_member(%s, 'mechanic')", (address,))
        connection.commit()
    steps.work(database)
    steps.change(database, TOKEN, address)
