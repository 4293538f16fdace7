"""Files: the first folder is the garage, compared as text; nobody but the service key writes."""

import pytest
from psycopg.types.json import Jsonb

from devstack.testing import Database
from sql_tests.cast import ANON, CARLA, KAREL, MARC, NOORD, OLGA, OTTO, RITA, ZUID, Actor
from sql_tests.steps import denied, one

pytestmark = pytest.mark.req("S3", "D1")

ODD = (
    "not-a-uuid/x.pdf",
    "",
    "/",
    "../" + NOORD + "/x.pdf",
    "é/…/🚗.pdf",
    NOORD + "%2fx.pdf",
    NOORD + "x/x.pdf",
)
STRANGE = "insert into storage.objects (bucket_id, name) values ('invoices', %s)"


def test_members_with_the_permission_see_the_files_of_their_garage(busy_database: Database) -> None:
    seen = {}
    for actor in (OLGA, RITA, MARC, OTTO, ANON, CARLA.actor, KAREL.actor):
        with actor.acting(busy_database) as connection:
            rows = connection.execute(
                "select split_part(name, '/', 1) as garage from storage.objects"
            ).fetchall()
        seen[actor.name] = [row["garage"] for row in rows]
    assert seen == {
        "Olga": [NOORD, NOORD],
        "Rita": [NOORD, NOORD],
        "Marc": [],
        "Otto": [ZUID],
        "anon": [],
        CARLA.actor.name: [],
        KAREL.actor.name: [],
    }


def test_odd_file_names_break_no_query_and_are_seen_by_nobody(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        for name in ODD:
            connection.execute(STRANGE, (name,))
        connection.execute("select set_config('role', 'authenticated', true)")
        for actor, count in ((OLGA, 2), (OTTO, 1)):
            claims = Jsonb(dict(actor.claims))
            connection.execute("select set_config('request.jwt.claims', %s::text, true)", (claims,))
            assert one(connection, "select count(*) from storage.objects") == count
        connection.rollback()


@pytest.mark.parametrize("actor", [OLGA, OTTO, CARLA.actor, ANON], ids=lambda actor: actor.name)
def test_nobody_writes_a_file_by_their_own_token(busy_database: Database, actor: Actor) -> None:
    for name in (f"{NOORD}/x.pdf", f"{ZUID}/x.pdf", "x.pdf"):
        with actor.acting(busy_database) as connection, denied():
            connection.execute(STRANGE, (name,))
    for verb in ("update storage.objects set name = 'x'", "update storage.objects set bucket_id = null"):
        with actor.acting(busy_database) as connection:
            assert connection.execute(verb.encode()).rowcount == 0
    with busy_database.as_user(role="service_role") as connection:
        assert connection.execute(STRANGE, (f"{NOORD}/x.pdf",)).rowcount == 1


def test_the_bucket_is_private_and_takes_pdfs_of_ten_megabytes(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        bucket = connection.execute("select * from storage.buckets where id = 'invoices'").fetchone()
    assert bucket is not None
    facts = (bucket["public"], bucket["allowed_mime_types"], bucket["file_size_limit"])
    assert facts == (False, ["application/pdf"], 10 * 1024 * 1024)
