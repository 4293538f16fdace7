"""What there is to try: relations, keys, functions, buckets and published tables, read from the catalogue."""

from dataclasses import dataclass
from functools import cached_property

from devstack.testing import Connection

API_ROLES = ("anon", "authenticated", "portal", "service_role", "worker", "edge")
# Relations that say in another column than `garage_id` whose rows they hold.
TENANT_COLUMN = {"public.garages": "id", "portal.garage": "id"}
RELATIONS = """
select c.oid::regclass::text as name, c.relkind::text as kind,
       (select jsonb_object_agg(a.attname, a.atttypid::regtype) from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                and not a.attisdropped and a.attgenerated = '' and a.attidentity = ''
              order by a.attnum) as writable,
       array(select distinct a.attname::text from pg_index i join pg_attribute a
                 on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
              where i.indrelid = c.oid and i.indisunique) as keys
  from pg_class c
 where c.relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
   and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
 order by 2, 1
"""
GRANTS = """
select c.oid::regclass::text as name, role, verb, array_agg(a.attname::text order by a.attnum) as columns
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  cross join unnest(%s::text[]) role cross join unnest(array['select', 'insert', 'update']) verb
 where c.relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
   and c.relkind in ('r', 'p', 'v', 'm', 'f') and has_column_privilege(role, c.oid, a.attname, verb)
 group by 1, 2, 3
"""
PARTS = """
select c.oid::regclass::text as name from pg_class c
 where c.relispartition and c.relkind = 'r'
   and c.relnamespace::regnamespace::text in ('public', 'portal', 'private', 'audit')
"""
FOREIGN_KEYS = """
select k.conname::text as name, k.conrelid::regclass::text as child, k.confrelid::regclass::text as parent,
       array(select a.attname::text from unnest(k.conkey) with ordinality u (n, i)
               join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.i) as near,
       array(select a.attname::text from unnest(k.confkey) with ordinality u (n, i)
               join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.i) as far
  from pg_constraint k where k.contype = 'f' order by 2, 1
"""
UNIQUES = """
select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as relation,
       array(select a.attname::text from unnest(i.indkey::int2[]) u (n) join pg_attribute a
               on a.attrelid = i.indrelid and a.attnum = u.n) as columns,
       array(select c.relname::text from pg_class c where c.oid = i.indexrelid
             union all select c.relname::text from pg_inherits h join pg_class c on c.oid = h.inhrelid
              where h.inhparent = i.indexrelid) as known_as
  from pg_index i where i.indisunique order by 2, 1
"""
FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.provolatile = 'i' as is_pure,
       p.provolatile = 'v' as is_volatile, p.provariadic <> 0 as is_variadic,
       p.pronamespace::regnamespace::text || '.' || quote_ident(p.proname) as name,
       coalesce(p.proargnames[:p.pronargs], array(select '' from generate_series(1, p.pronargs)))
           as argument_names,
       array(select t::regtype::text from unnest(p.proargtypes::oid[]) t) as argument_types,
       array(select r from unnest(%s::text[]) r where has_function_privilege(r, p.oid, 'execute')
                and has_schema_privilege(r, p.pronamespace, 'usage')) as roles
  from pg_proc p
 where p.pronamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
   and p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
 order by 1
"""


@dataclass(frozen=True)
class Relation:
    """A table (`kind` r; p if partitioned) or view (v); `columns` maps names to types, `keys` are unique."""

    name: str
    kind: str
    columns: dict[str, str]
    writable: list[str]
    keys: list[str]

    @property
    def tenant(self) -> str | None:
        """The column that says whose row it is; None in what belongs to no garage."""
        return TENANT_COLUMN.get(self.name) or ("garage_id" if "garage_id" in self.columns else None)

    @property
    def is_table(self) -> bool:
        """Rows are kept here."""
        return self.kind in "rp"

    def whose(self, garage: str) -> str:
        """The condition for the rows of a garage."""
        return f"{self.tenant} = '{garage}'"


@dataclass(frozen=True)
class ForeignKey:
    """Columns `near` of `child` that point at `far` of `parent`."""

    name: str
    child: str
    parent: str
    near: list[str]
    far: list[str]


@dataclass(frozen=True)
class Unique:
    """The columns of a unique index; a partition that refuses names its own part of it."""

    name: str
    relation: str
    columns: list[str]
    known_as: list[str]


@dataclass(frozen=True)
class Function:
    """A function and the API roles that can both name and execute it; a pure one reads no table."""

    signature: str
    is_pure: bool
    is_volatile: bool
    is_variadic: bool
    name: str
    argument_names: list[str]
    argument_types: list[str]
    roles: list[str]


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of one database at one moment."""

    connection: Connection

    @cached_property
    def parts(self) -> list[str]:
        """Partitions, in which the rows of some tables are."""
        rows = self.connection.execute(PARTS)
        return [row["name"] for row in rows]

    @cached_property
    def relations(self) -> dict[str, Relation]:
        """Tables and views of our schemas by name."""
        return {row["name"]: Relation(**row) for row in self.connection.execute(RELATIONS)}

    @cached_property
    def grants(self) -> dict[tuple[str, str, str], list[str]]:
        """The columns that (relation, role, verb) is granted."""
        rows = self.connection.execute(GRANTS, (list(API_ROLES),))
        return {(row["name"], row["role"], row["verb"]): row["columns"] for row in rows}

    @cached_property
    def foreign_keys(self) -> list[ForeignKey]:
        """Foreign keys between two tables of garages."""
        found = [ForeignKey(**row) for row in self.connection.execute(FOREIGN_KEYS)]
        return [key for key in found if self._is_tenant(key.child) and self._is_tenant(key.parent)]

    @cached_property
    def uniques(self) -> list[Unique]:
        """Unique indexes of tables of garages."""
        found = [Unique(**row) for row in self.connection.execute(UNIQUES)]
        return [unique for unique in found if self._is_tenant(unique.relation)]

    @cached_property
    def functions(self) -> list[Function]:
        """Functions of our schemas, but for triggers'."""
        return [Function(**row) for row in self.connection.execute(FUNCTIONS, (list(API_ROLES),))]

    def _is_tenant(self, name: str) -> bool:
        relation = self.relations.get(name)
        return relation is not None and relation.tenant is not None
