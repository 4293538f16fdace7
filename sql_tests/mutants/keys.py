"""One key without its garage: foreign keys that point at any garage's row, uniques across garages."""

from collections.abc import Iterator

from devstack.testing import Connection
from sql_tests.mutants.planting import OURS, Mutant, rows

FOREIGN = f"""
select k.conname::text as name, k.conrelid::regclass::text as child, k.confrelid::regclass::text as parent,
       (select string_agg(quote_ident(a.attname), ', ' order by u.i)
          from unnest(k.conkey) with ordinality u (n, i)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n
         where a.attname not in ('garage_id', 'id')) as near,
       (select string_agg(quote_ident(a.attname), ', ' order by u.i)
          from unnest(k.conkey, k.confkey) with ordinality u (m, n, i)
          join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n
          join pg_attribute b on b.attrelid = k.conrelid and b.attnum = u.m
         where b.attname not in ('garage_id', 'id')) as far
  from pg_constraint k
 where k.contype = 'f' and k.connamespace::regnamespace::text in {OURS} and cardinality(k.conkey) > 1
 order by 2, 1
"""
UNIQUE = f"""
select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as relation,
       (select string_agg(quote_ident(a.attname), ', ' order by u.i) from unnest(i.indkey::int2[])
          with ordinality u (n, i) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.n
         where a.attname <> 'garage_id') as columns,
       coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), '') as pred,
       exists (select from pg_constraint k
                where k.conindid = i.indexrelid and k.contype in ('p', 'u'))::text as is_key
  from pg_index i join pg_class c on c.oid = i.indrelid
 where i.indisunique and c.relnamespace::regnamespace::text in {OURS}
   and exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey)
                and a.attname = 'garage_id') and i.indnatts > 1
   -- ids are one garage's own as it is: a key of nothing else is no different without the garage
   and exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey)
                and a.atttypid <> 'uuid'::regtype)
 order by 2, 1
"""


def mutants(connection: Connection) -> list[Mutant]:
    """All of them."""
    return [*_foreign(connection), *_unique(connection)]


def _foreign(connection: Connection) -> Iterator[Mutant]:
    for row in rows(connection)(FOREIGN):
        drop = f"alter table {row['child']} drop constraint {row['name']};"
        scope = frozenset({row["child"]})
        yield Mutant("foreign key gone", row["name"], drop, scope)
        # The simple key needs a simple unique; its rows of both garages must not be in each other's way.
        simple = (
            f"{drop} create unique index simple_key on {row['parent']} ({row['far']});"
            f" alter table {row['child']} add constraint {row['name']} foreign key ({row['near']})"
            f" references {row['parent']} ({row['far']})"
        )
        yield Mutant("foreign key without garage", row["name"], simple, scope)


def _unique(connection: Connection) -> Iterator[Mutant]:
    for row in rows(connection)(UNIQUE):
        name = row["name"].split(".")[-1]
        drop = f"drop index {row['name']}"
        if row["is_key"] == "true":
            drop = f"alter table {row['relation']} drop constraint {name} cascade"
        whole = f"create unique index {name} on {row['relation']} ({row['columns']}) {row['pred']}"
        yield Mutant("unique without garage", row["name"], f"{drop}; {whole}", frozenset({row["relation"]}))
