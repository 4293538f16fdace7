"""By which channel a customer is told, and what holds a message up or keeps it back."""

from datetime import UTC, datetime, time
from typing import Any

import pytest

from devstack.testing import Database
from sql_tests.cast import CARLA, KAREL, NOORD, OLGA, RITA
from sql_tests.steps import (
    Row,
    change,
    claim,
    finish,
    issued_invoice,
    look,
    one,
    refused,
    restrict,
    work_order,
)

pytestmark = pytest.mark.req("D8", "D10")

TEXTS = """
select public.set_provider_account(c.channel, 'twilio', repeat('0', 32), '+32460000000',
    account_sid => 'AC' || repeat('0', 32)) from unnest(array['sms', 'whatsapp']) c (channel)
"""
CLEAN = """
delete from public.delivery_attempts where communication_id is not null;
delete from public.communications;
delete from public.push_notifications;
delete from public.channel_settings;
delete from public.inbound_messages;
delete from public.customer_restrictions;
delete from public.rights_requests;
delete from private.send_paces;
delete from pgmq.q_send;
delete from pgmq.q_push;
delete from public.customer_opt_outs;
update public.garage_modules set is_enabled = true;
update public.customers set preferred_channel = null;
update public.customers set phone = '+32470111222' where full_name like 'Carla%';
"""
LONG_AGO = """
do $$ begin
    alter table public.invoices disable trigger _900_freeze;
    update public.invoices set issue_date = issue_date - 60, due_date = due_date - 60
     where id = current_setting('test.invoice')::uuid;
    alter table public.invoices enable always trigger _900_freeze;
end $$
"""
WAITING = "select status || ' ' || coalesce(last_error, '') from public.communications where id = %s"


@pytest.fixture
def database(database: Database) -> Database:
    """Nothing to deliver, and Garage Noord can send texts."""
    with database.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(CLEAN)
    with OLGA.acting(database) as connection:
        connection.execute(TEXTS)
        connection.commit()
    return database


def told(database: Database) -> list[Row]:
    """What is to be sent once an invoice is issued and its document stored."""
    issued_invoice(database, RITA, CARLA)
    for claimed in claim(database, "render"):
        finish(database, "render", claimed)
    query = "select id, channel, recipient, status, last_error from public.communications"
    with database.connect() as connection:
        return connection.execute(query).fetchall()


def settings(database: Database, **values: object) -> None:
    names = ", ".join(values)
    with OLGA.acting(database) as connection:
        connection.execute(
            f"insert into public.channel_settings (garage_id, channel, {names})"
            f" values (%s, 'email', {', '.join(['%s'] * len(values))})".encode(),
            (NOORD, *values.values()),
        )
        connection.commit()


def test_without_a_wish_a_customer_is_told_by_email(database: Database) -> None:
    (message,) = told(database)
    assert (message["channel"], message["recipient"]) == ("email", "carla@example.test")


def test_who_prefers_texts_is_told_by_text_without_a_file(database: Database) -> None:
    change(database, "update public.customers set preferred_channel = 'sms' where id = %s", CARLA.customer_id)
    (message,) = told(database)
    assert (message["channel"], message["recipient"]) == ("sms", "+32470111222")
    (claimed,) = claim(database, "send")
    job = claimed["job"]
    assert job["attachment"] is None
    assert (job["account"]["provider"], job["account"]["sender"]) == ("twilio", "+32460000000")


@pytest.mark.parametrize(
    "obstacle",
    [
        "insert into public.customer_opt_outs (garage_id, customer_id, channel)"
        " select garage_id, id, 'sms' from public.customers where full_name like 'Carla%'",
        "update public.garage_modules set is_enabled = false where module = 'sms'",
        "update public.customers set phone = null where full_name like 'Carla%'",
    ],
)
def test_a_wish_that_cannot_be_met_falls_back_to_email(database: Database, obstacle: str) -> None:
    change(database, "update public.customers set preferred_channel = 'sms' where id = %s", CARLA.customer_id)
    with database.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(obstacle.encode())
    (message,) = told(database)
    assert message["channel"] == "email"


def test_whatsapp_is_not_chosen_outside_its_window_without_an_approved_template(database: Database) -> None:
    wish = "update public.customers set preferred_channel = 'whatsapp' where id = %s"
    change(database, wish, CARLA.customer_id)
    (message,) = told(database)
    assert message["channel"] == "email"
    wrote(database, CARLA.customer_id)
    assert "whatsapp" in {message["channel"] for message in told(database)}, "she wrote within 24 hours"


def wrote(database: Database, customer_id: str | None, sender: str = "+32470111222") -> None:
    """A message by WhatsApp came in just now."""
    change(
        database,
        "insert into public.inbound_messages (garage_id, provider_account_id, channel, provider_id,"
        "     sender_address, body, customer_id)"
        " select garage_id, id, 'whatsapp', 'in-' || gen_random_uuid(), %s, 'Dag', %s::uuid"
        "  from public.provider_accounts where garage_id = %s and channel = 'whatsapp' and is_active",
        sender,
        customer_id,
        NOORD,
    )


def test_an_account_for_whatsapp_is_tried_with_a_number_that_wrote(database: Database) -> None:
    query = "select public.test_provider_account(id, %s) from public.provider_accounts"
    query += " where channel = 'whatsapp' and is_active"
    status = "select test_status || ' ' || coalesce(test_reason, '') from public.provider_accounts"
    status += " where garage_id = %s and channel = 'whatsapp' and is_active"
    for number in ("+32470999001", "+32470999002"):
        if number.endswith("2"):
            wrote(database, None, number)
        with OLGA.acting(database) as connection:
            connection.execute(query.encode(), (number,))
            connection.commit()
        claimed = claim(database, "send")
        if number.endswith("1"):
            assert claimed == []
            assert look(database, status, NOORD) == "failed whatsapp_window_closed"
        else:
            assert claimed[0]["job"]["has_open_window"] is True
            finish(database, "send", claimed[0])
            assert look(database, status, NOORD) == "ok "


def test_who_may_not_be_written_to_still_gets_what_lets_them_in(database: Database) -> None:
    (ordinary,) = told(database)
    restrict(database, CARLA)
    notice = "select private.notify_of_change(a, 'pin_changed') from public.portal_accounts a where a.id = %s"
    change(database, notice, CARLA.account_id)
    assert [c["job"]["template"] for c in claim(database, "send")] == ["portal_notice"]
    assert look(database, WAITING, ordinary["id"]) == "failed restricted"


def test_what_lets_somebody_in_does_not_wait_behind_thousands(database: Database) -> None:
    busy = "insert into private.send_paces values (%s, clock_timestamp() + interval '10 minutes')"
    change(database, busy, NOORD)
    told(database)
    assert claim(database, "send") == []
    notice = "select private.notify_of_change(a, 'pin_changed') from public.portal_accounts a where a.id = %s"
    change(database, notice, CARLA.account_id)
    assert [c["job"]["template"] for c in claim(database, "send")] == ["portal_notice"]


def test_what_was_given_up_uses_no_limit_up(database: Database) -> None:
    settings(database, recipient_daily_limit=1)
    (first,) = told(database)
    with database.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "insert into public.customer_opt_outs (garage_id, customer_id, channel) values (%s, %s, 'email')",
            (NOORD, CARLA.customer_id),
        )
    assert claim(database, "send") == []
    assert look(database, WAITING, first["id"]) == "failed opted_out"
    change(database, "delete from public.customer_opt_outs")
    told(database)
    assert len(claim(database, "send")) == 1


@pytest.mark.req("P14")
def test_a_push_goes_to_no_phone_that_signed_out(database: Database) -> None:
    told(database)
    retire = "update public.push_devices set retired_at = %s where portal_device_id = %s"
    change(database, retire, datetime(2026, 1, 1, tzinfo=UTC), CARLA.portal_device_id)
    assert claim(database, "push") == []
    why = "select distinct status || ' ' || last_error from public.push_notifications"
    assert look(database, why) == "failed device_retired"
    change(database, retire, None, CARLA.portal_device_id)
    told(database)
    assert len(claim(database, "push")) == 1


def test_who_opted_out_in_the_meantime_is_not_written_to(database: Database) -> None:
    (message,) = told(database)
    with RITA.acting(database) as connection:
        connection.execute(
            "insert into public.customer_opt_outs (garage_id, customer_id, channel) values (%s, %s, 'email')",
            (NOORD, CARLA.customer_id),
        )
        connection.commit()
    assert claim(database, "send") == []
    assert look(database, WAITING, message["id"]) == "failed opted_out"


def test_what_comes_in_quiet_hours_waits_for_their_end_untouched(database: Database) -> None:
    # Without a night in which the clock is put forward or back.
    change(database, "update public.garages set time_zone = 'UTC' where id = %s", NOORD)
    now = look(database, "select (now() at time zone 'UTC')::time")
    settings(database, quiet_from=time(now.hour, now.minute), quiet_until=time((now.hour + 2) % 24, 59))
    (message,) = told(database)
    assert claim(database, "send") == []
    assert look(database, WAITING, message["id"]) == "queued quiet_hours"
    due = "select extract(epoch from vt - now())::int from pgmq.q_send"
    assert 3600 < look(database, due) <= 3 * 3600 + 60
    change(database, "update public.garages set time_zone = 'Europe/Brussels' where id = %s", NOORD)
    change(database, "delete from public.channel_settings; update pgmq.q_send set vt = now()")
    (claimed,) = claim(database, "send")
    assert claimed["job"]["attempt"] == 1


@pytest.mark.parametrize(
    ("quiet", "at", "until"),
    [
        (("21:00", "08:00"), datetime(2026, 3, 1, 20, 30, tzinfo=UTC), datetime(2026, 3, 2, 7, tzinfo=UTC)),
        (("21:00", "08:00"), datetime(2026, 3, 2, 6, 30, tzinfo=UTC), datetime(2026, 3, 2, 7, tzinfo=UTC)),
        (("21:00", "08:00"), datetime(2026, 3, 1, 19, 30, tzinfo=UTC), None),
        # The night in which the clock goes forward: eight o'clock comes an hour earlier in UTC.
        (("21:00", "08:00"), datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 29, 6, tzinfo=UTC)),
        (("12:00", "13:00"), datetime(2026, 7, 1, 10, 30, tzinfo=UTC), datetime(2026, 7, 1, 11, tzinfo=UTC)),
        (("12:00", "13:00"), datetime(2026, 7, 1, 11, tzinfo=UTC), None),
    ],
)
def test_quiet_hours_are_the_garages_own(
    database: Database, quiet: tuple[str, str], at: datetime, until: datetime | None
) -> None:
    query = "select private.quiet_until(row(%s::uuid, 'email', 1, 1, %s::time, %s::time, now()), %s)"
    assert look(database, query, NOORD, *quiet, at) == until


def test_over_the_limit_of_a_day_messages_wait_for_the_next(database: Database) -> None:
    settings(database, daily_limit=1)
    (first,) = told(database)
    finish(database, "send", claim(database, "send")[0])
    messages = told(database)
    (second,) = (m for m in messages if m["id"] != first["id"])
    assert claim(database, "send") == []
    assert look(database, WAITING, second["id"]) == "queued daily_limit"
    change(database, "update public.channel_settings set daily_limit = 2; update pgmq.q_send set vt = now()")
    assert len(claim(database, "send")) == 1


def test_one_address_gets_so_many_messages_a_day_and_access_is_not_counted_out(database: Database) -> None:
    settings(database, recipient_daily_limit=1)
    told(database)
    finish(database, "send", claim(database, "send")[0])
    told(database)
    assert claim(database, "send") == []
    change(
        database,
        "select private.notify_of_change(a, 'pin_changed') from public.portal_accounts a where a.id = %s",
        CARLA.account_id,
    )
    assert [c["job"]["template"] for c in claim(database, "send")] == ["portal_notice"]


def test_of_one_garage_two_calls_are_under_way_at_once_and_others_are_not_held_up(database: Database) -> None:
    for _ in range(4):
        issued_invoice(database, RITA, CARLA)
    for claimed in claim(database, "render"):
        finish(database, "render", claimed)
    first = claim(database, "send")
    assert len(first) == 2
    assert claim(database, "send") == []
    finish(database, "send", first[0])
    change(database, "update pgmq.q_send set vt = now() where msg_id <> %s", first[1]["msg_id"])
    assert len(claim(database, "send")) == 1


def test_a_garage_that_sends_thousands_is_spread_and_another_is_not(database: Database) -> None:
    query = "select private.send_delay(g.id) from public.garages g where g.id = %s"
    with database.connect() as connection:
        delays = [one(connection, query, NOORD) for _ in range(400)]
        other = one(connection, "select private.send_delay(id) from public.garages where id <> %s", NOORD)
    assert delays[:90] == [0] * 90
    assert delays == sorted(delays) and 25 <= delays[-1] <= 30
    assert other == 0


def remind(database: Database, invoice_id: str) -> Any:
    with RITA.acting(database) as connection:
        told = one(connection, "select public.send_payment_reminder(%s)", invoice_id)
        connection.commit()
    return told


@pytest.mark.req("D7")
def test_an_overdue_invoice_is_reminded_of_once_a_week_and_not_when_it_is_paid(database: Database) -> None:
    invoice = issued_invoice(database, RITA, CARLA)
    with refused("invoice_not_overdue", 409):
        remind(database, invoice["id"])
    with database.connect() as connection:
        connection.execute("select set_config('test.invoice', %s, true)", (str(invoice["id"]),))
        connection.execute(LONG_AGO)
    remind(database, invoice["id"])
    jobs = [c["job"] for c in claim(database, "send")]
    (reminder,) = (job for job in jobs if job["template"] == "payment_reminder")
    assert reminder["context"]["open_amount"] == str(invoice["gross_total"])
    assert reminder["context"]["days_overdue"] > 0
    with refused("reminded_already", 409):
        remind(database, invoice["id"])
    change(
        database,
        "insert into public.payments (garage_id, invoice_id, amount, paid_on, method)"
        " select garage_id, id, gross_total, current_date - 1, 'card' from public.invoices where id = %s",
        invoice["id"],
    )
    with refused("invoice_not_open", 409):
        remind(database, invoice["id"])


@pytest.mark.req("D6")
def test_finished_work_is_told_once(database: Database) -> None:
    with RITA.acting(database) as connection:
        order = work_order(connection, CARLA, "in_progress")
        with refused("work_order_not_ready", 409), connection.transaction():
            connection.execute("select public.announce_work_ready(%s)", (order,))
        connection.execute(
            "update public.work_orders set status = 'ready', revision = revision + 1 where id = %s", (order,)
        )
        connection.execute("select public.announce_work_ready(%s)", (order,))
        with refused("told_already", 409), connection.transaction():
            connection.execute("select public.announce_work_ready(%s)", (order,))
        connection.commit()
    (job,) = (c["job"] for c in claim(database, "send"))
    assert job["template"] == "work_ready"
    assert job["context"]["work_order_number"].startswith("WO") and job["context"]["vehicle"]


def test_an_invitation_to_the_portal_goes_by_text_where_that_is_open(database: Database) -> None:
    query = "select public.invite_customer(%s, 'sms')"
    with database.connect() as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("delete from public.portal_accounts where customer_id = %s", (KAREL.customer_id,))
        connection.execute("update public.customers set phone = null where id = %s", (KAREL.customer_id,))
    with RITA.acting(database) as connection, refused("customer_without_phone"):
        connection.execute(query, (KAREL.customer_id,))
    change(database, "update public.customers set phone = '+32470333444' where id = %s", KAREL.customer_id)
    with RITA.acting(database) as connection:
        connection.execute(query, (KAREL.customer_id,))
        connection.commit()
    (job,) = (c["job"] for c in claim(database, "send"))
    assert (job["channel"], job["recipient"]["address"]) == ("sms", "+32470333444")
    assert job["context"]["token"]
