"""Accounts with providers: set up by who may, their keys written and never read again."""

import json

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, MARC, NOORD, OLGA, OTTO, RITA
from sql_tests.steps import claim, denied, finish, issued_invoice, look, one, refused, work

pytestmark = pytest.mark.req("D10")

CANARY = "SG.canary-7f3a.abcdefgh-9Z"
STATE = "select concat_ws(' ', test_status, test_reason) from public.provider_accounts where id = %s"
TEST = "select public.test_provider_account(%s, %s)"
IN_USE = "select id from public.provider_accounts where garage_id = %s and channel = 'email' and is_active"


def set_up(connection: Connection, secret: str = CANARY, **other: object) -> str:
    values = {"channel": "email", "provider": "sendgrid", "sender_address": "werk@noord.be", **other}
    named = ", ".join(f"{name} => %({name})s" for name in values)
    query = f"select public.set_provider_account(secret => %(secret)s, {named}) as id"
    row = connection.execute(query.encode(), {**values, "secret": secret}).fetchone()
    assert row is not None
    return str(row["id"])


TWILIO = {
    "channel": "sms",
    "provider": "twilio",
    "secret": "0123456789abcdef0123456789abcdef",
    "sender_address": "+32460000000",
    "account_sid": "AC" + "0" * 32,
}
SMTP = {
    "provider": "smtp",
    "secret": "geheim-woord",
    "host": "smtp.example.be",
    "port": 465,
    "security": "tls",
    "username": "werk",
}


def test_a_key_is_shown_to_nobody_and_stands_in_no_table_but_the_vault(database: Database) -> None:
    with OLGA.acting(database) as connection:
        account = set_up(connection)
        tail = one(connection, "select secret_tail from public.provider_accounts where id = %s", account)
        assert tail == CANARY[-4:]
        for query in ("select secret_id from public.provider_accounts", "select * from vault.secrets"):
            with denied(), connection.transaction():
                connection.execute(query.encode())
        connection.commit()
    found = []
    with database.connect() as connection:
        tables = connection.execute(
            "select oid::regclass::text as name from pg_class where relkind in ('r', 'p') and"
            " relnamespace::regnamespace::text in ('public', 'private', 'audit', 'portal', 'pgmq')"
        ).fetchall()
        for table in tables:
            query = f"select count(*) from {table['name']} t where t::text like %s"
            if one(connection, query, f"%{CANARY}%"):
                found.append(table["name"])
        kept = "select count(*) from vault.decrypted_secrets where decrypted_secret = %s"
        assert one(connection, kept, CANARY) == 1
    assert found == []


@pytest.mark.req("D9")
def test_an_account_keeps_its_id_when_it_learns_how_its_webhooks_are_verified(database: Database) -> None:
    renew = "select public.replace_provider_secret(%s, %s, %s)"
    key = "select webhook_public_key from public.provider_accounts where id = %s"
    with OLGA.acting(database) as connection:
        account = set_up(connection)
        assert one(connection, key, account) is None
        connection.execute(renew, (account, CANARY, "MFkwEwYHKoZIzj0CAQYI"))
        connection.execute(renew, (account, CANARY + "2", None))
        assert one(connection, key, account) == "MFkwEwYHKoZIzj0CAQYI"
        assert str(one(connection, IN_USE, NOORD)) == account


def test_only_who_may_write_providers_sets_one_up(database: Database) -> None:
    for member in (RITA, MARC):
        with member.acting(database) as connection, refused("permission_missing", 403):
            set_up(connection)
    with CARLA.actor.acting(database) as connection, denied():
        set_up(connection)
    with OTTO.acting(database) as connection:
        theirs = set_up(connection, sender_address="werk@zuid.be")
        assert one(connection, "select garage_id::text from public.provider_accounts where id = %s", theirs)
        connection.commit()
    with OLGA.acting(database) as connection:
        with refused("provider_account_not_found", 404), connection.transaction():
            connection.execute("select public.replace_provider_secret(%s, %s)", (theirs, CANARY))
        with refused("provider_account_not_found", 404), connection.transaction():
            connection.execute("select public.remove_provider_account(%s)", (theirs,))
    with OTTO.acting(database) as connection:
        connection.execute("select public.replace_provider_secret(%s, %s)", (theirs, CANARY))
        connection.execute("select public.remove_provider_account(%s)", (theirs,))


def test_a_new_account_takes_the_place_of_the_old_one_whose_key_is_forgotten(database: Database) -> None:
    with OLGA.acting(database) as connection:
        first = set_up(connection, "SG.first.first-first")
        second = set_up(connection, "SG.second.second-second")
        assert str(one(connection, IN_USE, NOORD)) == second
        connection.commit()
    kept = "select array_agg(decrypted_secret) from vault.decrypted_secrets where name like '%%' || %s"
    assert look(database, kept, first) is None
    assert look(database, kept, second) == ["SG.second.second-second"]


def test_the_worker_gets_the_key_with_the_job_and_the_sender_of_the_account(database: Database) -> None:
    with OLGA.acting(database) as connection:
        account = set_up(connection, sender_name="Garage Noord Werkplaats")
        connection.commit()
    work(database)
    issued_invoice(database, RITA, CARLA)
    finish(database, "render", claim(database, "render")[0])
    (claimed,) = claim(database, "send")
    job = claimed["job"]
    assert job["account"] == {"provider": "sendgrid", "id": account, "secret": CANARY}
    assert (job["sender"]["address"], job["sender"]["name"]) == ("werk@noord.be", "Garage Noord Werkplaats")
    assert finish(database, "send", claimed) == "sent"
    by = "select provider_account_id::text from public.communications where id = %s"
    assert look(database, by, job["subject_id"]) == account
    with database.connect("worker") as connection, denied():
        connection.execute("select * from vault.decrypted_secrets")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"secret": "SG.with space.x"}, "provider_secret_invalid"),
        ({"secret": "not-sendgrid-at-all"}, "provider_secret_invalid"),
        ({"secret": ""}, "provider_secret_invalid"),
        ({"channel": "fax"}, "channel_unknown"),
        ({**SMTP, "channel": "sms"}, "provider_unknown"),
        ({"sender_address": "niemand"}, "sender_invalid"),
        ({"sender_address": "a@b.be\nBcc: x@y.be"}, "sender_invalid"),
        ({"sender_name": "twee\r\nregels"}, "sender_name_invalid"),
        ({**SMTP, "host": None}, "smtp_invalid"),
        ({**SMTP, "host": "smtp.example.be/../x"}, "smtp_invalid"),
        ({**SMTP, "security": "none"}, "smtp_invalid"),
        ({"host": "smtp.example.be"}, "smtp_invalid"),
        ({**TWILIO, "account_sid": "AC1"}, "account_sid_invalid"),
        ({**TWILIO, "sender_address": "0470123456"}, "sender_invalid"),
        ({**TWILIO, "webhook_public_key": "MFkw"}, "webhook_key_invalid"),
    ],
)
def test_what_cannot_work_is_refused_without_repeating_the_key(
    database: Database, wrong: dict[str, object], code: str
) -> None:
    with OLGA.acting(database) as connection, pytest.raises(psycopg.Error) as caught:
        set_up(connection, **{"secret": CANARY, **wrong})  # type: ignore[arg-type]
    found = caught.value.diag
    assert (found.sqlstate, found.message_detail) == ("PT422", code), found.message_primary
    told = f"{found.message_primary} {found.message_hint} {found.context}"
    assert CANARY not in told and str(wrong.get("secret") or "-none-") not in told


@pytest.mark.parametrize("account", [{"secret": CANARY}, SMTP, TWILIO, {**TWILIO, "channel": "whatsapp"}])
def test_what_can_work_is_taken(database: Database, account: dict[str, object]) -> None:
    with OLGA.acting(database) as connection:
        assert set_up(connection, **account)  # type: ignore[arg-type]


def test_a_test_says_on_the_account_what_became_of_it(database: Database) -> None:
    work(database)
    with OLGA.acting(database) as connection:
        account = set_up(connection)
        with refused("recipient_invalid"), connection.transaction():
            connection.execute(TEST, (account, "+32470000000"))
        connection.execute(TEST, (account, "olga@garage-noord.test"))
        connection.commit()
    (claimed,) = claim(database, "send")
    asked = claimed["job"]["template"], claimed["job"]["context"]
    assert asked == ("provider_test", {"garage_name": "Garage Noord"})
    finish(database, "send", claimed, "give_up", "sendgrid_http_401")
    assert look(database, STATE, account) == "failed sendgrid_http_401"
    with OLGA.acting(database) as connection:
        connection.execute(TEST, (account, "olga@garage-noord.test"))
        connection.commit()
    finish(database, "send", claim(database, "send")[0])
    assert look(database, STATE, account) == "ok"
    with OLGA.acting(database) as connection:
        connection.execute("select public.replace_provider_secret(%s, %s)", (account, CANARY + "2"))
        assert one(connection, STATE, account) == "untested"
        for _ in range(8):
            connection.execute(TEST, (account, "olga@garage-noord.test"))
        with refused("too_many_tests", 429):
            connection.execute(TEST, (account, "olga@garage-noord.test"))


def test_history_tells_of_an_account_and_never_where_its_key_is(database: Database) -> None:
    with OLGA.acting(database) as connection:
        account = set_up(connection)
        connection.commit()
    where = look(database, "select secret_id::text from public.provider_accounts where id = %s", account)
    with OLGA.acting(database) as connection:
        connection.execute("select public.remove_provider_account(%s)", (account,))
        connection.commit()
    entry = "select changed, changes from audit.entries where row_id = %s and op = 'U'"
    with database.connect() as connection:
        told = connection.execute(entry, (account,)).fetchone()
    assert told is not None and {"secret_id", "is_active"} <= set(told["changed"])
    assert where and where not in json.dumps(told["changes"]) and "is_active" in told["changes"]
