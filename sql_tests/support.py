"""Support and breaches as the tests' vocabulary: Ada of Autexor asks, owners answer."""

from devstack.testing import Database
from sql_tests.cast import ADA, NOORD, OLGA, OTTO, ZUID, Actor
from sql_tests.steps import change, one, work

REASON = "De facturen worden niet verstuurd"
INSTRUCTION = "Kijk waarom de facturen niet vertrekken"
EXPORT = "Maak een export van alle klanten voor ons"
BREACH = """{"title": "Lost laptop", "nature": "A laptop with a copy was lost", "subject_count": 3,
    "tables": ["public.customers", "public.messages"], "noticed_at": "2026-11-02T09:00:00Z",
    "began_at": "2026-11-01T18:00:00Z", "measures": "Keys revoked"}"""

FORGET_MAILS = """
delete from public.delivery_attempts a using public.communications c
 where c.garage_id = a.garage_id and c.id = a.communication_id and c.membership_id is not null;
delete from public.communications where membership_id is not null;
"""


def ask(
    database: Database, garage: str = NOORD, hours: int = 2, is_read_only: bool = True, operator: Actor = ADA
) -> str:
    """An operator asks a garage for support; the request's id."""
    return _called(
        database, operator, "(public.request_support(%s, %s, %s, %s)).id", garage, REASON, hours, is_read_only
    )


def grant(
    database: Database,
    request: str,
    owner: Actor = OLGA,
    is_read_only: bool = True,
    export: str | None = None,
) -> str:
    """An owner grants it; its id."""
    arguments = (request, INSTRUCTION, None, is_read_only, export)
    return _called(database, owner, "(public.grant_support(%s, %s, %s, %s, %s)).id", *arguments)


def end(database: Database, request: str, who: Actor = OLGA) -> str:
    """Either side ends it; its id."""
    return _called(database, who, "(public.end_support(%s)).id", request)


def token(request: str, garage: str = NOORD, operator: Actor = ADA) -> Actor:
    """The operator with the token that the hook makes while this grant is open."""
    return operator.but(f"{operator.name} in support", garage_id=garage, support_grant=request)


def granted(database: Database, is_read_only: bool = True, export: str | None = None) -> Actor:
    """Ada, let into Garage Noord."""
    request = grant(database, ask(database, is_read_only=is_read_only), OLGA, is_read_only, export)
    return token(request)


def forget(database: Database) -> None:
    """Nobody has asked for anything yet, and nobody was told."""
    change(database, FORGET_MAILS)
    for guard in ("disable", "enable always"):
        change(database, f"alter table public.support_requests {guard} trigger _900_freeze")
        if guard == "disable":
            change(database, "delete from public.support_requests")


def record_breach(database: Database, facts: str = BREACH) -> str:
    """An operator puts a breach on record; its id."""
    return _called(database, ADA, "public.record_breach(%s)", facts)


def tell(database: Database, breach: str, *garages: str) -> int:
    """An operator tells garages (all concerned, unless named); how many."""
    told = _called(database, ADA, "public.tell_garages(%s, %s)", breach, list(garages) or None)
    return int(told)


def keep_busy(database: Database) -> None:
    """Both garages have let Ada in, and were told of a breach, by mail too; history is sealed."""
    for garage, owner in ((NOORD, OLGA), (ZUID, OTTO)):
        grant(database, ask(database, garage), owner, export=EXPORT)
        ask(database, garage)
    tell(database, record_breach(database))
    work(database)
    change(database, "select private.seal_audit(now())")


def _called(database: Database, who: Actor, call: str, *arguments: object) -> str:
    with who.acting(database) as connection:
        answer = one(connection, f"select {call} as answer", *arguments)
        connection.commit()
    return str(answer)
