"""Every kind of caller: the fixed cast, people the cast lacks, and tokens that are as good as none."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from devstack.testing import Connection
from sql_tests.cast import (
    ADA,
    ANON,
    CARLA,
    CARLA_AT_ZUID,
    KAREL,
    MARC,
    NOORD,
    OLGA,
    OTTO,
    RITA,
    SERVICE_ROLE,
    ZUID,
    Actor,
    Customer,
)

# Further people: 2d… are users, 2e… their sign-ins, 2f… their memberships.
HIRE = """
insert into auth.users (id, aud, role, email) values (%(user)s, 'authenticated', 'authenticated', %(email)s)
    on conflict do nothing;
insert into auth.sessions (id, user_id) select %(session)s, %(user)s where %(is_signed_in)s
    on conflict do nothing;
insert into public.memberships (garage_id, user_id, full_name, email, role, deactivated_at)
values (%(garage)s, %(user)s, %(email)s, %(email)s, %(role)s, case when %(is_revoked)s then now() end)
"""
# A customer with everything of their own, copied from one of the cast under other ids: 3…0 becomes 3…N.
DOUBLE = """
insert into public.{table}
select (jsonb_populate_record(t, {changes})).* from public.{table} t where id = %(id)s
"""
END = "update public.{table} set {how} where id = %(id)s"
PERMISSIONS = """
select permission from private.role_permissions r join public.memberships m on m.role = r.role
 where m.garage_id = %(garage)s and m.user_id = %(user)s
   and not exists (select from public.membership_permissions o where o.membership_id = m.id
       and o.permission = r.permission and not o.is_granted)
union select o.permission from public.membership_permissions o join public.memberships m
   on m.id = o.membership_id where m.garage_id = %(garage)s and m.user_id = %(user)s and o.is_granted
"""


@dataclass(frozen=True)
class Caller:
    """Somebody with a token, and what they are by right: `garage` and `customer` are None for nobody."""

    name: str
    role: str
    claims: str
    garage: str | None = None
    customer: str | None = None
    permissions: frozenset[str] = frozenset()
    headers: str = "{}"
    files: frozenset[str] = field(default_factory=frozenset)
    is_operator: bool = False

    @property
    def strangers(self) -> tuple[str, ...]:
        """The garages that are none of theirs."""
        return tuple(garage for garage in (NOORD, ZUID) if garage != self.garage)

    def without(self, closed: set[str]) -> "Caller":
        """The same person when these permissions are closed with their module."""
        return replace(self, permissions=self.permissions - closed)


def nobody(actor: Actor, headers: str = "{}") -> Caller:
    """A caller who has no right at all, whatever the token says."""
    return Caller(actor.name, actor.role, json.dumps(dict(actor.claims)), headers=headers)


def staff(connection: Connection, actor: Actor, name: str) -> Caller:
    """A live member with the permissions that the tables of roles and overrides give."""
    garage, user = str(actor.claims["garage_id"]), actor.claims["sub"]
    rows = connection.execute(PERMISSIONS, {"garage": garage, "user": user})
    permissions = frozenset(row["permission"] for row in rows)
    return Caller(name, "authenticated", json.dumps(dict(actor.claims)), garage, None, permissions)


def hire(connection: Connection, number: int, garage: str, role: str, **how: bool) -> Actor:
    """Somebody new at a garage; a second call with the same number gives them a second garage."""
    user, session = (f"{kind}-0000-4000-8000-{number:012d}" for kind in ("2d222222", "2e222222"))
    facts = {"user": user, "session": session, "garage": garage, "role": role}
    facts |= {"email": f"person-{number}@example.test"}
    flags = {"is_signed_in": True, "is_revoked": False, **how}
    connection.execute(_bound(HIRE, {**facts, **flags}).encode())
    claims = {"role": "authenticated", "sub": user, "garage_id": garage, "session_id": session}
    return Actor(f"person {number}", claims)


def customer(actor: Actor, of: Customer, name: str, connection: Connection) -> Caller:
    """A customer in a live session, with the link to a document that the busy garage gave them."""
    rows = connection.execute(
        "select object_name from private.document_grants where session_id = %s", (of.session_id,)
    ).fetchall()
    headers = json.dumps({"x-document-grant": f"nonce-{of.number}"})
    files = frozenset(row["object_name"] for row in rows)
    claims = json.dumps(dict(actor.claims))
    return Caller(name, "portal", claims, of.garage_id, of.customer_id, headers=headers, files=files)


def _double(connection: Connection, of: Customer, number: int) -> Customer:
    """Another customer of the same garage with an account, a device and a session, but nothing else."""
    other = Customer(number, of.garage_id, f"double-{number}@example.test", of.device_id, of.fingerprint)
    ids = {"customer_id": other.customer_id, "account_id": other.account_id}
    ids["device_id"] = other.portal_device_id
    for table, attribute, changes in (
        ("customers", "customer_id", {}),
        ("portal_accounts", "account_id", {"customer_id": other.customer_id, "login": other.login}),
        ("portal_devices", "portal_device_id", ids),
        ("portal_sessions", "session_id", ids),
    ):
        record = json.dumps({**changes, "id": getattr(other, attribute)}).replace("'", "''")
        statement = DOUBLE.format(table=table, changes=f"'{record}'::jsonb")
        connection.execute(_bound(statement, {"id": getattr(of, attribute)}).encode())
    return other


def _ended(connection: Connection, number: int, name: str, table: str, how: str) -> Caller:
    """A customer of Noord whose session, device or account has ended in one way, all else being well."""
    other = _double(connection, CARLA, number)
    attribute = {"portal_sessions": "session_id", "portal_devices": "portal_device_id"}
    row = getattr(other, attribute.get(table, "account_id"))
    connection.execute(_bound(END.format(table=table, how=how), {"id": row}).encode())
    return nobody(replace(other.actor, name=name))


def everybody(connection: Connection) -> list[Caller]:
    """All callers; those that the seeds lack are made in this transaction, with triggers off."""
    connection.execute("set local session_replication_role = replica")
    found = [*_members(connection), *_customers(connection), *_support(connection)]
    found += [*_no_longer(connection), *_spoofs(), *_operators(connection)]
    connection.execute("set local session_replication_role = origin")
    return found


def _members(connection: Connection) -> Iterator[Caller]:
    hired = {
        "manager": hire(connection, 11, NOORD, "manager"),
        "accountant": hire(connection, 12, NOORD, "accountant"),
        "member of both, at Noord": hire(connection, 13, NOORD, "receptionist"),
        "member of both, at Zuid": hire(connection, 13, ZUID, "mechanic"),
    }
    known = {"owner": OLGA, "receptionist": RITA, "mechanic": MARC, "owner of the other garage": OTTO}
    for name, actor in (known | hired).items():
        yield staff(connection, actor, name)


def _customers(connection: Connection) -> Iterator[Caller]:
    yield customer(CARLA.actor, CARLA, "customer", connection)
    yield customer(KAREL.actor, KAREL, "other customer of the garage", connection)
    yield customer(CARLA_AT_ZUID.actor, CARLA_AT_ZUID, "the same person at the other garage", connection)
    other = _double(connection, CARLA_AT_ZUID, 21)
    yield customer(other.actor, other, "customer of the other garage", connection)


def _operators(connection: Connection) -> Iterator[Caller]:
    """Staff of Autexor, who are nobody at a garage whatever their token names, and one who was it once."""
    yield replace(nobody(ADA), name="operator", is_operator=True)
    naming = ADA.but("operator naming Noord", garage_id=NOORD)
    yield replace(nobody(naming), is_operator=True)
    yield nobody(ADA.but("signed-out operator", session_id="2b222222-0000-4000-8000-000000000099"))
    yield nobody(ADA.but("operator in Olga's sign-in", session_id=OLGA.claims["session_id"]))
    yield nobody(OLGA.but("Olga in an operator's sign-in", session_id=ADA.claims["session_id"]))
    revoked = hire(connection, 16, ZUID, "mechanic", is_revoked=True)
    connection.execute(
        "insert into private.operators (user_id, revoked_at) values (%s, now())", (revoked.claims["sub"],)
    )
    yield nobody(replace(revoked, name="revoked operator"))


def _support(connection: Connection) -> Iterator[Caller]:
    """Ada of Autexor, while a garage has let her in; and what she is once it is over."""
    query = """
    select id::text, garage_id::text, permissions from public.support_requests where granted_at is not null
    """
    for row in connection.execute(query).fetchall():
        actor = ADA.but("support", garage_id=row["garage_id"], support_grant=row["id"])
        name = "support" if row["garage_id"] == NOORD else "support of the other garage"
        claims, permissions = json.dumps(dict(actor.claims)), frozenset(row["permissions"])
        yield Caller(name, "authenticated", claims, row["garage_id"], None, permissions, is_operator=True)
        for thief in (OLGA, OTTO):
            yield nobody(thief.but(f"{thief.name} with the grant of {name}", **_of(row)))
    ended = connection.execute(
        "insert into public.support_requests select (jsonb_populate_record(r, jsonb_build_object('id',"
        " gen_random_uuid(), 'ended_at', now()))).* from public.support_requests r"
        " where granted_at is not null and garage_id = %s returning id::text, garage_id::text",
        (NOORD,),
    ).fetchone()
    assert ended is not None
    over = nobody(ADA.but("support that is over", **_of(ended)))
    yield replace(over, is_operator=True)
    yield replace(nobody(ADA), is_operator=True)


def _of(row: Mapping[str, object]) -> dict[str, object]:
    return {"garage_id": row["garage_id"], "support_grant": row["id"]}


def _no_longer(connection: Connection) -> Iterator[Caller]:
    """People who were somebody once: each has ended in one way only, so that each check is seen to work."""
    revoked = hire(connection, 14, NOORD, "owner", is_revoked=True)
    yield nobody(replace(revoked, name="revoked member"))
    signed_out = hire(connection, 15, NOORD, "owner", is_signed_in=False)
    yield nobody(replace(signed_out, name="signed-out member"))
    yield nobody(OLGA.but("Olga in another's sign-in", session_id=RITA.claims["session_id"]))
    past = "now() - interval '1 minute'"
    yield _ended(connection, 31, "revoked session", "portal_sessions", f"revoked_at = {past}")
    yield _ended(connection, 32, "idle session", "portal_sessions", f"idle_expires_at = {past}")
    yield _ended(connection, 33, "expired session", "portal_sessions", f"expires_at = {past}")
    yield _ended(connection, 34, "revoked device", "portal_devices", f"revoked_at = {past}")
    yield _ended(connection, 35, "deactivated account", "portal_accounts", f"deactivated_at = {past}")


def _spoofs() -> Iterator[Caller]:
    """Tokens that name what their holder is not: all of them must be as good as none."""
    metadata = {"garage_id": NOORD}
    nonce = json.dumps({"x-document-grant": f"nonce-{CARLA.number}"})
    for actor in (
        ANON,
        SERVICE_ROLE,
        Actor("worker", {"role": "worker"}),
        Actor("edge", {"role": "edge"}),
        RITA.but("Rita naming Zuid", garage_id=ZUID),
        OTTO.but("Otto naming Noord", garage_id=NOORD),
        OTTO.but("Otto with metadata", garage_id=None, user_metadata=metadata, app_metadata=metadata),
        RITA.but("nobody", sub="99999999-0000-4000-8000-000000000009"),
        RITA.but("malformed", sub="' or true --", garage_id=["x"]),
        CARLA.actor.but("Carla naming Zuid", garage_id=ZUID),
        CARLA.actor.but("Carla in Karel's session", session_id=KAREL.session_id),
        CARLA.actor.but("Carla as staff", role="authenticated"),
        OTTO.but("Otto as customer", role="portal"),
        Actor("portal without claims", {"role": "portal"}),
        Actor("staff without claims", {"role": "authenticated"}),
    ):
        yield nobody(actor, nonce)
    # The role of the statement and the role of the token are two things: both are looked at. No request
    # has two; a token alone gives the garage, and nothing of it.
    olga, carla = replace(nobody(OLGA), garage=NOORD), replace(nobody(CARLA.actor, nonce), garage=NOORD)
    yield replace(olga, name="customers' role with Olga's token", role="portal")
    yield replace(carla, name="staff's role with Carla's token", role="authenticated")


def _bound(statement: str, values: dict[str, object]) -> str:
    """Several statements in one string take no parameters, so put the (our own) values in."""
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else "'" + str(value) + "'"
        statement = statement.replace(f"%({name})s", text)
    return statement
