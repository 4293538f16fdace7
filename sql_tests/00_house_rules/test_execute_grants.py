"""Who may execute what, frozen: a change here is a change of what somebody may do."""

import os
from pathlib import Path

import pytest

from devstack.testing import Database

GOLDEN = Path(__file__).with_name("execute_grants.txt")
QUERY = """
select concat_ws(' ', case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end,
           p.oid::regprocedure)
  from pg_proc p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
 where p.pronamespace::regnamespace::text in ('public', 'portal', 'private', 'audit')
   and acl.grantee <> p.proowner
"""


@pytest.mark.req("D1", "S2")
def test_who_may_execute_what_is_as_it_was_decided(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        connection.execute("set local search_path = pg_catalog")
        found = "\n".join(sorted(row["concat_ws"] for row in connection.execute(QUERY))) + "\n"
    if os.environ.get("RENEW_GOLDEN") == "1":
        GOLDEN.write_text(found, "utf-8")
    assert found == GOLDEN.read_text("utf-8"), "look at the change, then run with RENEW_GOLDEN=1"
