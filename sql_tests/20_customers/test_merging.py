"""The same customer entered twice: found, and merged without losing history; and who may be written to."""

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA
from sql_tests.steps import issue, issued_invoice, one, refused, work, work_order

pytestmark = pytest.mark.req("D4")


def add(connection: Connection, **values: object) -> str:
    """A person called Jos De Smedt, with these values; the id."""
    row = {"garage_id": NOORD, "kind": "person", "full_name": "Jos De Smedt", **values}
    columns, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    statement = f"insert into public.customers ({columns}) values ({marks}) returning id"
    found = connection.execute(statement.encode(), row).fetchone()
    assert found is not None
    return str(found["id"])


def duplicates(connection: Connection, customer_id: str) -> dict[str, list[str]]:
    rows = connection.execute(
        "select id::text, reasons from public.find_duplicate_customers(%s)", (customer_id,)
    )
    return {row["id"]: row["reasons"] for row in rows}


def test_the_same_person_is_found_by_number_address_and_name(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        jos = add(connection, email="jos@example.be", phone="0470 11 22 33", postal_code="9000")
        by_mail = add(connection, full_name="J. Smedt", email=" JOS@example.be")
        by_phone = add(connection, full_name="Els Maes", phone="+32 470/11.22.33")
        by_name = add(connection, full_name="de smédt, JOS", postal_code="9000")
        elsewhere = add(connection, postal_code="1000")
        found = duplicates(connection, jos)
        assert found == {by_mail: ["email"], by_phone: ["phone"], by_name: ["name_and_address"]}
        assert elsewhere not in found
        company = add(connection, full_name="Els", vat_number="BE0403170701")
        twin = add(connection, full_name="Boekhouding", vat_number="BE 0403.170.701")
        assert duplicates(connection, company) == {twin: ["vat_number"]}
    with OTTO.acting(busy_database) as connection:
        assert duplicates(connection, CARLA.customer_id) == {}


@pytest.mark.parametrize(
    "name",
    ["Jos Desmedt", "Jos De Smet", "José De Smedt", "Jos de Smeedt", "Smedt, Jos De"],
)
def test_a_name_written_nearly_alike_at_nearly_the_same_address_is_found(
    busy_database: Database, name: str
) -> None:
    home = {"street": "Kerkstraat 12", "postal_code": "9000"}
    with RITA.acting(busy_database) as connection:
        jos = add(connection, **home)
        near = add(connection, full_name=name, street="Kerkstr. 12 bus 3", postal_code="9000")
        assert duplicates(connection, jos) == {near: ["name_and_address"]}
        assert duplicates(connection, near) == {jos: ["name_and_address"]}


@pytest.mark.parametrize(
    "values",
    [
        {"full_name": "Els De Smedt"},
        {"full_name": "Jos Van Damme"},
        {"postal_code": "9050"},
        {"street": "Grote Markt 1"},
        {"kind": "company", "company_name": "De Smedt BV"},
    ],
    ids=["first name", "surname", "postal code", "street", "kind"],
)
def test_another_person_or_another_address_is_no_duplicate(
    busy_database: Database, values: dict[str, object]
) -> None:
    home = {"street": "Kerkstraat 12", "postal_code": "9000"}
    with RITA.acting(busy_database) as connection:
        jos = add(connection, **home)
        add(connection, **{**home, **values})
        twin = add(connection, full_name="Jos Desmedt", **home)
        assert duplicates(connection, jos) == {twin: ["name_and_address"]}


def test_a_company_is_found_by_its_name_whoever_writes_for_it(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        first = add(connection, kind="company", full_name="An", company_name="Garage Maes BV")
        second = add(connection, kind="company", full_name="Tom", company_name="Garage Maes BVBA")
        assert duplicates(connection, first) == {second: ["name_and_address"]}


# What refers to a customer: what a merge moves, and what stays, with why.
MOVED = {
    *("vehicle_ownerships", "work_orders", "conversations", "communications", "customer_opt_outs"),
    *("inbound_messages", "suppressions"),
}
STAYING = {
    "invoices": "what is issued stays with whom it was issued to; drafts move",
    "portal_accounts": "a customer who has one is not merged away",
    "customers": "points at the kept customer",
    "portal_invitations": "holds no longer once its customer is merged away",
    "rights_requests": "asked by the same person: private.customer_ids knows all of them",
    "legal_holds": "holds the same person, whichever id it names",
    "customer_restrictions": "a customer who is restricted is not merged meanwhile",
    "restriction_openings": "says what was looked at then",
}


def test_everything_that_refers_to_a_customer_is_known_to_a_merge(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        rows = connection.execute(
            "select conrelid::regclass::text as name from pg_constraint"
            " where contype = 'f' and confrelid = 'public.customers'::regclass"
        ).fetchall()
    referring = {row["name"].removeprefix("public.") for row in rows}
    assert referring == MOVED | set(STAYING)


def test_a_merge_takes_work_orders_talks_and_mails_along(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        duplicate = add(connection, full_name="Karel Dubbel", email="dubbel@example.be")
        orders = [work_order(connection, KAREL, "in_progress") for _ in range(3)]
        for status in ("ready", "cancelled"):
            connection.execute(
                "update public.work_orders set revision = revision + 1, status = %s where id = any (%s)",
                (status, orders[1:] if status == "ready" else orders[2:]),
            )
        connection.execute("select public.invoice_work_order(%s)", (orders[1],))
        for customer_id in (duplicate, KAREL.customer_id):
            connection.execute(
                "insert into public.conversations (garage_id, customer_id) values (%s, %s)",
                (NOORD, customer_id),
            )
        connection.commit()
    with fresh_database.connect() as owner:  # as if all that had been the duplicate's
        owner.execute("alter table public.work_orders disable trigger user")
        owner.execute(
            "update public.work_orders set customer_id = %s where id = any (%s)", (duplicate, orders)
        )
        owner.execute("alter table public.work_orders enable trigger user")
        owner.execute(
            "insert into public.communications (garage_id, customer_id, template, locale, recipient)"
            " values (%s, %s, 'invoice_issued', 'nl', 'dubbel@example.be')",
            (NOORD, duplicate),
        )
        owner.execute(
            "insert into public.suppressions (garage_id, customer_id, channel, address, reason)"
            " values (%s, %s, 'email', 'dubbel@example.be', 'bounce')",
            (NOORD, duplicate),
        )
        owner.execute(
            "with account as (insert into public.provider_accounts (garage_id, channel, provider,"
            "         sender_address, account_sid, secret_tail)"
            "     values (%s, 'sms', 'twilio', '+32460000000', 'AC' || repeat('0', 32), '0000')"
            "     returning garage_id, id)"
            " insert into public.inbound_messages (garage_id, provider_account_id, customer_id, channel,"
            "     provider_id, sender_address, body)"
            " select garage_id, id, %s, 'sms', 'SM1', '+32470000000', 'Dag' from account",
            (NOORD, duplicate),
        )
    with RITA.acting(fresh_database) as connection:
        connection.execute("select public.merge_customers(%s, %s)", (KAREL.customer_id, duplicate))
        for table in sorted(MOVED):
            left = f"select count(*) from public.{table} where customer_id = %s"
            assert one(connection, left, duplicate) == 0, table
        statuses = connection.execute(
            "select status from public.work_orders where customer_id = %s order by 1", (KAREL.customer_id,)
        ).fetchall()
        assert [row["status"] for row in statuses] == ["cancelled", "in_progress", "invoiced"]
        talks = "select count(*) filter (where closed_at is null) || '/' || count(*)"
        talks += " from public.conversations where customer_id = %s"
        assert one(connection, talks, KAREL.customer_id) == "1/2"
        with refused("changed_meanwhile", 409):
            connection.execute(
                "update public.work_orders set revision = 2, complaint = 'x' where id = %s", (orders[0],)
            )


def test_a_customer_speaks_the_language_of_the_garage_unless_they_say_otherwise(
    fresh_database: Database,
) -> None:
    locale = "select locale from public.customers where id = %s"
    with fresh_database.connect() as owner:
        owner.execute("update public.garages set locale = 'fr' where id = %s", (NOORD,))
    with RITA.acting(fresh_database) as connection:
        assert one(connection, locale, add(connection)) == "fr"
        assert one(connection, locale, add(connection, locale="en")) == "en"
        with refused("locale_unknown"):
            add(connection, locale="de")


def test_how_a_customer_likes_to_be_reached_is_on_their_card(busy_database: Database) -> None:
    with RITA.acting(busy_database) as connection:
        jos = add(connection, preferred_channel="phone")
        card = "select preferred_channel from public.customer_cards where id = %s"
        assert one(connection, card, jos) == "phone"
        with refused("channel_unknown"):
            connection.execute("update public.customers set preferred_channel = 'fax' where id = %s", (jos,))


def test_a_merge_moves_cars_and_drafts_and_leaves_issued_invoices(fresh_database: Database) -> None:
    with RITA.acting(fresh_database) as connection:
        duplicate = add(connection, email="karel2@example.be", vat_number="BE0403170701")
        connection.execute(
            "insert into public.vehicles (garage_id, vin, make, model)"
            " values (%s, '1M8GDM9AXKP042788', 'Opel', 'Corsa')",
            (NOORD,),
        )
        car = one(connection, "select id from public.vehicles where vin = '1M8GDM9AXKP042788'")
        connection.execute("select public.transfer_vehicle(%s, %s, null)", (car, duplicate))
        connection.execute(
            "insert into public.customer_opt_outs (garage_id, customer_id, channel) values (%s, %s, 'sms')",
            (NOORD, duplicate),
        )
        make = "insert into public.invoices (garage_id, customer_id) values (%s, %s) returning id"
        issued, drafted = (one(connection, make, NOORD, duplicate) for _ in range(2))
        connection.execute(
            "insert into public.invoice_lines (garage_id, invoice_id, position, description, quantity,"
            " unit_price, vat_rate) values (%s, %s, 1, 'Ruitenwissers', 1, 30, 21)",
            (NOORD, issued),
        )
        issue(connection, issued)
        kept = connection.execute(
            "select * from public.merge_customers(%s, %s)", (KAREL.customer_id, duplicate)
        ).fetchone()
        assert kept is not None
        assert (str(kept["id"]), kept["vat_number"]) == (KAREL.customer_id, "BE0403170701")
        assert kept["email"] != "karel2@example.be"
        owner = "select customer_id::text from public.vehicle_ownerships where vehicle_id = %s"
        assert one(connection, owner, car) == KAREL.customer_id
        of = "select customer_id::text from public.invoices where id = %s"
        assert one(connection, of, drafted) == KAREL.customer_id
        assert one(connection, of, issued) == duplicate
        card = connection.execute(
            "select * from public.customer_cards where id = %s", (KAREL.customer_id,)
        ).fetchone()
        assert card is not None
        assert (card["vehicles"], card["invoices"], card["opted_out_of"]) == (2, 1, ["sms"])
        assert str(card["balance"]) == "36.30"
        assert duplicates(connection, KAREL.customer_id) == {}
        with refused("customer_is_merged", 409), connection.transaction():
            connection.execute("update public.customers set archived_at = null where id = %s", (duplicate,))
        with refused("customer_not_found", 404), connection.transaction():
            connection.execute("select public.merge_customers(%s, %s)", (CARLA.customer_id, duplicate))


@pytest.mark.req("D1")
def test_only_two_customers_of_the_own_garage_are_merged_and_no_portal_account_is_lost(
    busy_database: Database,
) -> None:
    merge = "select public.merge_customers(%s, %s)"
    with RITA.acting(busy_database) as connection:
        spare = add(connection)
        for pair, code, status in (
            ((KAREL.customer_id, CARLA_AT_ZUID.customer_id), "customer_not_found", 404),
            ((CARLA_AT_ZUID.customer_id, spare), "customer_not_found", 404),
            ((spare, spare), "customer_not_found", 404),
            ((spare, KAREL.customer_id), "duplicate_has_portal_account", 409),
        ):
            with refused(code, status), connection.transaction():
                connection.execute(merge, pair)
        connection.execute(merge, (KAREL.customer_id, spare))
    with MARC.acting(busy_database) as connection, refused("permission_missing", 403):
        connection.execute(merge, (KAREL.customer_id, CARLA.customer_id))


@pytest.mark.req("D8")
def test_who_opted_out_of_a_channel_is_not_written_to_on_it(fresh_database: Database) -> None:
    opt_out = "insert into public.customer_opt_outs (garage_id, customer_id, channel) values (%s, %s, %s)"
    with RITA.acting(fresh_database) as connection:
        with refused("channel_unknown"), connection.transaction():
            connection.execute(opt_out, (NOORD, CARLA.customer_id, "fax"))
        with refused("customer_not_found", 404), connection.transaction():
            connection.execute(opt_out, (NOORD, CARLA_AT_ZUID.customer_id, "email"))
        connection.execute(opt_out, (NOORD, CARLA.customer_id, "email"))
        connection.commit()
    issued_invoice(fresh_database, RITA, CARLA)
    issued_invoice(fresh_database, RITA, KAREL)
    work(fresh_database)
    with fresh_database.connect() as connection:
        told = connection.execute("select distinct customer_id::text from public.communications").fetchall()
    assert [row["customer_id"] for row in told] == [KAREL.customer_id]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("NL 8000.99.998 B57", "NL800099998B57"),
        ("de 123456789", "DE123456789"),
        ("FR-40303265045", "FR40303265045"),
        ("atu12345678", "ATU12345678"),
        ("CHE123456788", "CHE123456788"),
        ("DE12345678", None),
        ("FR4030326504", None),
        ("NL800099998", None),
        ("XX123456789", None),
    ],
)
def test_vat_numbers_of_other_countries_have_their_countrys_structure(
    busy_database: Database, written: str, kept: str | None
) -> None:
    with RITA.acting(busy_database) as connection:
        if kept is None:
            with refused("vat_number_invalid"):
                add(connection, vat_number=written)
        else:
            customer_id = add(connection, vat_number=written)
            assert (
                one(connection, "select vat_number from public.customers where id = %s", customer_id) == kept
            )
