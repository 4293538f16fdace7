"""What tests need of a cluster: databases copied from a template, and people to be in them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from devstack import database as databases
from devstack.postgres import Cluster

TEMPLATE = "autexor_template"
SIGN_EVERYBODY_IN = """
insert into auth.sessions (id, user_id, created_at, updated_at)
select ('2b222222' || substr(id::text, 9))::uuid, id, now(), now() from auth.users
"""
Connection = psycopg.Connection[DictRow]


def migrated_template(cluster: Cluster) -> str:
    """A database with the platform, all migrations and seeds, its staff signed in; nobody connects to it."""
    databases.create_database(cluster, TEMPLATE)
    databases.bootstrap(cluster, TEMPLATE)
    owner = cluster.conninfo("postgres", TEMPLATE)
    databases.apply_migrations(owner)
    databases.apply_seeds(owner)
    databases.set_service_passwords(cluster)
    with psycopg.connect(owner) as connection:
        connection.execute(SIGN_EVERYBODY_IN)
    return TEMPLATE


@dataclass(frozen=True)
class Database:
    """One database of the test cluster."""

    cluster: Cluster
    name: str

    def conninfo(self, role: str = "postgres") -> str:
        """The database's address for a role that may log in."""
        return self.cluster.conninfo(role, self.name)

    def connect(self, role: str = "postgres", *, autocommit: bool = False) -> Connection:
        """A connection as that role; rows are dicts. Waiting 10 s for a lock fails: no test hangs."""
        return psycopg.connect(
            self.conninfo(role),
            autocommit=autocommit,
            row_factory=dict_row,
            options="-c lock_timeout=10s",
        )

    @contextmanager
    def as_user(
        self,
        sub: object = None,
        role: str = "authenticated",
        headers: Mapping[str, str] | None = None,
        **claims: Any,
    ) -> Iterator[Connection]:
        """A transaction as PostgREST opens it for a token with these claims; rolled back at the end.

        `sub` (when given) and `role` are claims, too. The pre-request is not called.
        """
        token = {"role": role, **({} if sub is None else {"sub": str(sub)}), **claims}
        with self.connect("authenticator") as connection:
            become(connection, token, headers)
            try:
                yield connection
            finally:
                connection.rollback()


def become(
    connection: Connection, claims: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> None:
    """Be the holder of a token with these claims (role among them) until the transaction ends."""
    connection.execute(
        "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
        " set_config('request.headers', %s, true)",
        (claims["role"], json.dumps(claims, default=str), json.dumps(dict(headers or {}))),
    )
