"""Roles that own no rows and no rights: they reach no tenant table with any verb."""

import pytest

from devstack.testing import Database
from sql_tests import probes
from sql_tests.steps import denied


@pytest.mark.req("D1", "S2")
@pytest.mark.parametrize(
    ("login", "role"),
    [("worker", "worker"), ("edge", "edge"), ("authenticator", "service_role"), ("authenticator", "anon")],
)
def test_roles_without_table_rights_reach_no_tenant_table(
    busy_database: Database, login: str, role: str
) -> None:
    with busy_database.connect() as connection:
        tables = probes.tenant_tables(connection)
    with busy_database.connect(login, autocommit=True) as connection:
        connection.execute(f"set role {role}".encode())
        assert connection.execute("select private.garage_id() as garage_id").fetchall() == [
            {"garage_id": None}
        ]
        for table in tables:
            for statement in (
                f"select from {table.name}",
                f"insert into {table.name} default values",
                f"update {table.name} set {table.tenant} = null",
                f"delete from {table.name}",
                f"truncate {table.name}",
            ):
                with denied():
                    connection.execute(statement.encode())
