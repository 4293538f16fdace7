-- Everything of one person, from the map: each table that leads to them, in the columns that are theirs
-- to see. Never secrets, never who of the staff did it, never what is somebody else's by now.

create function private.file_bucket(target regclass)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select (regexp_match(concat_ws(' ', col_description(a.attrelid, a.attnum),
               obj_description(a.attrelid, 'pg_class')), 'bucket "([a-z_]+)"'))[1]
      from pg_attribute a
     where a.attrelid = target and a.attname = 'storage_path' and not a.attisdropped;
$$;
comment on function private.file_bucket is
    'The bucket of the files that a table''s storage_path names, which its comments say; null without files';

create function private.primary_key(target regclass)
returns name[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(a.attname order by array_position(i.indkey::int2[], a.attnum))
      from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
     where i.indrelid = target and i.indisprimary;
$$;

create function private.export_query(target regclass, condition text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with parts as (
        select p.part, p.condition, p.columns from private.subject_paths p
         where p.table_name = target::text
        union all
        select 'all', export_query.condition, null
         where not exists (select from private.subject_paths p where p.table_name = target::text)
    )
    select string_agg(format('select jsonb_build_object(%s) as record, concat_ws(''/'', %s) as place from %s r where %s',
               fields.list, keys.list, target, replace(p.condition, '{r}', 'r')), ' union all '
               order by p.part)
      from parts p
     cross join lateral (
        select string_agg(format('%L, r.%I', m.column_name, m.column_name), ', ' order by m.attnum) as list
          from private.data_map m
         where m.relation = target and m.column_name <> 'garage_id'
           and (m.class in ('public', 'internal') or m.subject = 'customer')
           and m.atttypid not in ('bytea'::regtype, 'xid8'::regtype)
           and not exists (
               select from pg_constraint k
                where k.contype = 'f' and k.conrelid = target and m.attnum = any (k.conkey)
                  and k.confrelid in ('public.memberships'::regclass, 'auth.users'::regclass))
           and coalesce(m.column_name = any (p.columns), true)) fields
     cross join lateral (
        select string_agg(format('r.%I', k), ', ') as list
          from unnest(private.primary_key(target)) k where k <> 'garage_id') keys
     where p.condition is not null;
$$;
comment on function private.export_query is
    'A query for a person''s rows of a table as JSON, with what to order them by; $1 the garage, $2 the ids of the customer';

create function private.derived_tables()
returns table (table_name text, depth int, condition text, export text, bucket text, purpose text,
    retention text, processing text, is_deleted_on_erasure boolean, children jsonb)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive known as materialized (
        select * from private.table_map
    ), keys as materialized (
        select k.relation, p.* from known k cross join lateral private.parents(k.relation) p
    ), levels (relation, level) as (
        select k.relation, 0 from known k
        union
        select k.relation, l.level + 1 from levels l join keys k on k.parent = l.relation
         where l.level < 20
    )
    select t.table_name, (select max(l.level) from levels l where l.relation = t.relation), s.condition,
           case when s.condition is not null then private.export_query(t.relation, s.condition) end,
           private.file_bucket(t.relation), t.purpose, t.retention, t.processing,
           t.is_deleted_on_erasure, (
               select coalesce(jsonb_agg(jsonb_build_object('relation', c.table_name,
                          'is_personal', c.is_personal, 'is_required', k.is_required,
                          'near', k.near, 'far', k.far, 'emptied', (
                              select array_agg(n) from unnest(k.near) n
                                join pg_attribute a on a.attrelid = c.relation and a.attname = n
                               where not a.attnotnull)) order by k.key), '[]')
                 from keys k join known c on c.relation = k.relation
                where k.parent = t.relation and k.on_delete in ('a', 'r'))
      from known t
     cross join lateral (select private.subject_condition(t.relation) as condition) s
     where t.controller = 'garage';
$$;
comment on function private.derived_tables is
    'The tables of garages: which rows are a person''s, how they are exported, their files, and what points at them';

-- Deriving all that takes a second, so what was derived is kept until a comment, a key, a policy or a
-- declared path changes.
create table private.compiled_map (
    kind text primary key,
    state_md5 text not null,
    steps jsonb not null
);
alter table private.compiled_map enable row level security;
alter table private.compiled_map force row level security;
comment on table private.compiled_map is
    'controller=autexor; retention=none. What was derived from the map, and from which state of it';
comment on column private.compiled_map.kind is 'public';
comment on column private.compiled_map.state_md5 is 'public';
comment on column private.compiled_map.steps is 'public: names of tables and conditions on them';

create function private.map_fingerprint()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with ours as materialized (
        select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'private', 'audit', 'portal') and c.relkind in ('r', 'p'))
    select md5(concat_ws('|',
        (select string_agg(concat_ws(':', o.relname, d.objsubid, md5(d.description)), ','
                    order by o.oid, d.objsubid)
           from pg_description d join ours o on o.oid = d.objoid
          where d.classoid = 'pg_class'::regclass),
        (select string_agg(concat_ws(':', o.oid, a.attnum, a.attname, a.attnotnull), ','
                    order by o.oid, a.attnum)
           from pg_attribute a join ours o on o.oid = a.attrelid
          where a.attnum > 0 and not a.attisdropped),
        (select string_agg(concat_ws(':', k.oid, k.conname, k.confdeltype), ',' order by k.oid)
           from pg_constraint k join ours o on o.oid = k.conrelid where k.contype in ('f', 'c', 'p')),
        (select string_agg(md5(concat(p.polname, p.polqual::text)), ',' order by p.polrelid, p.polname)
           from pg_policy p join ours o on o.oid = p.polrelid
          where p.polcmd = 'r' and p.polpermissive),
        (select string_agg(md5(s::text), ',' order by s.table_name, s.part) from private.subject_paths s),
        (select string_agg(md5(p::text), ',' order by p.processing) from private.processings p)));
$$;

create function private.export_files(garage_id uuid, customers uuid[])
returns table (table_name text, bucket text, path text, byte_size bigint)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    holder record;
begin
    for holder in select * from private.compiled_tables() s
                   where s.condition is not null and s.bucket is not null order by s.table_name loop
        return query execute format(
            'select %L, o.bucket_id, o.name, (o.metadata ->> ''size'')::bigint '
            '  from %s r join storage.objects o on o.bucket_id = %L and o.name = r.storage_path '
            ' where %s order by o.name', holder.table_name, holder.table_name, holder.bucket,
            holder.condition) using garage_id, customers;
    end loop;
end $$;

create function private.compiled_steps(kind text)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    current text := private.map_fingerprint();
    found jsonb;
begin
    select m.steps -> 'steps' into found from private.compiled_map m
     where m.kind = compiled_steps.kind and m.state_md5 = current;
    if found is null then
        execute format('select coalesce(jsonb_agg(to_jsonb(s)), ''[]'') from private.derived_%s() s', kind)
            into found;
        insert into private.compiled_map as m (kind, state_md5, steps)
        values (compiled_steps.kind, current, jsonb_build_object('steps', found))
        on conflict on constraint compiled_map_pkey do update
            set state_md5 = excluded.state_md5, steps = excluded.steps;
    end if;
    return found;
end $$;
comment on function private.compiled_steps is
    'What private.derived_<kind>() says, from the last time if the map has not changed since';

create function private.compiled_tables()
returns table (table_name text, depth int, condition text, export text, bucket text, purpose text,
    retention text, processing text, is_deleted_on_erasure boolean, children jsonb)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select s.* from jsonb_to_recordset(private.compiled_steps('tables')) as s (table_name text,
        depth int, condition text, export text, bucket text, purpose text, retention text,
        processing text, is_deleted_on_erasure boolean, children jsonb);
$$;

create function private.exportable_request(request_id uuid)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select r.* from private.rights_request(request_id, 'rights.execute', array['verified'],
        array['access', 'portability', 'erasure']) r;
$$;

create function private.rights_export(request_id uuid)
returns jsonb
language plpgsql
volatile
security definer -- reads all tables of the garage, as the map says, for a request that was verified
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.exportable_request(request_id);
    customers uuid[] := private.customer_ids(request.garage_id, request.customer_id);
    found record;
    amount bigint;
    tables jsonb := '[]';
begin
    perform private.record_export(request.garage_id, request.customer_id);
    for found in
        select s.table_name, s.export as query, s.purpose, s.retention, s.processing
          from private.compiled_tables() s where s.condition is not null order by s.table_name loop
        execute format('select count(*) from (%s) q', found.query) into amount
            using request.garage_id, customers;
        if amount > 0 then
            tables := tables || jsonb_build_array(jsonb_build_object('table', found.table_name,
                'rows', amount, 'purpose', found.purpose, 'retention', found.retention,
                'processing', found.processing));
        end if;
    end loop;
    return jsonb_build_object(
        'request', jsonb_build_object('id', request.id, 'kind', request.kind,
            'received_at', request.received_at, 'due_on', request.due_on),
        'garage', (select jsonb_build_object('legal_name', g.legal_name, 'trade_name', g.trade_name,
                       'enterprise_number', g.enterprise_number, 'street', g.street,
                       'postal_code', g.postal_code, 'city', g.city, 'email', g.email,
                       'phone', g.phone)
                     from public.garages g where g.id = request.garage_id),
        'customer', (select jsonb_build_object('id', c.id, 'full_name', c.full_name,
                         'locale', c.locale)
                       from public.customers c
                      where c.garage_id = request.garage_id and c.id = request.customer_id),
        'tables', tables,
        'processings', (
            select jsonb_agg(jsonb_build_object('processing', p.processing,
                       'purpose', coalesce(b.purpose, p.purpose),
                       'basis', coalesce(b.basis, p.default_basis)) order by p.processing)
              from private.processings p
              left join public.legal_bases b
                on b.garage_id = request.garage_id and b.processing = p.processing),
        'recipients', (
            select jsonb_agg(jsonb_build_object('name', s.name, 'purpose', s.purpose,
                       'country', s.country) order by s.name)
              from private.subprocessors s
             where s.module is null or private.has_module(request.garage_id, s.module)),
        'files', (
            select coalesce(jsonb_agg(jsonb_build_object('table', f.table_name, 'bucket', f.bucket,
                       'path', f.path, 'byte_size', f.byte_size) order by f.bucket, f.path), '[]')
              from private.export_files(request.garage_id, customers) f));
end $$;

create function private.rights_export_rows(request_id uuid, table_name text, first_row int,
    max_rows int)
returns setof jsonb
language plpgsql
volatile
security definer -- reads all tables of the garage, as the map says, for a request that was verified
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.exportable_request(request_id);
    query text := (select s.export from private.compiled_tables() s
                    where s.table_name = rights_export_rows.table_name
                      and s.condition is not null);
begin
    if query is null then
        perform private.refuse('table_not_exportable', 'This table holds nothing about persons',
            'Take one that rights_export names', 404);
    end if;
    -- Rows are rows, whether or not one asked first what there are: in the log, once for all the pages.
    perform private.require_export_instruction(request.garage_id);
    perform private.log_look(request.garage_id, 'export_made', request.customer_id);
    return query execute format('select q.record from (%s) q order by q.place offset $3 limit $4',
        query)
        using request.garage_id, private.customer_ids(request.garage_id, request.customer_id),
            greatest(first_row, 0), least(greatest(max_rows, 1), 1000);
end $$;

create function private.finish_rights_export(request_id uuid, sha256 text, counts jsonb)
returns public.rights_requests
language plpgsql
volatile
security definer -- writes evidence, which is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.exportable_request(request_id);
    proof jsonb;
begin
    if coalesce(sha256, '') !~ '^[0-9a-f]{64}$' or coalesce(jsonb_typeof(counts), '') <> 'object'
        or length(counts::text) > 8000
        or exists (select from jsonb_each(counts) c where jsonb_typeof(c.value) <> 'number') then
        perform private.refuse('evidence_invalid', 'The evidence of an export is its hash, and numbers',
            'Send the SHA-256 of the archive in hex, and an object of counts');
    end if;
    proof := jsonb_build_object('export', jsonb_build_object('at', now(), 'by', private.actor(),
        'sha256', finish_rights_export.sha256, 'counts', counts));
    if request.kind <> 'erasure' then
        return private.finish_rights_request(request, proof);
    end if;
    update public.rights_requests r set evidence = r.evidence || proof
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    return request;
end $$;

create function public.rights_export(request_id uuid)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
set statement_timeout = '60s' -- PostgREST applies it to the whole request
begin atomic
    select private.rights_export(rights_export.request_id);
end;
comment on function public.rights_export is
    'What an export of the person will hold: tables with their number of rows, files, purposes, recipients. It is logged that it was made';

create function public.rights_export_rows(request_id uuid, table_name text, first_row int default 0,
    max_rows int default 500)
returns setof jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r from private.rights_export_rows(rights_export_rows.request_id,
        rights_export_rows.table_name, rights_export_rows.first_row, rights_export_rows.max_rows) r;
end;
comment on function public.rights_export_rows is
    'The person''s rows of one table, some at a time, in the columns that are theirs to see';

create function public.finish_rights_export(request_id uuid, sha256 text, counts jsonb)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.finish_rights_export(finish_rights_export.request_id,
        finish_rights_export.sha256, finish_rights_export.counts) r;
end;
comment on function public.finish_rights_export is
    'Keeps the evidence of an export: its hash and counts. A request for access or portability is done with it';
grant execute on function private.rights_export, private.rights_export_rows,
    private.finish_rights_export, public.rights_export, public.rights_export_rows,
    public.finish_rights_export to authenticated;
