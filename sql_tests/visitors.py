"""What visitors of the website and its operators do, as the tests' vocabulary."""

from collections.abc import Mapping
from typing import Any

from devstack.testing import Database
from sql_tests.cast import ADA, ANON, Actor
from sql_tests.steps import one

Row = dict[str, Any]
REQUEST = {
    "kind": "contact",
    "full_name": "Vera Bezoeker",
    "email": "vera@example.test",
    "message": "Werkt dit ook voor een garage met twee vestigingen?",
}
VISITOR = "0f8fad5b-d9cb-469f-a165-70867728950e"
VERSION = "2026-02-23"


def at(address: str = "198.51.100.7", **headers: str) -> Mapping[str, str]:
    """The headers of a request from an address, as the outermost proxy writes them."""
    return {"cf-connecting-ip": address, **{name.replace("_", "-"): text for name, text in headers.items()}}


def ask(
    database: Database,
    function: str,
    headers: Mapping[str, str] | None = None,
    who: Actor = ANON,
    schema: str = "website",
    **arguments: Any,
) -> Any:
    """Call a function by named arguments, for good, as a visitor unless said otherwise."""
    named = ", ".join(f"{name} => %s" for name in arguments)
    with who.acting(database, headers if headers is not None else at()) as connection:
        answer = one(connection, f"select {schema}.{function}({named})", *arguments.values())
        connection.commit()
    return answer


def submit(database: Database, headers: Mapping[str, str] | None = None, **other: Any) -> Any:
    """Hand in a request; `other` replaces what Vera would send."""
    return ask(database, "submit_request", headers, **{**REQUEST, **other})


def handle(database: Database, function: str, **arguments: Any) -> Any:
    """Do something as Ada."""
    return ask(database, function, who=ADA, **arguments)


def rows(database: Database, query: str, *arguments: Any) -> list[Row]:
    """What the owner sees."""
    with database.connect() as connection:
        return connection.execute(query.encode(), arguments).fetchall()


def requests(database: Database) -> list[Row]:
    """All requests, oldest first."""
    return rows(database, "select * from website.requests order by received_at, email")
