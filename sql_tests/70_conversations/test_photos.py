"""A photo goes where it was announced, once, by the side that announced it; only its message shows it."""

from collections.abc import Iterator

import psycopg
import pytest

from devstack.testing import Connection, Database
from sql_tests import probes
from sql_tests.cast import ANON, CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA, ZUID, Actor, Customer
from sql_tests.steps import Row, change, denied, digest, edge, one, refused, sign_in

pytestmark = pytest.mark.req("P12", "S3")

FILE = "insert into storage.objects (bucket_id, name) values ('message_photos', %s)"
ANNOUNCE = "select * from portal.announce_photo(%s)"
SEND = "select * from portal.send_message(%s, null, %s)"
BY_STAFF = (
    "insert into public.message_photos (garage_id, conversation_id, content_type)"
    " values (%s, %s, 'image/png') returning *"
)
ANSWER = (
    "insert into public.messages (garage_id, conversation_id, body, photo_id) values (%s, %s, '', %s)"
    " returning id"
)


@pytest.fixture
def connection(busy_database: Database) -> Iterator[Connection]:
    with busy_database.connect() as connection:
        connection.execute("delete from private.rate_limits")
        yield connection
        connection.rollback()


def row(connection: Connection, query: str, *arguments: object) -> Row:
    found = connection.execute(query.encode(), arguments).fetchone()
    assert found is not None
    return found


def test_a_customers_photo_goes_where_it_was_announced_and_nowhere_else(connection: Connection) -> None:
    with probes.acting(connection, CARLA.actor):
        photo = row(connection, ANNOUNCE, "image/jpeg")
        path = photo["storage_path"]
        assert path == f"{NOORD}/{photo['conversation_id']}/{photo['id']}.jpg"
        for name in (
            path.replace(".jpg", ".png"),
            path.replace(NOORD, ZUID),
            path + "/../x.jpg",
            f"{NOORD}/../{path}",
            path.replace("/", "%2f"),
            path.replace("/", "\N{FRACTION SLASH}"),
            path.upper(),
            f"{NOORD}/x.jpg",
            "",
        ):
            with denied(), connection.transaction():
                connection.execute(FILE, (name,))
        with denied(), connection.transaction():
            connection.execute(FILE.replace("message_photos", "invoices"), (path,))
        with pytest.raises(psycopg.DataError), connection.transaction():
            connection.execute(FILE, (path + "\x00",))
        connection.execute(FILE, (path,))
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute(FILE, (path,))


@pytest.mark.req("D1")
@pytest.mark.parametrize(
    "actor", [KAREL.actor, CARLA_AT_ZUID.actor, OTTO, RITA, ANON], ids=lambda actor: actor.name
)
def test_nobody_else_files_what_a_customer_announced(busy_database: Database, actor: Actor) -> None:
    with busy_database.connect() as connection:
        path = announced_by(connection, CARLA)
        with probes.acting(connection, CARLA.actor):
            connection.execute(FILE, (path,))
        with denied(), probes.acting(connection, actor):
            connection.execute(FILE, (path,))
        connection.rollback()


def announced_by(connection: Connection, customer: Customer) -> str:
    """The path of the photo that the busy database announced for this customer."""
    connection.execute("update public.message_photos set created_at = now()")
    query = "select p.storage_path from public.message_photos p join public.conversations c"
    return str(
        one(connection, f"{query} on c.id = p.conversation_id where c.customer_id = %s", customer.customer_id)
    )


@pytest.mark.parametrize(
    "closing",
    [
        "update public.message_photos set created_at = now() - interval '16 minutes'",
        "update public.conversations set closed_at = now()",
        "update public.portal_sessions set revoked_at = now()",
        "update public.garage_modules set is_enabled = false where module = 'conversations'",
        "select set_config('storage.operation', 'storage.object.sign_upload_url', true)",
    ],
    ids=["a quarter later", "closed", "signed out", "module off", "an address for later"],
)
def test_an_announcement_ends(connection: Connection, closing: str) -> None:
    path = announced_by(connection, CARLA)
    with probes.acting(connection, CARLA.actor):
        connection.execute(FILE, (path,))
    connection.execute(closing.encode())
    with denied(), probes.acting(connection, CARLA.actor):
        connection.execute(FILE, (path,))


def test_a_photo_without_words_is_a_message_and_is_sent_once(connection: Connection) -> None:
    with probes.acting(connection, CARLA.actor):
        photo = row(connection, ANNOUNCE, "image/webp")
        with refused("photo_not_found", 404), connection.transaction():
            row(connection, SEND, "Zie foto", photo["id"])
        connection.execute(FILE, (photo["storage_path"],))
        sent = row(connection, SEND, "", photo["id"])
        assert (sent["photo_id"], sent["body"]) == (photo["id"], "")
        with refused("photo_already_sent", 409), connection.transaction():
            row(connection, SEND, "Nog eens", photo["id"])
        with refused("message_body_invalid"), connection.transaction():
            row(connection, SEND, "", None)


def test_a_photo_stays_in_its_conversation_and_on_its_side(connection: Connection) -> None:
    thread = one(connection, "select id from public.conversations where customer_id = %s", CARLA.customer_id)
    photo = row(connection, BY_STAFF, NOORD, thread)
    connection.execute(FILE, (photo["storage_path"],))
    for customer in (CARLA, KAREL):
        with refused("photo_not_found", 404), probes.acting(connection, customer.actor):
            row(connection, SEND, "Mijn foto", photo["id"])
    with probes.acting(connection, RITA):
        assert one(connection, ANSWER, NOORD, thread, photo["id"])


def test_staff_announce_file_and_send_as_the_garage(connection: Connection) -> None:
    thread = one(connection, "select id from public.conversations where customer_id = %s", CARLA.customer_id)
    with probes.acting(connection, RITA):
        photo = row(connection, BY_STAFF, NOORD, thread)
        connection.execute(FILE, (photo["storage_path"],))
        connection.execute(ANSWER, (NOORD, thread, photo["id"]))
        assert one(connection, "select count(*) from storage.objects where bucket_id = 'message_photos'") == 1
    for actor, code in ((MARC, "permission_missing"), (OTTO, "conversation_not_found")):
        with pytest.raises(psycopg.Error) as caught, probes.acting(connection, actor):
            connection.execute(BY_STAFF, (actor.claims["garage_id"], thread))
        assert caught.value.diag.message_detail == code


def test_a_photo_is_an_image(connection: Connection) -> None:
    for content_type in ("image/svg+xml", "text/html", "IMAGE/PNG", None):
        with pytest.raises(psycopg.Error), probes.acting(connection, CARLA.actor):
            row(connection, ANNOUNCE, content_type)
    with probes.acting(connection, CARLA.actor):
        assert row(connection, ANNOUNCE, "image/png")["storage_path"].endswith(".png")
    bucket = row(connection, "select * from storage.buckets where id = 'message_photos'")
    assert (bucket["public"], bucket["file_size_limit"]) == (False, 5 * 1024 * 1024)
    assert bucket["allowed_mime_types"] == ["image/jpeg", "image/png", "image/webp"]


@pytest.mark.req("S4")
def test_announcing_is_limited(connection: Connection) -> None:
    with probes.acting(connection, CARLA.actor):
        for _ in range(20):
            row(connection, ANNOUNCE, "image/png")
        with refused("too_many_messages", 429), connection.transaction():
            row(connection, ANNOUNCE, "image/png")
    with probes.acting(connection, KAREL.actor):
        row(connection, ANNOUNCE, "image/png")


def files(database: Database, actor: Actor, nonce: str | None) -> list[str]:
    headers = {} if nonce is None else {"x-document-grant": nonce}
    with actor.acting(database, headers) as connection:
        return [found["name"] for found in connection.execute("select name from storage.objects")]


def grant(database: Database, customer: Customer, session_id: object, message_id: object, nonce: str) -> Row:
    answer: Row = edge(
        database,
        "portal_grant_photo",
        session_id=session_id,
        account_id=customer.account_id,
        garage_id=customer.garage_id,
        message_id=message_id,
        grant_sha256=digest(nonce),
        client_ip="192.0.2.1",
        user_agent="tests",
    )
    return answer


@pytest.mark.req("P13", "D1", "D12")
def test_only_the_two_sides_of_the_conversation_see_a_photo_and_the_customer_by_a_grant(
    fresh_database: Database,
) -> None:
    sessions = {who: sign_in(fresh_database, who)[0]["session_id"] for who in (CARLA, KAREL, CARLA_AT_ZUID)}
    carla = CARLA.with_session(sessions[CARLA])
    with carla.acting(fresh_database) as connection:
        photo = row(connection, ANNOUNCE, "image/jpeg")
        connection.execute(FILE, (photo["storage_path"],))
        message = row(connection, SEND, "Dit lampje brandt", photo["id"])
        connection.commit()
    assert files(fresh_database, RITA, None) == [photo["storage_path"]]
    for actor in (MARC, OTTO, ANON, carla, KAREL.with_session(sessions[KAREL])):
        assert files(fresh_database, actor, None) == []
    for stranger in (KAREL, CARLA_AT_ZUID):
        refusal = grant(fresh_database, stranger, sessions[stranger], message["id"], "theirs")
        assert refusal == {"error": "document_not_found"}
        assert files(fresh_database, stranger.with_session(sessions[stranger]), "theirs") == []
    granted = grant(fresh_database, CARLA, sessions[CARLA], message["id"], "hers")
    assert (granted["bucket"], granted["path"]) == ("message_photos", photo["storage_path"])
    assert files(fresh_database, carla, "hers") == [photo["storage_path"]]
    assert files(fresh_database, KAREL.with_session(sessions[KAREL]), "hers") == []
    log = "select count(*) from audit.access_entries where event = 'document_link_issued' and subject_id = %s"
    with fresh_database.connect() as connection:
        assert one(connection, log, photo["id"]) == 1
    change(fresh_database, "update private.document_grants set expires_at = now()")
    assert files(fresh_database, carla, "hers") == []
