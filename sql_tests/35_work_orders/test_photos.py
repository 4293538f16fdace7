"""Photos: announced by a row, filed where the row says and nowhere else, counted and of known types."""

import pytest

from devstack.testing import Connection, Database
from sql_tests.cast import ANON, CARLA, CARLA_AT_ZUID, KAREL, MARC, NOORD, OTTO, RITA, ZUID
from sql_tests.steps import denied, one, refused, work_order

pytestmark = pytest.mark.req("D6", "S3")

# As the Storage API says before it deletes.
BY_API = "select set_config('storage.allow_delete_query', 'true', true)"
FILE = "insert into storage.objects (bucket_id, name) values ('work_order_photos', %s)"


def announce(connection: Connection, order_id: str, content_type: str = "image/jpeg") -> str:
    """The path that a new photo's file may take."""
    return str(
        one(
            connection,
            "insert into public.work_order_photos (garage_id, work_order_id, content_type)"
            " values (%s, %s, %s) returning storage_path",
            NOORD,
            order_id,
            content_type,
        )
    )


def test_a_file_goes_where_its_row_says_and_nowhere_else(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection:
        order_id = work_order(connection, CARLA)
        path = announce(connection, order_id)
        assert path.startswith(f"{NOORD}/{order_id}/") and path.endswith(".jpg")
        for name in (
            path.replace(".jpg", ".png"),
            f"{NOORD}/{order_id}/x.jpg",
            path.replace(NOORD, ZUID),
            path + "/../x.jpg",
            path.upper(),
            path.replace("/", "%2f"),
            "",
        ):
            with denied(), connection.transaction():
                connection.execute(FILE, (name,))
        with denied(), connection.transaction():
            connection.execute(FILE.replace("work_order_photos", "invoices"), (path,))
        connection.execute(FILE, (path,))
        assert one(connection, "select count(*) from storage.objects where name = %s", path) == 1


def test_nobody_of_another_garage_and_no_customer_sees_or_files_a_photo(fresh_database: Database) -> None:
    with MARC.acting(fresh_database) as connection:
        order_id = work_order(connection, CARLA)
        path, free = announce(connection, order_id), announce(connection, order_id)
        connection.execute(FILE, (path,))
        connection.commit()
    for actor in (OTTO, ANON, CARLA.actor, KAREL.actor):
        with actor.acting(fresh_database) as connection:
            with denied(), connection.transaction():
                connection.execute(FILE, (free,))
            assert one(connection, "select count(*) from storage.objects") == 0
            if actor is OTTO:
                connection.execute(BY_API)
                gone = connection.execute("delete from storage.objects where name = %s", (path,))
                assert gone.rowcount == 0
    with OTTO.acting(fresh_database) as connection, refused("work_order_not_found", 404):
        connection.execute(
            "insert into public.work_order_photos (garage_id, work_order_id, content_type)"
            " values (%s, %s, 'image/jpeg')",
            (ZUID, order_id),
        )
    with RITA.acting(fresh_database) as connection:
        assert one(connection, "select count(*) from storage.objects") == 1
        connection.execute(FILE, (free,))


def test_a_photo_is_removed_file_first(busy_database: Database) -> None:
    remove = "delete from public.work_order_photos where storage_path = %s"
    with MARC.acting(busy_database) as connection:
        path = announce(connection, work_order(connection, CARLA))
        connection.execute(FILE, (path,))
        with refused("photo_file_exists", 409), connection.transaction():
            connection.execute(remove, (path,))
        connection.execute(BY_API)
        assert connection.execute("delete from storage.objects where name = %s", (path,)).rowcount == 1
        assert connection.execute(remove, (path,)).rowcount == 1


def test_a_work_order_has_at_most_thirty_photos_of_three_types(busy_database: Database) -> None:
    with MARC.acting(busy_database) as connection:
        order_id = work_order(connection, CARLA)
        for content_type in ("image/svg+xml", "text/html", "IMAGE/JPEG"):
            with refused("photo_type_unknown"), connection.transaction():
                announce(connection, order_id, content_type)
        endings = [announce(connection, order_id, f"image/{kind}")[-5:] for kind in ("jpeg", "png", "webp")]
        assert [ending.rpartition(".")[2] for ending in endings] == ["jpg", "png", "webp"]
        for _ in range(27):
            announce(connection, order_id)
        with refused("too_many_photos", 409):
            announce(connection, order_id)


def test_the_bucket_is_private_and_takes_images_of_ten_megabytes(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        bucket = connection.execute("select * from storage.buckets where id = 'work_order_photos'").fetchone()
    assert bucket is not None
    assert (bucket["public"], bucket["file_size_limit"]) == (False, 10 * 1024 * 1024)
    assert bucket["allowed_mime_types"] == ["image/jpeg", "image/png", "image/webp"]


@pytest.mark.req("D1")
def test_a_photo_of_another_garages_work_order_does_not_exist(busy_database: Database) -> None:
    with OTTO.acting(busy_database) as connection:
        foreign = work_order(connection, CARLA_AT_ZUID)
        connection.commit()
    with RITA.acting(busy_database) as connection, refused("work_order_not_found", 404):
        announce(connection, foreign)
