"""The house rules as queries over the catalogue: each finds what breaks it, so an empty answer is good.

Beside every rule stands a change that breaks it: a rule that cannot notice anything proves nothing.
"""

from dataclasses import dataclass

from devstack.testing import Connection

# Tables that belong to no garage, and why.
GLOBAL_TABLES = (
    "private.modules",  # which modules there are: the same for everybody
    "private.permissions",  # which permissions there are
    "private.role_permissions",  # what each role may do
    "private.message_kinds",  # which kinds of message there are
    "private.rate_limits",  # counters under hashed keys
    "private.wakeups",  # the workers' doorbell: no data in it
    "private.poisoned_messages",  # which messages broke, by number; of whom the row says
    "private.worker_heartbeats",  # Autexor's own processes
    "private.key_proofs",  # hashes of proofs that were used: whose does not matter
    "private.operators",  # staff of Autexor, who are at no garage
    "private.support_permissions",  # what support may be granted at all
    "private.breaches",  # what happened; which garages it concerns is in the notices
    "private.data_categories",  # what comments may name
    "private.retention_rules",  # what keep:<rule> means
    "private.processings",  # what data is processed for
    "private.subprocessors",  # who else processes data
    "private.subject_paths",  # which rows are about a person
    "private.compiled_map",  # what was derived from the comments
)
# Columns whose name sounds like biometrics, and why they are not.
NOT_BIOMETRIC = (
    "private.compiled_map.fingerprint",  # hash of the comments it was derived from
    "public.portal_devices.fingerprint_sha256",  # hash of an app installation's properties
    "private.portal_challenges.fingerprint_sha256",  # the same, of an installation to be bound
)
# Columns that name a person or a row and have no key, and why.
NOT_KEYS = (
    "audit.entries.garage_id",  # history outlives what it tells of
    "audit.access_entries.subject_id",
    "audit.access_entries.session_id",
    "audit.chains.garage_id",  # the chain over history does, too
    "audit.seals.garage_id",
    "audit.sealed_rows.garage_id",
    "public.invoices.issued_by",  # people of Supabase Auth, who may be gone when the paper still is there
    "public.messages.author_user_id",
    "public.payments.recorded_by",
    "public.suppressions.lifted_by",
    "public.work_order_photos.taken_by",
    "public.instructions.given_by",
    "public.support_requests.decided_by",
    "public.support_requests.ended_by",
    "public.breach_notices.told_by",
    "public.breach_notices.acknowledged_by",
    "public.provider_accounts.secret_id",  # a row of the platform's vault
)
GRANTS_TO_ANON = (
    *("private.garage_id()", "private.pre_request()", "private.refuse(text,text,text,integer)"),
    # What a visitor of the website may call, and behind each the function that does it.
    *("website.privacy_policy(text,text)", "private.read_policy(text,text)"),
    "website.submit_request(text,text,text,text,text,text,text)",
    "private.submit_request(text,text,text,text,text,text,text)",
    *("website.has_consent(uuid,text)", "private.has_consent(uuid,text,timestamp with time zone)"),
    *("website.give_consent(uuid,text,text,text)", "private.give_consent(uuid,text,text,text)"),
    *("website.withdraw_consent(uuid,text)", "private.withdraw_consent(uuid,text)"),
    *("website.record_page_view(text,uuid,text)", "private.record_page_view(text,uuid,text)"),
    *("website.report_error(text,text,text,text)", "private.report_error(text,text,text,text)"),
)

API_ROLES = "('anon', 'authenticated', 'portal', 'service_role')"
SERVICE_ROLES = "('worker', 'edge')"
HELPER = r"private\.(garage_id_for\(''[a-z_]+\.[a-z]+''::text\) AS garage_id_for|"
HELPER += r"portal_garage_id\((''[a-z_]+''::text)?\) AS portal_garage_id)"
CLASS = r"^(public|internal|secret|personal\([a-z]+; subject=(customer|staff|visitor); "
CLASS += r"on_erasure=(erase|anonymise|keep:[a-z_]+)\))(: .+)?$"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


# What the rules speak of: `ours` are all tables, `parts` the partitions of some (with rules of their own),
# `tenant` those of a garage, with the column that says so.
WORDS = f"""
with ours as (
    select c.oid::regclass::text as name, n.nspname, c.*
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'portal', 'website', 'private', 'audit') and c.relkind in ('r', 'p')
       and not c.relispartition
), parts as (
    select c.oid::regclass::text as name, c.* from pg_class c
     where c.relispartition and c.relkind in ('r', 'p')
       and c.relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
), tenant as (
    select o.*, case o.name when 'public.garages' then 'id' else 'garage_id' end as tenant_column
      from ours o where o.name not in ({_listed(GLOBAL_TABLES)}) and o.nspname <> 'website'
), routines as (
    select p.oid::regprocedure::text as name, p.* from pg_proc p
     where p.pronamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
), privileges as (
    select 'table ' || c.oid::regclass::text as name, c.relkind, acl.grantee, acl.privilege_type
      from pg_class c cross join aclexplode(c.relacl) acl
     where c.relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
    union all
    select 'column ' || a.attrelid::regclass::text || '.' || a.attname, 'c', acl.grantee, acl.privilege_type
      from pg_attribute a join pg_class c on c.oid = a.attrelid cross join aclexplode(a.attacl) acl
     where c.relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
), policies as (
    select p.polrelid::regclass::text as name, p.*,
           pg_get_expr(p.polqual, p.polrelid) as reads, pg_get_expr(p.polwithcheck, p.polrelid) as writes
      from pg_policy p join pg_class c on c.oid = p.polrelid
     where c.relnamespace::regnamespace::text
           in ('public', 'portal', 'website', 'private', 'audit', 'storage')
)
"""


@dataclass(frozen=True)
class Rule:
    """A rule, the query for what breaks it, a statement that breaks it, and the requirements it shows."""

    fact: str
    breaches: str
    breaking: str
    shows: tuple[str, ...] = ("D1", "S2")

    def broken_by(self, connection: Connection) -> list[str]:
        """What breaks the rule in this database."""
        connection.execute("set local search_path = pg_catalog")
        rows = connection.execute((WORDS + self.breaches).encode()).fetchall()
        return [" ".join(str(value) for value in row.values()) for row in rows]


TABLES = (
    Rule(
        "every table has and forces row-level security",
        "select name from ours where not (relrowsecurity and relforcerowsecurity)",
        "alter table public.vehicles no force row level security",
    ),
    Rule(
        "every table belongs to a garage unless it is listed as global",
        """select name from tenant where not exists (select from pg_attribute a
            where a.attrelid = tenant.oid and a.attname = tenant_column and a.attnotnull)""",
        "create table private.notes (id int)",
    ),
    Rule(
        "every tenant table has the floor in exactly the house shape",
        """select name from tenant where (select count(*) from policies p where p.polrelid = tenant.oid
              and p.polname = 'tenant_floor' and not p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
              and p.reads = format('(%s = ( SELECT private.garage_id() AS garage_id))', tenant_column)
              and p.writes = p.reads) <> 1""",
        "alter policy tenant_floor on public.vehicles to authenticated",
    ),
    Rule(
        "nothing of the website belongs to a garage",
        """select o.name, a.attname from ours o join pg_attribute a on a.attrelid = o.oid
            where o.nspname = 'website' and a.attnum > 0 and a.attname ~ '(garage|customer)'
            union all select k.conrelid::regclass::text, k.conname from pg_constraint k
              join ours o on o.oid = k.conrelid join ours p on p.oid = k.confrelid
            where k.contype = 'f' and o.nspname = 'website'
              and p.nspname <> 'website' and p.name <> 'private.operators'""",
        "alter table website.requests add column garage_id uuid references public.garages (id)",
        ("W1",),
    ),
    Rule(
        "every table of the website has the operators' floor in exactly the house shape",
        """select name from ours where nspname = 'website' and (select count(*) from policies p
            where p.polrelid = ours.oid and p.polname = 'operator_floor' and not p.polpermissive
              and p.polcmd = '*' and p.polroles = '{0}' and p.writes = p.reads
              and p.reads = '( SELECT private.is_operator() AS is_operator)') <> 1""",
        "drop policy operator_floor on website.requests",
        ("W1",),
    ),
    Rule(
        "a partition is closed to everybody by itself",
        """select name from parts where not (relrowsecurity and relforcerowsecurity)
            union all select name from parts join pg_policy p on p.polrelid = parts.oid
            union all select name from parts cross join aclexplode(relacl) acl
             where acl.grantee <> relowner""",
        "grant select on audit.entries_default to authenticated",
    ),
    Rule(
        "a partition has the guards of its table that a statement naming it would pass by",
        """select p.name, t.tgname from parts p join pg_inherits i on i.inhrelid = p.oid
              join pg_trigger t on t.tgrelid = i.inhparent and t.tgname ~ '^_9' and t.tgtype & 1 = 0
            where not exists (select from pg_trigger own
                where own.tgrelid = p.oid and own.tgname = t.tgname and own.tgenabled = 'A')""",
        "drop trigger _900_append_only on audit.entries_default",
        ("D11",),
    ),
    Rule(
        "files have the floor, too",
        """select 'storage.objects' where not exists (select from policies p
            where p.name = 'storage.objects' and p.polname = 'tenant_floor' and not p.polpermissive
              and p.polcmd = '*' and p.polroles = '{0}' and p.writes = p.reads and p.reads =
                '(split_part(name, ''/''::text, 1) = (( SELECT private.garage_id() AS garage_id))::text)')""",
        "drop policy tenant_floor on storage.objects",
    ),
    Rule(
        "private channels have the floor, too",
        """select 'realtime.messages' where not exists (select from pg_policy p
            where p.polrelid = 'realtime.messages'::regclass and p.polname = 'tenant_floor'
              and not p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
              and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid)
              and pg_get_expr(p.polqual, p.polrelid) like
                '(split_part((%realtime.topic()%), '':''::text, 2) = ((%private.garage_id()%))::text)')""",
        "drop policy tenant_floor on realtime.messages",
    ),
    Rule(
        "every tenant table has an index that starts with the garage",
        """select name from tenant where not exists (select from pg_index i
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = tenant.oid and a.attname = tenant_column
              and i.indisvalid and i.indpred is null)""",
        "drop index audit.entries_garage_row_idx, audit.entries_garage_occurred_at_idx, audit.entries_id_idx",
    ),
    Rule(
        "a foreign key between tables of a garage holds the garage on both sides",
        """select k.conname from pg_constraint k join tenant child on child.oid = k.conrelid
             join tenant parent on parent.oid = k.confrelid
            where k.contype = 'f' and not exists (
                select from unnest(k.conkey, k.confkey) as pair (near, far)
                  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.near
                  join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.far
                 where a.attname = child.tenant_column and b.attname = parent.tenant_column)""",
        "alter table public.messages add constraint loose foreign key (conversation_id)"
        " references public.conversations (id)",
    ),
    Rule(
        "what points at a row has a foreign key",
        f"""select o.name || '.' || a.attname from tenant o join pg_attribute a on a.attrelid = o.oid
            where a.attnum > 0 and (a.attname = 'logo_sha256' or
                  (a.attname ~ '_(id|by|to)$' and a.atttypid = 'uuid'::regtype))
              and o.name || '.' || a.attname not in ({_listed(NOT_KEYS)})
              and not exists (select from pg_constraint k
                where k.conrelid = o.oid and k.contype = 'f' and a.attnum = any (k.conkey)
                  and a.attnum = (select max(n) from unnest(k.conkey) n
                       where n <> all (select g.attnum from pg_attribute g
                         where g.attrelid = o.oid and g.attname = tenant_column))
                  union all select from pg_constraint k
                where a.attname = tenant_column and k.conrelid = o.oid and k.contype = 'f')""",
        "alter table public.messages drop constraint messages_garage_id_conversation_id_fkey",
    ),
    Rule(
        "every foreign key has an index that starts with its columns",
        """select k.conrelid::regclass, k.conname from pg_constraint k join ours o on o.oid = k.conrelid
            where k.contype = 'f' and not exists (select from pg_index i
                where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
                  and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)""",
        "drop index public.invoices_vehicle_idx",
        (),
    ),
    Rule(
        "every column's comment begins with its data class",
        rf"""select o.name, a.attname from ours o join pg_attribute a on a.attrelid = o.oid
            where a.attnum > 0 and not a.attisdropped
              and coalesce(col_description(o.oid, a.attnum), '') !~ '{CLASS}'""",
        "alter table public.vehicles add column colour text",
        (),
    ),
    Rule(
        "every table's comment names its controller and its retention rule",
        r"""select name from ours where coalesce(obj_description(oid), '')
              !~ '^controller=(garage|autexor); retention=[^.;]+(; on_erasure=delete)?\. .+'""",
        "comment on table public.vehicles is 'Vehicles'",
        (),
    ),
    Rule(
        "no column could hold biometric data",
        f"""select o.name || '.' || a.attname from ours o join pg_attribute a on a.attrelid = o.oid
            where a.attnum > 0
              and a.attname ~* '(biometr|(^|_)(finger|face|facial|iris|retina|palm|voice|touch_?id))'
              and o.name || '.' || a.attname not in ({_listed(NOT_BIOMETRIC)})""",
        "alter table public.portal_devices add column face_template bytea",
        ("P7",),
    ),
    Rule(
        "nothing is published that a role can read and cannot name",
        """select p.schemaname || '.' || p.tablename, r.role from pg_publication_tables p,
                unnest(array['anon', 'authenticated', 'portal', 'service_role']) as r (role)
            where p.pubname = 'supabase_realtime'
              and has_any_column_privilege(r.role, format('%I.%I', p.schemaname, p.tablename), 'select')
              and not has_schema_privilege(r.role, p.schemaname, 'usage')""",
        "alter publication supabase_realtime add table public.messages",
    ),
    Rule(
        "no bucket is public",
        "select id from storage.buckets where public",
        "update storage.buckets set public = true",
        ("S3",),
    ),
)
POLICIES = (
    Rule(
        "a permissive policy is for one command and one role, and an update has a check",
        """select name, polname from policies where polname !~ '^restriction(_insert|_delete)?$'
            and polname <> case when name like 'website.%' then 'operator_floor' else 'tenant_floor' end
            and (not polpermissive or polcmd = '*' or cardinality(polroles) <> 1 or polroles = '{0}'
                 or (polcmd = 'w' and writes is distinct from reads))""",
        "create policy update_all on public.vehicles for update to authenticated using (false)",
    ),
    Rule(
        "a permissive policy compares the garage with one scalar sub-select",
        rf"""select name, polname from policies p, unnest(array[reads, writes]) as shape
            where polname not in ('tenant_floor', 'restriction') and name !~ '^(storage|website)[.]'
              and shape is not null
              and (shape !~ '^\(?\((garage_id|id) = \( SELECT {HELPER}\)\)( AND .*)?\)?$'
                   or shape ~ ' OR ')""",
        "create policy select_all on public.vehicles for select to authenticated using (true)",
    ),
    Rule(
        "a permissive policy of the website is for operators and reads only",
        """select name, polname from policies where polname <> 'operator_floor' and name like 'website.%'
            and (polcmd <> 'r' or reads is distinct from
                 '(( SELECT private.operator_id() AS operator_id) IS NOT NULL)')""",
        "create policy select_all on website.requests for select to authenticated using (true)",
        ("W1",),
    ),
    Rule(
        "what leads to a person has the third lock and its guards",
        """select t from private.restrictable_tables() t, private.restriction_key(t) k
            where (select count(*) from policies p where p.polrelid = t and p.polname = 'restriction'
                     and not p.polpermissive and p.polcmd = 'r' and p.writes is null
                     and p.polroles = array['authenticated'::regrole::oid] and p.reads = format(
                        '((%s = ANY (( SELECT private.hidden_ids(%L::text) AS hidden_ids)::uuid[]))'
                        ' IS NOT TRUE)',
                        k.key, k.parent)) <> 1
               or 3 <> (select count(*) from pg_trigger g join pg_proc f on f.oid = g.tgfoid
                         where g.tgrelid = t and g.tgname ~ '^_700_restricted_' and f.prosrc =
                            private.restriction_guard_body(t, split_part(g.tgname, '_', 4)))""",
        "drop policy restriction on public.messages",
        ("G3", "D1"),
    ),
    Rule(
        "files are hidden with a restricted customer's rows, and neither put nor removed",
        """select verb from unnest(array['r', 'a', 'd']) verb
            where not exists (select from policies p
                where p.name = 'storage.objects' and p.polcmd = verb and not p.polpermissive
                  and coalesce(p.reads, p.writes) ~ case verb when 'r' then 'hidden_files\\(false\\)'
                      else 'hidden_files\\(true\\)' end)""",
        "drop policy restriction_delete on storage.objects",
        ("G3", "S3"),
    ),
    Rule(
        "no policy reads claims by itself",
        """select name, polname from policies
            where concat(reads, writes) ~ '(current_setting|metadata|jwt)'""",
        "create policy select_all on public.vehicles for select to authenticated using"
        " (garage_id::text = current_setting('request.jwt.claims'))",
    ),
    Rule(
        "policies are explained",
        """select name, polname from policies where name not like 'storage.%'
            and obj_description(oid, 'pg_policy') is null""",
        "comment on policy tenant_floor on public.vehicles is null",
        (),
    ),
)
FUNCTIONS = (
    Rule(
        "no function in an exposed schema runs with its owner's rights",
        """select name from routines
            where prosecdef and pronamespace::regnamespace::text in ('public', 'portal', 'website')""",
        "alter function public.issue_invoice security definer",
    ),
    Rule(
        "every function fixes its search path",
        """select name from routines
            where not coalesce(proconfig @> array['search_path=pg_catalog, pg_temp'], false)""",
        "alter function private.has_module reset search_path",
    ),
    Rule(
        "what runs with its owner's rights is owned by a role that row-level security does not stop",
        """select r.name from routines r join pg_roles o on o.oid = r.proowner
            where r.prosecdef and not o.rolbypassrls
            union all select t.name from tenant t join pg_roles o on o.oid = t.relowner
            where not o.rolbypassrls""",
        "grant worker to postgres; grant create on schema private to worker;"
        " alter function private.has_module owner to worker",
    ),
    Rule(
        "views ask with the rights of who looks",
        """select oid::regclass from pg_class
            where relnamespace::regnamespace::text in ('public', 'portal', 'website', 'private', 'audit')
              and (relkind = 'm' or (relkind = 'v' and not coalesce(
                   reloptions && array['security_invoker=on', 'security_invoker=true'], false)))""",
        "alter view portal.invoices reset (security_invoker)",
    ),
    Rule(
        "views and calls of an exposed schema are explained",
        """select name from routines where pronamespace::regnamespace::text in ('public', 'portal', 'website')
              and obj_description(oid, 'pg_proc') is null
            union all select oid::regclass::text from pg_class
            where relkind = 'v' and obj_description(oid) is null
              and relnamespace::regnamespace::text in ('public', 'portal', 'website')""",
        "comment on view portal.invoices is null",
        (),
    ),
)
GRANTS = (
    Rule(
        "anon and everybody have no grant on any table, view or sequence",
        "select name from privileges where grantee = 0 or grantee = 'anon'::regrole",
        "grant select (id) on public.garages to anon",
    ),
    Rule(
        "anon and everybody may execute only what every request needs",
        f"""select name from routines cross join aclexplode(coalesce(proacl, acldefault('f', proowner))) acl
            where (acl.grantee = 0 or acl.grantee = 'anon'::regrole)
              and name not in ({_listed(GRANTS_TO_ANON)})""",
        "grant execute on function private.has_module to public",
    ),
    Rule(
        "customers may write no table",
        """select name, privilege_type from privileges
            where grantee = 'portal'::regrole and privilege_type <> 'SELECT'""",
        "grant insert (body) on public.messages to portal",
    ),
    Rule(
        "customers cannot name anything in schema public",
        "select 'public' where has_schema_privilege('portal', 'public', 'usage')",
        "grant usage on schema public to portal",
    ),
    Rule(
        "worker and edge touch no table",
        f"""select name from privileges where grantee::regrole::text in {SERVICE_ROLES}""",
        "grant select on public.invoices to worker",
    ),
    Rule(
        "operators' service key opens no table but the doorbell",
        """select name from privileges where grantee = 'service_role'::regrole
            and (name, privilege_type) <> ('table private.wakeups', 'SELECT')""",
        "grant select on public.invoices to service_role",
    ),
    Rule(
        "nobody may truncate, reference or put triggers",
        f"""select name from privileges where grantee::regrole::text in {API_ROLES}
            and privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')""",
        "grant truncate on public.vehicles to authenticated",
    ),
    Rule(
        "nobody can name the queue's schema",
        f"""select rolname from pg_roles
            where (rolname in {API_ROLES} or rolname in {SERVICE_ROLES})
              and has_schema_privilege(rolname, 'pgmq', 'usage')""",
        "grant usage on schema pgmq to worker",
    ),
    Rule(
        "our roles can do nothing but what is granted to them",
        """select rolname from pg_roles where rolname in ('portal', 'worker', 'edge')
              and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)""",
        "alter role worker createdb",
    ),
)
TRIGGERS = (
    Rule(
        "every tenant table in public is audited on every verb",
        """select name, verb from tenant, unnest(array['insert', 'update', 'delete', 'truncate']) as verb
            where nspname = 'public' and not exists (select from pg_trigger t
                where t.tgrelid = tenant.oid and t.tgname = '_800_audit_' || verb)""",
        "drop trigger _800_audit_update on public.vehicles",
        ("D11",),
    ),
    Rule(
        "an audit trigger is as its table's comments say today",
        """select t.tgrelid::regclass from pg_trigger t join pg_proc p on p.oid = t.tgfoid
            where t.tgname ~ '^_800_audit_'
              and p.prosrc is distinct from private.audit_function_body(t.tgrelid)""",
        "comment on column public.vehicles.make is 'secret'",
        ("D11",),
    ),
    Rule(
        "freeze, append-only and audit triggers fire whatever a session says",
        """select t.tgrelid::regclass, t.tgname from pg_trigger t
            where t.tgname ~ '^_(8|9)[0-9]{2}_' and t.tgenabled <> 'A'""",
        "alter table public.invoices disable trigger _900_freeze",
        ("D7", "D11"),
    ),
    Rule(
        "no trigger is off",
        """select o.name, t.tgname from pg_trigger t join ours o on o.oid = t.tgrelid
            where not t.tgisinternal and t.tgenabled not in ('O', 'A')""",
        "alter table public.invoices disable trigger _050_require_permission",
        ("D7", "D11"),
    ),
    Rule(
        "triggers carry their firing order",
        """select o.name, t.tgname from pg_trigger t join ours o on o.oid = t.tgrelid
            where not t.tgisinternal and t.tgname !~ '^_[0-9]{3}_[a-z_]+$'""",
        "alter trigger _200_validate on public.vehicles rename to validate",
        (),
    ),
)
RULES = (*TABLES, *POLICIES, *FUNCTIONS, *GRANTS, *TRIGGERS)
