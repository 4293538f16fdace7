"""The isolation matrix: every relation, function, bucket and event x everybody x all they could try."""

import pytest

from devstack.testing import Connection
from sql_tests import matrix
from sql_tests.cast import RITA
from sql_tests.matrix.attempts import Ask
from sql_tests.matrix.report import Report
from sql_tests.matrix.world import World

pytestmark = pytest.mark.req("D1", "S2")

VERBS = (
    "read", "insert", "update", "delete", "give away", "truncate", "read with a module off",
    "reference a foreign parent", "tell a foreign parent from none", "learn from a unique key",
    "call without a grant", "call with a foreign id", "storage path", "realtime event",
)  # fmt: skip
# What somebody could add, and where the matrix is to notice it although nobody told it.
TABLE = """
create table public.notes (id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id), note text unique);
insert into public.notes (garage_id, note) select id, trade_name from public.garages;
"""
OPEN = "grant select, insert (garage_id, note), update (note), delete on public.notes to authenticated"
DEFINER = """
create function public.peek(garage_id uuid) returns text language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select note from public.notes n where n.garage_id = peek.garage_id $$;
"""
WIPING = """
create function public.wipe(garage_id uuid) returns void language sql security definer
set search_path = pg_catalog, pg_temp
as $$ {} $$;
grant execute on function public.wipe to authenticated
"""
LOCKED = """
alter table public.notes enable row level security; alter table public.notes force row level security;
create policy tenant_floor on public.notes as restrictive for all to public
    using (garage_id = (select private.garage_id())) with check (garage_id = (select private.garage_id()));
create policy select_member on public.notes for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
"""
ADDED = {
    "a table without a policy": (TABLE + OPEN, {"public.notes"}, "read"),
    "a table that was not decided": (TABLE + LOCKED + OPEN, {"public.notes"}, "read"),
    "a key that is the same for all garages": (
        TABLE + LOCKED + OPEN, {"public.notes"}, "learn from a unique key",
    ),
    "a view that asks as its owner": (
        TABLE + LOCKED + "create view public.all_notes as select * from public.notes;"
        " grant select on public.all_notes to authenticated",
        {"public.all_notes"}, "read",
    ),
    "a call with its owner's rights": (
        TABLE + LOCKED + DEFINER + "grant execute on function public.peek to authenticated",
        {"public.peek(uuid)"}, "call with a foreign id",
    ),
    "a call that deletes rows of others": (
        TABLE + LOCKED + WIPING.format("delete from public.notes n where n.garage_id = wipe.garage_id"),
        {"public.wipe(uuid)"}, "call with a foreign id",
    ),
    "a call that empties a table": (
        TABLE + LOCKED + WIPING.format("truncate public.notes"),
        {"public.wipe(uuid)"}, "call with a foreign id",
    ),
    "a table that may be truncated": (
        TABLE + LOCKED + "grant truncate on public.notes to authenticated", {"public.notes"}, "truncate",
    ),
    "a simple foreign key": (
        "create table public.rows (garage_id uuid not null, line uuid primary key default gen_random_uuid(),"
        " invoice_id uuid references public.invoices (id));"
        " insert into public.rows (garage_id, invoice_id) select garage_id, id from public.invoices",
        {"public.rows"}, "reference a foreign parent",
    ),
    "a bucket that everybody reads": (
        "insert into storage.buckets (id, name) values ('logos', 'logos');"
        " alter policy tenant_floor on storage.objects using (true);"
        " create policy select_logos on storage.objects for select to authenticated"
        " using (bucket_id = 'logos')",
        {"storage.objects"}, "storage path, read",
    ),
    "a published table that its readers can name": (
        TABLE + LOCKED + OPEN + "; alter publication supabase_realtime add table public.notes",
        {"public.notes"}, "realtime event",
    ),
    "a channel that everybody hears": (
        "create policy select_all on realtime.messages for select to authenticated"
        " using ((select realtime.topic()) like 'garage:%%')",
        {"realtime.messages"}, "realtime event",
    ),
}  # fmt: skip


def test_everybody_reaches_exactly_what_they_may(matrix_report: Report) -> None:
    assert [str(failure) for failure in matrix_report.failures] == []


def test_no_cell_is_vacuous(matrix_report: Report) -> None:
    """Every denial has its positive control: the same by somebody who may, on rows that exist."""
    assert matrix_report.vacuous == [], "\n".join(matrix_report.vacuous)


def test_everything_was_tried(matrix_report: Report) -> None:
    assert set(VERBS) == set(matrix_report.cells)
    assert matrix_report.cells.total() > 30_000


@pytest.mark.parametrize("addition", ADDED)
def test_what_is_new_is_in_the_matrix_without_anyone_remembering(
    superuser: Connection, addition: str
) -> None:
    statement, only, verb = ADDED[addition]
    superuser.execute(statement.replace("%%", "%").encode())
    world = World.of(superuser)
    world.only = frozenset(only)
    assert verb in {failure.verb for failure in matrix.try_all(world).failures}


@pytest.mark.req("D3")
def test_a_deactivated_member_sees_nothing_from_the_next_statement_on(superuser: Connection) -> None:
    world = World.of(superuser)
    rita = next(caller for caller in world.callers if caller.name == "receptionist")
    asks = [
        Ask(f"select count(*)::text from {name}", is_query=True)
        for name, relation in world.catalogue.relations.items()
        if relation.tenant
    ]
    before = world.attempt(rita, asks)
    superuser.execute(
        "update public.memberships set deactivated_at = now() where user_id = %s", (RITA.claims["sub"],)
    )
    after = world.attempt(rita, asks)
    assert sum(1 for outcome in before if outcome.value not in (None, "0")) > 15
    assert {outcome.value for outcome in after} == {None, "0"}
