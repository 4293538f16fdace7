-- What has been kept long enough goes: by the tables' own words, a garage at a time, children first, and
-- never what is held, restricted or still pointed at. A dry run does it all and takes it back.

create table public.retention_runs (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    as_of timestamptz not null,
    actor text not null,
    counts jsonb not null,
    failure text,
    created_at timestamptz not null default now(),
    unique (garage_id, id)
);
alter table public.retention_runs enable row level security;
alter table public.retention_runs force row level security;
comment on table public.retention_runs is
    'controller=garage; retention=3 years. What went because its time had come: tables and numbers of rows';
comment on column public.retention_runs.id is 'internal';
comment on column public.retention_runs.garage_id is 'internal';
comment on column public.retention_runs.as_of is 'internal: the moment taken for now';
comment on column public.retention_runs.actor is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column public.retention_runs.counts is 'internal';
comment on column public.retention_runs.failure is
    'internal: the SQLSTATE that stopped it, so that nothing went; null when it was carried out';
comment on column public.retention_runs.created_at is 'internal';
create index retention_runs_garage_idx on public.retention_runs (garage_id, created_at desc);

create function private.derived_retention()
returns table (relation regclass, table_name text, expired text, unreferenced text, subject text)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    target record;
    clock text;
    keep text;
    until text;
begin
    for target in
        select t.table_name::regclass as relation, t.*
          from private.compiled_tables() t
         where t.table_name not like 'audit.%'
           and (t.retention in ('garage policy', 'invoice') or t.retention ~ '^[0-9]')
         order by t.depth desc, t.table_name
    loop
        clock := private.clock_of(target.relation);
        keep := case when target.retention ~ '^[0-9]' then format('interval %L', target.retention)
            else format('private.keep_for($1, %L)', target.processing) end;
        until := case when target.retention = 'invoice' or exists (
                select from private.data_map m
                 where m.relation = target.relation and m.rule = 'invoice' and m.subject = 'customer')
            then private.kept_until(target.relation, 'invoice', target.retention, target.processing) end;
        relation := target.relation;
        table_name := target.table_name;
        subject := target.condition;
        expired := case
            when target.retention = 'invoice' and until is null then null -- counters: no person, no end
            when until is null then clock || format(' + %s <= $3', keep)
            when target.retention = 'invoice' then format('coalesce(%s <= $3::date, %s)', until,
                coalesce(clock || format(' + %s <= $3', keep), 'false'))
            else clock || format(' + %s <= $3 and coalesce(%s <= $3::date, true)', keep, until) end;
        -- What has no end yet says how things are, and goes with what it says it of. A person is not gone
        -- while something cannot be without them: who owns a car today goes after the car. Nor is a request
        -- done before the last of its files is removed.
        select coalesce(string_agg(format('not exists (select from %s c where %s%s)', child.relation,
                   child.pairs, coalesce(case when not child.is_holding
                       then ' and ' || child.clock || ' is not null' end, '')), ' and '), 'true')
          into unreferenced
          from (
            select k.conrelid::regclass as relation,
                   private.clock_of(k.conrelid, 'c') as clock,
                   k.conrelid = 'private.file_removals'::regclass
                       or k.confrelid = 'public.customers'::regclass and (
                           select bool_and(a.attnotnull) from unnest(k.conkey) n
                             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n)
                       as is_holding,
                   (select string_agg(format('c.%I = r.%I', a.attname, b.attname), ' and ')
                      from unnest(k.conkey, k.confkey) as pair (n, f)
                      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.n
                      join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.f) as pairs
              from pg_constraint k
             where k.contype = 'f' and k.confrelid = target.relation
               and k.confdeltype in ('a', 'r') and k.conparentid = 0
               and obj_description(k.conrelid, 'pg_class') !~ '; retention=(as the|until) '
             order by k.conname) child;
        if expired is not null then
            return next;
        end if;
    end loop;
end $$;
comment on function private.derived_retention is
    'What retention deletes of each table, children first, as conditions on a row r; $1 garage, $2 customers that are held, $3 now';

create function private.held_customers(garage_id uuid)
returns uuid[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(distinct s.id), '{}')
      from (
        select h.customer_id from public.legal_holds h
         where h.garage_id = held_customers.garage_id and h.lifted_at is null
        union
        select q.customer_id from public.rights_requests q
         where q.garage_id = held_customers.garage_id and q.status in ('received', 'verified')) held
     cross join lateral unnest(private.customer_ids(held_customers.garage_id, held.customer_id)) s (id);
$$;
comment on function private.held_customers is
    'Customers of whom nothing goes by itself: a legal hold, a restriction, or a request that is not answered yet';

create function private.retain(garage_id uuid, as_of timestamptz, steps jsonb, is_dry_run boolean)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    held uuid[] := private.held_customers(retain.garage_id);
    step record;
    deleted bigint;
    counts jsonb := '{}';
begin
    begin
        insert into private.erasing (garage_id, as_of, kind)
        values (retain.garage_id, retain.as_of, 'retention');
        for step in select * from jsonb_to_recordset(steps)
                        as s (table_name text, expired text, unreferenced text, subject text) loop
            deleted := private.delete_rows(step.table_name, concat_ws(' and ',
                'r.garage_id = $1', '(' || step.expired || ')', '(' || step.unreferenced || ')',
                case when cardinality(held) > 0
                    then 'coalesce(not (' || step.subject || '), true)' end),
                retain.garage_id, held, retain.as_of, null);
            if deleted > 0 then
                counts := counts || jsonb_build_object(step.table_name, deleted);
            end if;
        end loop;
        delete from private.erasing e where e.garage_id = retain.garage_id
            and e.xid = pg_current_xact_id();
        if is_dry_run then
            raise sqlstate 'DRY00';
        end if;
    exception when sqlstate 'DRY00' then
        null; -- all of it is taken back
    end;
    return counts;
end $$;

create function private.apply_retention(as_of timestamptz, is_dry_run boolean, garages uuid[])
returns table (garage_id uuid, counts jsonb)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    steps jsonb := private.compiled_steps('retention');
begin
    foreach garage_id in array garages loop
        counts := private.retain(garage_id, as_of, steps, is_dry_run);
        if not is_dry_run then
            insert into public.retention_runs (garage_id, as_of, actor, counts)
            values (apply_retention.garage_id, apply_retention.as_of, private.actor(),
                apply_retention.counts);
        end if;
        return next;
    end loop;
end $$;
comment on function private.apply_retention is
    'Deletes what these garages have kept long enough at that moment; how many rows per table. A dry run changes nothing';

create function private.apply_due_retention(as_of timestamptz, budget interval default '10 seconds')
returns int
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid;
    amount int := 0;
begin
    for garage in
        select g.id
          from public.garages g
         cross join lateral (select max(r.created_at) as last_run from public.retention_runs r
                              where r.garage_id = g.id) r
         where coalesce(r.last_run < now() - interval '23 hours', true)
         order by r.last_run nulls first, g.id
    loop
        begin
            amount := amount + (
                select coalesce(sum(n.value::int), 0)
                  from private.apply_retention(as_of, false, array[garage]) a, jsonb_each_text(a.counts) n);
        exception when query_canceled or others then -- out of time, too
            -- On record as a run, so that this garage waits a day and the others do not wait for it.
            insert into public.retention_runs (garage_id, as_of, actor, counts, failure)
            values (garage, apply_due_retention.as_of, private.actor(), '{}', sqlstate);
            raise warning 'retention of garage % failed with %', garage, sqlstate;
        end;
        exit when clock_timestamp() >= statement_timestamp() + budget; -- the next hour goes on from here
    end loop;
    return amount;
end $$;
comment on function private.apply_due_retention is
    'Retention of the garages whose last run is a day ago, the longest first, each by itself, while there is time; how many rows went';

create function private.run_retention(is_dry_run boolean)
returns jsonb
language plpgsql
volatile
security definer -- looks at all tables of the garage, as the map says
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('privacy.write');
begin
    return (select a.counts from private.apply_retention(now(), coalesce(is_dry_run, true),
        array[garage]) a);
end $$;
grant execute on function private.run_retention to authenticated;

create function public.run_retention(is_dry_run boolean default true)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
set statement_timeout = '60s' -- PostgREST applies it to the whole request
begin atomic
    select private.run_retention(run_retention.is_dry_run);
end;
comment on function public.run_retention is
    'What your garage has kept long enough, by table; unless it is a dry run it is deleted, as it is every day by itself';
grant execute on function public.run_retention to authenticated;

