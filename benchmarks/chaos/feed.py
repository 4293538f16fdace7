"""The messages: mails and pushes made in bulk, invoices that go all the way, and poison."""

from benchmarks.chaos.stage import Stage
from sql_tests.cast import CARLA, KAREL, RITA
from sql_tests.steps import issued_invoice

# One row for each message that is to go out; every mail has an address of its own.
_MAILS = """
insert into public.communications (garage_id, customer_id, invoice_id, template, locale, recipient)
select i.garage_id, i.customer_id, i.id, 'invoice_issued', (array['nl', 'fr', 'en'])[1 + n %% 3],
       'chaos-' || gen_random_uuid() || '@example.test'
  from generate_series(1, %s) n,
       lateral (select * from public.invoices where issued_at is not null order by invoice_number limit 1) i
"""
_PUSHES = """
insert into public.push_notifications (garage_id, push_device_id, invoice_id, template, locale)
select d.garage_id, d.id, i.id, 'invoice_issued', 'nl'
  from generate_series(1, %s), (select * from public.push_devices where retired_at is null limit 1) d,
       lateral (select * from public.invoices where garage_id = d.garage_id and issued_at is not null
                 order by invoice_number limit 1) i
"""
_PHONE = """
insert into public.push_devices (garage_id, portal_device_id, expo_token)
select garage_id, id, 'ExponentPushToken[ChaosPhone000000000001]' from public.portal_devices
 where garage_id = %s order by id limit 1 on conflict do nothing
"""
_POISON = ("{}", '{"id": "nonsense"}', '"x"', "[1]", '{"id": null}')


def prepare(stage: Stage) -> None:
    """What the messages are about: an issued invoice, a customer's phone."""
    stage.ask(_PHONE, CARLA.garage_id)
    issued_invoice(stage.database, RITA, CARLA)


def mails(stage: Stage, count: int) -> None:
    """So many mails more."""
    stage.ask(_MAILS, count)


def pushes(stage: Stage, count: int) -> None:
    """So many pushes more."""
    stage.ask(_PUSHES, count)


def invoice(stage: Stage) -> None:
    """An invoice more, which becomes a document and then a mail."""
    issued_invoice(stage.database, RITA, KAREL)


def poison(stage: Stage, number: int) -> None:
    """A message more that nobody can read."""
    queue = ("send", "push", "render")[number % 3]
    stage.ask("select pgmq.send(%s, %s::jsonb)", queue, _POISON[number % len(_POISON)])
