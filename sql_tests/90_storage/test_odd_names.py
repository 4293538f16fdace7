"""Names that are almost a garage's, tokens that are almost somebody's: closed, and never an error."""

import json
from collections.abc import Iterator

import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA, KAREL, MARC, NOORD, OLGA, OTTO, SERVICE_ROLE, ZUID, Actor
from sql_tests.steps import denied, one

pytestmark = pytest.mark.req("S3")

LETTERS = "abcdefab-cdef-4abc-8def-abcdefabcdef"
THEIRS = (f"{NOORD}/a.pdf", f"{NOORD}/../{ZUID}/a.pdf", f"{NOORD}//", f"{NOORD}/é🚗.pdf", NOORD)
NOBODYS = (
    None,
    "..",
    ".",
    "/",
    "//",
    "no-slash",
    f"/{NOORD}/a.pdf",
    f"../{NOORD}/a.pdf",
    f"./{NOORD}/a.pdf",
    f" {NOORD}/a.pdf",
    f"{NOORD} /a.pdf",
    f"{NOORD}\\a.pdf",
    f"{NOORD}\n/a.pdf",
    f"{NOORD}\u2215a.pdf",
    f"{{{NOORD}}}/a.pdf",
    NOORD.replace("-", "") + "/a.pdf",
    f"urn:uuid:{NOORD}/a.pdf",
    "null/a.pdf",
    "' or true --/a.pdf",
    "{}/[]",
    "%00/a.pdf",
    "x" * 900,
    "\ud7ff\ue000\U0010ffff/a.pdf",
)
BROKEN: tuple[object, ...] = ("", " ", "null", "[]", "1", '"x"', "{", json.dumps({"role": "authenticated"}))


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        store(connection, *THEIRS, *NOBODYS)
        yield connection
        connection.rollback()


def store(connection: Connection, *names: str | None, bucket: str = "invoices") -> None:
    for name in names:
        connection.execute("insert into storage.objects (bucket_id, name) values (%s, %s)", (bucket, name))


def names(connection: Connection, actor: Actor, nonce: str | None = None) -> set[str]:
    headers = {} if nonce is None else {"x-document-grant": nonce}
    with probes.acting(connection, actor):
        connection.execute("select set_config('request.headers', %s, true)", (json.dumps(headers),))
        return {row["name"] for row in connection.execute("select name from storage.objects")}


def granted(connection: Connection) -> str:
    """The document of Carla's that the busy database's nonce opens."""
    query = "select object_name from private.document_grants where session_id = %s"
    return str(one(connection, query, CARLA.session_id))


def test_the_first_folder_alone_says_whose_file_it_is(connection: Connection) -> None:
    documents = "select array_agg(storage_path) from public.invoice_documents where garage_id = %s"
    assert names(connection, OLGA) == {*THEIRS, *one(connection, documents, NOORD)}
    assert names(connection, OTTO) == set(one(connection, documents, ZUID))
    assert names(connection, MARC) == names(connection, ANON) == set()


@pytest.mark.req("P13")
def test_a_customer_sees_the_granted_file_among_all_of_them_and_only_that(connection: Connection) -> None:
    nonce = f"nonce-{CARLA.number}"
    assert names(connection, CARLA.actor, nonce) == {granted(connection)}
    assert names(connection, CARLA.actor) == names(connection, CARLA.actor, "guessed") == set()
    assert names(connection, KAREL.actor, nonce) == set()
    assert names(connection, MARC, nonce) == names(connection, ANON, nonce) == set()
    connection.execute("update private.document_grants set expires_at = now()")
    assert names(connection, CARLA.actor, nonce) == set()


@pytest.mark.req("P13")
def test_a_file_of_the_same_name_in_another_bucket_is_nobodys(connection: Connection) -> None:
    connection.execute("insert into storage.buckets (id, name) values ('other', 'other')")
    before = names(connection, OLGA)
    connection.execute(
        "update storage.objects set bucket_id = 'other' where name = %s", (granted(connection),)
    )
    assert names(connection, OLGA) == before - {granted(connection)}
    assert names(connection, CARLA.actor, f"nonce-{CARLA.number}") == set()


def test_a_garage_in_capitals_is_not_that_garage(connection: Connection) -> None:
    connection.execute(
        "insert into public.garages select (jsonb_populate_record(g, jsonb_build_object('id', %s::text,"
        " 'logo_sha256', null))).* from public.garages g where g.id = %s",
        (LETTERS, NOORD),
    )
    connection.execute(
        "insert into public.memberships (garage_id, user_id, full_name, email, role)"
        " values (%s, %s, 'Olga Peeters', 'olga@garage-noord.test', 'owner')",
        (LETTERS, OLGA.claims["sub"]),
    )
    connection.execute(
        "insert into public.garage_modules (garage_id, module)"
        " select %s, unnest(array['invoicing', 'pdf_storage'])",
        (LETTERS,),
    )
    store(connection, f"{LETTERS}/a.pdf", f"{LETTERS.upper()}/a.pdf", f"{LETTERS.title()}/a.pdf")
    assert names(connection, OLGA.but("Olga there", garage_id=LETTERS)) == {f"{LETTERS}/a.pdf"}


@pytest.mark.parametrize("role", ["authenticated", "portal", "anon"])
@pytest.mark.parametrize("claims", BROKEN)
def test_malformed_claims_see_no_file_and_raise_nothing(
    connection: Connection, role: str, claims: str
) -> None:
    connection.execute(
        "select set_config('request.jwt.claims', %s, true), set_config('request.headers', %s, true),"
        " set_config('role', %s, true)",
        (claims, claims, role),
    )
    assert one(connection, "select count(*) from storage.objects") == 0


@pytest.mark.parametrize("actor", [OLGA, MARC, CARLA.actor, ANON], ids=lambda actor: actor.name)
def test_nobody_writes_moves_or_removes_an_odd_file(busy_database: Database, actor: Actor) -> None:
    headers = {"x-document-grant": f"nonce-{CARLA.number}"}
    insert = "insert into storage.objects (bucket_id, name) values ('invoices', %s)"
    for name in (*THEIRS, *NOBODYS):
        with actor.acting(busy_database, headers) as connection, denied():
            connection.execute(insert, (name,))
    with actor.acting(busy_database, headers) as connection:
        connection.execute("select set_config('storage.allow_delete_query', 'true', true)")
        assert connection.execute("delete from storage.objects").rowcount == 0
    with SERVICE_ROLE.acting(busy_database) as connection:
        connection.execute("select set_config('storage.allow_delete_query', 'true', true)")
        assert connection.execute("delete from storage.objects").rowcount > 0


@pytest.mark.parametrize("actor", [OLGA, CARLA.actor, ANON], ids=lambda actor: actor.name)
def test_nobody_sees_opens_or_makes_a_bucket(busy_database: Database, actor: Actor) -> None:
    with actor.acting(busy_database) as connection:
        assert one(connection, "select count(*) from storage.buckets") == 0
        assert connection.execute("update storage.buckets set public = true").rowcount == 0
        with denied():
            connection.execute("insert into storage.buckets (id, name, public) values ('mine', 'mine', true)")
    with SERVICE_ROLE.acting(busy_database) as connection:
        assert one(connection, "select count(*) from storage.buckets") > 0


@pytest.mark.req("P13", "S3")
@pytest.mark.parametrize("operation", ["storage.object.sign", "storage.object.sign_many", "object.sign"])
def test_staff_download_but_have_no_link_signed(connection: Connection, operation: str) -> None:
    operate = "select set_config('storage.operation', %s, true)"
    connection.execute(operate, ("storage.object.get_authenticated",))
    assert granted(connection) in names(connection, OLGA)
    connection.execute(operate, (operation,))
    assert names(connection, OLGA) == set()


@pytest.mark.req("D2", "D14")
def test_switching_pdf_storage_off_closes_the_files_to_staff_too(connection: Connection) -> None:
    switch = (
        "update public.garage_modules set is_enabled = %s where garage_id = %s and module = 'pdf_storage'"
    )
    assert names(connection, OLGA)
    connection.execute(switch, (False, NOORD))
    assert names(connection, OLGA) == set()
    connection.execute(switch, (True, NOORD))
    assert names(connection, OLGA)
