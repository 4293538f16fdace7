-- History by month: both logs become partitioned tables under their old names, with the rows, ids and guards
-- they had. Months are made ahead and dropped when their time is over; what no month awaits falls into a
-- default, so that a garage never stops because housekeeping did. Nothing is granted on a month itself.

set local lock_timeout = '5s';

alter table audit.entries rename to landed_entries;
alter sequence audit.entries_id_seq rename to landed_entries_id_seq;
alter table audit.landed_entries rename constraint entries_pkey to landed_entries_pkey;
alter index audit.entries_garage_row_idx rename to landed_entries_garage_row_idx;
alter index audit.entries_garage_occurred_at_idx rename to landed_entries_garage_occurred_at_idx;
alter table audit.access_entries rename to landed_access_entries;
alter sequence audit.access_entries_id_seq rename to landed_access_entries_id_seq;
alter table audit.landed_access_entries
    rename constraint access_entries_pkey to landed_access_entries_pkey;
alter index audit.access_entries_garage_idx rename to landed_access_entries_garage_idx;
alter index audit.access_entries_subject_idx rename to landed_access_entries_subject_idx;

create table audit.entries (
    id bigint not null generated always as identity,
    garage_id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    occurred_at timestamptz not null default now(),
    table_name text not null,
    row_id text not null,
    op text not null constraint entries_op_check check (op in ('I', 'U', 'D', 'T')),
    actor text not null,
    changed text[] not null,
    changes jsonb not null,
    -- By transaction first: that is the order of sealing, and it only ever grows at one end.
    constraint entries_pkey primary key (xid, id, occurred_at)
) partition by range (occurred_at);
alter table audit.entries enable row level security;
alter table audit.entries force row level security;
comment on table audit.entries is
    'controller=garage; retention=10 years. Who did what to which row, and which columns changed; values only of columns that are not personal or secret. By month; a month goes ten years after its calendar year, as invoices do';
comment on column audit.entries.id is 'internal';
comment on column audit.entries.garage_id is 'internal';
comment on column audit.entries.xid is
    'internal: transaction, so that what belongs together can be seen together';
comment on column audit.entries.occurred_at is 'internal';
comment on column audit.entries.table_name is 'internal';
comment on column audit.entries.row_id is 'internal';
comment on column audit.entries.op is 'internal: insert, update, delete, truncate';
comment on column audit.entries.actor is
    'personal(account; subject=staff; on_erasure=keep:audit): kind of actor, and its id';
comment on column audit.entries.changed is 'internal: names of the changed columns';
comment on column audit.entries.changes is
    'internal: old and new value of the open ones among them';
create index entries_garage_row_idx on audit.entries (garage_id, table_name, row_id);
create index entries_garage_occurred_at_idx on audit.entries (garage_id, occurred_at desc);
create index entries_id_idx on audit.entries using brin (id); -- rows lie in the order of their ids

create table audit.access_entries (
    id bigint not null generated always as identity,
    garage_id uuid not null
        constraint access_entries_garage_id_fkey references public.garages (id),
    occurred_at timestamptz not null default clock_timestamp(),
    event text not null
        constraint access_entries_event_check check (event ~ '^[a-z]+(_[a-z]+)*$'),
    actor text not null,
    subject_id uuid,
    session_id uuid,
    client_ip inet,
    user_agent text,
    constraint access_entries_pkey primary key (id, occurred_at)
) partition by range (occurred_at);
alter table audit.access_entries enable row level security;
alter table audit.access_entries force row level security;
comment on table audit.access_entries is
    'controller=garage; retention=1 year. Who looked at what: sign-ins, cards of customers, documents, exports, support. By month; a month goes a year after its end';
comment on column audit.access_entries.id is 'internal';
comment on column audit.access_entries.garage_id is 'internal';
comment on column audit.access_entries.occurred_at is 'internal';
comment on column audit.access_entries.event is 'internal';
comment on column audit.access_entries.actor is
    'personal(account; subject=customer; on_erasure=keep:audit)';
comment on column audit.access_entries.subject_id is
    'internal: the invoice, customer, document or grant it is about';
comment on column audit.access_entries.session_id is 'internal';
comment on column audit.access_entries.client_ip is
    'personal(usage; subject=customer; on_erasure=keep:audit)';
comment on column audit.access_entries.user_agent is
    'personal(usage; subject=customer; on_erasure=keep:audit)';
create index access_entries_garage_idx on audit.access_entries (garage_id, occurred_at desc);
create index access_entries_subject_idx on audit.access_entries (garage_id, subject_id);

create trigger _900_append_only before update or delete or truncate on audit.entries
    for each statement execute function private.tg__append_only();
create trigger _900_append_only before update or delete or truncate on audit.access_entries
    for each statement execute function private.tg__append_only();
alter table audit.entries enable always trigger _900_append_only;
alter table audit.access_entries enable always trigger _900_append_only;

create function private.months_of(parent regclass)
returns table (name text, month date)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select i.inhrelid::regclass::text,
           to_date(substring(c.relname from '_(\d{4}_\d\d)$'), 'YYYY_MM')
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = parent
     order by 2;
$$;
comment on function private.months_of is
    'The partitions of a log and the month each is for; null for the default';

create function private.guard_partition(partition text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('alter table %s enable row level security', partition);
    execute format('alter table %s force row level security', partition);
    execute format('create trigger _900_append_only before update or delete or truncate on %s '
        'for each statement execute function private.tg__append_only()', partition);
    execute format('alter table %s enable always trigger _900_append_only', partition);
end $$;
comment on function private.guard_partition is
    'A statement that names a partition passes by the guards of the whole: each has its own, and nothing is granted on it';

create function private.add_default_partition(parent regclass)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('create table %1$s_default partition of %1$s default', parent);
    perform private.guard_partition(parent || '_default');
end $$;
comment on function private.add_default_partition is
    'Where rows go that no month awaits';

create function private.add_month(parent regclass, month date)
returns int
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    partition text := parent || to_char(month, '_YYYY_MM');
    kind text := (select a.atttypid::regtype from pg_attribute a
                   where a.attrelid = parent and a.attnum = (select p.partattrs[0]
                       from pg_partitioned_table p where p.partrelid = parent));
begin
    if to_regclass(partition) is not null then
        return 0;
    end if;
    -- Attached, not created in place: that would wait for everybody who reads or writes the whole.
    execute format('create table %s (like %s including defaults including constraints '
        'including comments)', partition, parent);
    execute format('comment on table %s is %L', partition, obj_description(parent, 'pg_class'));
    perform private.guard_partition(partition);
    execute format('alter table %s attach partition %s for values from (%L) to (%L)', parent,
        partition, month || case kind when 'date' then '' else ' 00:00:00+00' end,
        (month + interval '1 month')::date || case kind when 'date' then '' else ' 00:00:00+00' end);
    return 1;
end $$;
comment on function private.add_month is
    'Makes the partition of a month (in UTC) unless it is there; how many it made';

create function private.empty_default_partition(parent regclass)
returns int
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    spare text := parent || '_default';
    column_name name := (select a.attname from pg_attribute a
                          where a.attrelid = parent and a.attnum = (select p.partattrs[0]
                              from pg_partitioned_table p where p.partrelid = parent));
    columns text := (select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
                       from pg_attribute a
                      where a.attrelid = parent and a.attnum > 0 and not a.attisdropped);
    has_rows boolean;
    month date;
    made int := 0;
begin
    execute format('select exists (select from %s)', spare) into has_rows;
    if not has_rows then
        return 0;
    end if;
    execute format('alter table %s detach partition %s', parent, spare);
    execute format('alter table %s rename to %I', spare, split_part(spare, '.', 2) || '_before');
    for month in execute format(
        'select distinct date_trunc(''month'', %I, ''UTC'')::date from %s_before', column_name,
        spare) loop
        made := made + private.add_month(parent, month);
    end loop;
    execute format('insert into %1$s (%2$s) overriding system value select %2$s from %3$s_before',
        parent, columns, spare);
    execute format('drop table %s_before', spare);
    perform private.add_default_partition(parent);
    return made;
end $$;
comment on function private.empty_default_partition is
    'Moves what fell into the default into months of its own; how many it made. Waits for those who write the log';

select private.add_default_partition('audit.entries'),
       private.add_default_partition('audit.access_entries');
do $$
declare
    month date;
begin
    for month in
        select generate_series(date_trunc('month', least(now(),
                   (select min(e.occurred_at) from audit.landed_entries e),
                   (select min(a.occurred_at) from audit.landed_access_entries a)), 'UTC'),
               now() + interval '6 months', '1 month')::date
    loop
        perform private.add_month('audit.entries', month),
                private.add_month('audit.access_entries', month);
    end loop;
end $$;

insert into audit.entries (id, garage_id, xid, occurred_at, table_name, row_id, op, actor, changed,
    changes)
overriding system value
select id, garage_id, xid, occurred_at, table_name, row_id, op, actor, changed, changes
  from audit.landed_entries order by id;
insert into audit.access_entries (id, garage_id, occurred_at, event, actor, subject_id, session_id,
    client_ip, user_agent)
overriding system value
select id, garage_id, occurred_at, event, actor, subject_id, session_id, client_ip, user_agent
  from audit.landed_access_entries order by id;
-- No id is given twice, not even one that was rolled back.
select setval('audit.entries_id_seq', last_value, is_called) from audit.landed_entries_id_seq;
select setval('audit.access_entries_id_seq', last_value, is_called)
  from audit.landed_access_entries_id_seq;

create or replace view public.audit_entries with (security_invoker = on) as
    select e.id, e.garage_id, e.occurred_at, e.table_name, e.row_id, e.op, e.actor, e.changed,
        e.changes
      from audit.entries e;
create or replace view public.access_entries with (security_invoker = on) as
    select e.id, e.garage_id, e.occurred_at, e.event, e.actor, e.subject_id, e.session_id,
        e.client_ip, e.user_agent
      from audit.access_entries e;
comment on view public.access_entries is
    'Who looked at what in the garage: sign-ins, cards of customers, documents, exports, support';
drop table audit.landed_entries, audit.landed_access_entries;

create or replace function private.broken_guards()
returns table (table_name text, trigger_name text, problem text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with guards (table_name, trigger_name) as (
        values ('public.invoices', '_900_freeze'), ('public.invoices', '_900_freeze_truncate'),
               ('public.invoice_lines', '_900_freeze'),
               ('public.invoice_lines', '_900_freeze_truncate'),
               ('public.invoice_vat_totals', '_900_freeze'),
               ('public.invoice_vat_totals', '_900_freeze_truncate'),
               ('public.payments', '_900_append_only'),
               ('public.work_order_events', '_900_append_only')
        union all
        -- History is append-only whatever it is about, and so is each of its months.
        select c.oid::regclass::text, '_900_append_only'
          from pg_class c
         where c.relnamespace = 'audit'::regnamespace and c.relkind in ('r', 'p')
           and c.oid <> to_regclass('audit.chains')
           and c.oid is distinct from to_regclass('audit.client_errors') -- counts, not history
        union all
        select c.oid::regclass::text, '_800_audit_' || verb
          from pg_class c, unnest(array['insert', 'update', 'delete', 'truncate']) verb
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        union
        select t.tgrelid::regclass::text, t.tgname::text from pg_trigger t
         where t.tgname ~ '^_[89][0-9]{2}_' and t.tgparentid = 0
    )
    select g.table_name, g.trigger_name,
           case when t.oid is null then 'missing' else 'disabled' end
      from guards g
      left join pg_trigger t
        on t.tgrelid = to_regclass(g.table_name) and t.tgname = g.trigger_name
     where t.tgenabled is distinct from 'A'
     order by 1, 2;
$$;
