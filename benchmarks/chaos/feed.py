"""The messages: mails, texts and pushes in bulk for many garages, invoices, poison."""

import json

import psycopg

from benchmarks.chaos.stage import Stage
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, RITA
from sql_tests.steps import issued_invoice

GARAGES = 12
_PHONE = """
insert into public.push_devices (garage_id, portal_device_id, expo_token)
select garage_id, id, 'ExponentPushToken[ChaosPhone000000000001]' from public.portal_devices
 where garage_id = %s order by id limit 1 on conflict do nothing
"""
_TEXTS = """
select public.set_provider_account('sms', 'twilio', repeat('0', 32), '+32460000000',
    account_sid => 'AC' || repeat('0', 32))
"""
# More garages like the first, each with its modules, its account for texts, a customer and an invoice: as a
# restored copy would have it, so no trigger looks on.
_COPIES = f"""
set session_replication_role = replica;
insert into public.channel_settings (garage_id, channel, daily_limit, recipient_daily_limit)
select '{NOORD}', c, 100000, 100 from unnest(array['email', 'sms', 'push']) c on conflict do nothing;
create table public.chaos_garages as
    select gen_random_uuid() as id, gen_random_uuid() as customer_id, gen_random_uuid() as invoice_id, n
      from generate_series(2, {GARAGES}) n;
create function pg_temp.copy_rows(relation regclass, which text, changes text) returns void language plpgsql
as $$
declare
    columns text;
begin
    select string_agg(quote_ident(attname), ', ') into columns from pg_attribute
     where attrelid = relation and attnum > 0 and not attisdropped and attgenerated = '';
    execute format('insert into %1$s (%2$s) select %2$s from (select (jsonb_populate_record(r,'
        ' jsonb_build_object(%3$s))).* from %1$s r, public.chaos_garages x where %4$s) copies',
        relation, columns, changes, which);
end $$;
select pg_temp.copy_rows('public.garages', $$r.id = '{NOORD}'$$, $$'id', x.id,
    'enterprise_number', lpad(x.n::text, 10, '0'), 'vat_number', 'BE' || lpad(x.n::text, 10, '0')$$);
select pg_temp.copy_rows(t, $$r.garage_id = '{NOORD}'$$, $$'garage_id', x.id$$)
  from unnest(array['public.garage_modules', 'public.channel_settings']::regclass[]) t;
select pg_temp.copy_rows('public.provider_accounts', $$r.garage_id = '{NOORD}'$$,
    $$'garage_id', x.id, 'id', gen_random_uuid()$$);
select pg_temp.copy_rows('public.customers', $$r.id = '{CARLA.customer_id}'$$,
    $$'garage_id', x.id, 'id', x.customer_id$$);
select pg_temp.copy_rows('public.invoices', $$r.id = (select i.id from public.invoices i
        where i.garage_id = '{NOORD}' and i.issued_at is not null limit 1)$$,
    $$'garage_id', x.id, 'id', x.invoice_id, 'customer_id', x.customer_id, 'vehicle_id', null$$);
insert into public.chaos_garages
select garage_id, customer_id, id, 1 from public.invoices
 where garage_id = '{NOORD}' and issued_at is not null limit 1
"""
_MESSAGES = f"""
insert into public.communications (garage_id, customer_id, invoice_id, channel, template, locale, recipient)
select x.id, x.customer_id, x.invoice_id, %s, 'invoice_issued', (array['nl', 'fr', 'en'])[1 + s.n %% 3],
       case %s when 'email' then 'chaos-' || gen_random_uuid() || '@example.test'
               else '+3247' || lpad((random() * 9999999)::int::text, 7, '0') end
  from generate_series(1, %s) s (n) join public.chaos_garages x on x.n = 1 + s.n %% {GARAGES}
returning id::text
"""
_PUSHES = """
insert into public.push_notifications (garage_id, push_device_id, invoice_id, template, locale)
select d.garage_id, d.id, i.id, 'invoice_issued', 'nl'
  from generate_series(1, %s), (select * from public.push_devices where retired_at is null limit 1) d,
       lateral (select * from public.invoices where garage_id = d.garage_id and issued_at is not null
                 order by invoice_number limit 1) i
"""
_POISON = ("{}", '{"id": "nonsense"}', '"x"', "[1]", '{"id": null}')
_WEBHOOK_FAULTS = {"duplicate-webhooks": 0.3, "out-of-order": 0.3, "lost-webhooks": 0.1}


def prepare(stage: Stage) -> None:
    """What the messages are about: garages with a customer, an issued invoice and an account; a phone."""
    stage.ask(_PHONE, CARLA.garage_id)
    issued_invoice(stage.database, RITA, CARLA)
    with OLGA.acting(stage.database) as olga:
        olga.execute(_TEXTS)
        olga.commit()
    with psycopg.connect(stage.database.conninfo("supabase_admin"), autocommit=True) as owner:
        owner.execute(_COPIES.encode())


def disturb_webhooks(stage: Stage) -> None:
    """The providers tell some outcomes twice, some in the wrong order, and some not at all."""
    for kind, probability in _WEBHOOK_FAULTS.items():
        stage.tell_sandbox("faults", json.dumps({"kind": kind, "probability": probability}))


def messages(stage: Stage, count: int, channel: str = "email") -> list[str]:
    """So many messages more, spread over the garages; their ids."""
    return [row["id"] for row in stage.ask(_MESSAGES, channel, channel, count)] if count else []


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
