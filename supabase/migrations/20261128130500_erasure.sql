-- Erasing a person: a plan row by row, shown first; then exactly that plan in one transaction, and the
-- files by a worker. What is frozen opens only for it, only while it runs, only where the map says so.

create table private.erasing (
    garage_id uuid not null references public.garages (id),
    xid xid8 not null default pg_current_xact_id(),
    as_of timestamptz not null,
    kind text not null,
    primary key (garage_id, xid),
    constraint erasing_kind check (kind in ('erasure', 'retention', 'rectification'))
);
alter table private.erasing enable row level security;
alter table private.erasing force row level security;
comment on table private.erasing is
    'controller=garage; retention=until the erasure ends. Erasures under way, each in its own transaction: what frozen tables make their exception for';
comment on column private.erasing.garage_id is 'internal';
comment on column private.erasing.xid is 'internal';
comment on column private.erasing.as_of is 'internal: the moment that it takes for now';
comment on column private.erasing.kind is
    'internal: retention takes rows whose time has come, the others do what a person asked for';

create function private.erasure_under_way()
returns private.erasing
language plpgsql
stable
security definer -- erasures under way are closed to who meets a frozen row
set search_path = pg_catalog, pg_temp
as $$
declare
    found private.erasing;
begin
    select * into found from private.erasing e
     where e.xid = pg_current_xact_id_if_assigned() and e.kind in ('erasure', 'retention')
     limit 1;
    return found;
end $$;
comment on function private.erasure_under_way is
    'The erasure that this very transaction carries out; else null';
grant execute on function private.erasure_under_way to authenticated, service_role;

create function private.is_erasable_change(target regclass, old_row jsonb, new_row jsonb)
returns boolean
language sql
stable
security definer -- the map is closed to who meets a frozen row
set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from jsonb_each(new_row) n
         where n.value is distinct from old_row -> n.key and n.key not in ('updated_at', 'revision')
           and not exists ( -- a generated column is not there yet
               select from pg_attribute a
                where a.attrelid = target and a.attname = n.key and a.attgenerated <> '')
           and not exists (
               select from private.data_map m
                where m.relation = target and m.column_name = n.key and m.class = 'personal'
                  and m.subject = 'customer' and m.on_erasure in ('erase', 'anonymise')));
$$;
comment on function private.is_erasable_change is
    'Does a change touch nothing but columns that the map says are erased?';

create or replace function private.tg_invoices__freeze()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    erasure private.erasing;
begin
    if tg_op <> 'TRUNCATE' and old.issued_at is not null then
        erasure := private.erasure_under_way();
    end if;
    if erasure.garage_id = old.garage_id then -- nested: who is refused may not call what is asked here
        if tg_op = 'UPDATE'
            and private.is_erasable_change(tg_relid, to_jsonb(old), to_jsonb(new)) then
            return new;
        elsif tg_op = 'DELETE' and erasure.kind = 'retention'
            and private.invoice_kept_until(old.garage_id, old.issue_date) <= erasure.as_of::date then
            return old;
        end if;
    end if;
    if tg_op = 'TRUNCATE' or old.issued_at is not null then
        perform private.refuse('invoice_is_issued', 'An issued invoice can no longer change',
            'Correct it with a credit note', 409);
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;

create or replace function private.tg__freeze_with_invoice()
returns trigger
language plpgsql
security definer -- locks the invoice, which needs more than the caller's column grants
set search_path = pg_catalog, pg_temp
as $$
declare
    issued timestamptz;
    erasure private.erasing;
begin
    if tg_op = 'TRUNCATE' then
        perform private.refuse('invoice_is_issued', 'An issued invoice can no longer change',
            'Correct it with a credit note', 409);
    end if;
    if tg_op <> 'INSERT' then
        select i.issued_at into issued from public.invoices i
            where i.garage_id = old.garage_id and i.id = old.invoice_id for key share;
    end if;
    if issued is null and tg_op <> 'DELETE' then
        select i.issued_at into issued from public.invoices i
            where i.garage_id = new.garage_id and i.id = new.invoice_id for key share;
    end if;
    if issued is not null and tg_op = 'DELETE' then
        erasure := private.erasure_under_way();
        if erasure.garage_id = old.garage_id and erasure.kind = 'retention' and exists (
            select from public.invoices i
             where i.garage_id = old.garage_id and i.id = old.invoice_id
               and private.invoice_kept_until(i.garage_id, i.issue_date) <= erasure.as_of::date) then
            return old;
        end if;
    end if;
    if issued is not null then
        perform private.refuse('invoice_is_issued', 'An issued invoice can no longer change',
            'Correct it with a credit note', 409);
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;

create or replace function private.tg__append_only()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Rows of a table that is about persons go with them; history itself never does.
    if tg_table_schema = 'public' and tg_op <> 'TRUNCATE'
        and (private.erasure_under_way()).xid is not null then
        return null;
    end if;
    perform private.refuse('history_is_append_only', 'History can be added to, never changed',
        'Write a new entry that corrects the old one', 409);
    return null;
end $$;

create or replace function private.tg__freeze_with_work_order()
returns trigger
language plpgsql
security definer -- locks the work order, which needs more than the caller's column grants
set search_path = pg_catalog, pg_temp
as $$
declare
    parent record;
begin
    for parent in
        select w.status, w.garage_id from public.work_orders w
         where (tg_op <> 'INSERT' and w.garage_id = old.garage_id and w.id = old.work_order_id)
            or (tg_op <> 'DELETE' and w.garage_id = new.garage_id and w.id = new.work_order_id)
           for key share
    loop
        if parent.status in ('invoiced', 'cancelled') and (tg_op = 'INSERT'
            or (private.erasure_under_way()).garage_id is distinct from parent.garage_id
            or (tg_op = 'UPDATE'
                and not private.is_erasable_change(tg_relid, to_jsonb(old), to_jsonb(new)))) then
            perform private.refuse('work_order_is_closed',
                format('This work order is %s and can no longer change', parent.status),
                'Discard its draft invoice, or plan it anew', 409);
        end if;
    end loop;
    return case tg_op when 'DELETE' then old else new end;
end $$;

create or replace function private.tg_work_orders__validate()
returns trigger
language plpgsql
security definer -- numbers come from a table that members do not write, and colleagues may be hidden
set search_path = pg_catalog, pg_temp
as $$
declare
    -- A generated column is not there yet.
    moving text[] := '{reference,status,invoice_id,revision,updated_at}';
begin
    if new.assigned_to is distinct from old.assigned_to and exists (
        select from public.memberships m where m.garage_id = new.garage_id
            and m.id = new.assigned_to and m.deactivated_at is not null) then
        perform private.refuse('member_not_active', 'This colleague no longer works here',
            'Choose another', 409);
    end if;
    if tg_op = 'INSERT' then
        if new.status not in ('estimate', 'planned', 'in_progress') then
            perform private.refuse('status_change_not_allowed',
                'A new work order is an estimate, planned or in progress', 'Choose one of these', 409);
        end if;
        new.year := extract(year from private.today_at(new.garage_id));
        return new;
    end if;
    if new.invoice_id is null and old.invoice_id is not null then
        new.status := 'ready';
        new.revision := old.revision + 1;
    end if;
    if exists (select from public.customers c where c.garage_id = old.garage_id
        and c.id = old.customer_id and c.merged_into_id = new.customer_id) then
        moving := moving || 'customer_id'::text;
    end if;
    if new.status <> old.status
        and new.status <> all (private.next_work_order_statuses(old.status)) then
        perform private.refuse('status_change_not_allowed',
            format('A work order that is %s cannot become %s', old.status, new.status),
            'From here it may become: '
                || array_to_string(private.next_work_order_statuses(old.status), ', '), 409);
    elsif old.status in ('invoiced', 'cancelled')
        and to_jsonb(new) - moving <> to_jsonb(old) - moving
        and not (coalesce((private.erasure_under_way()).garage_id = old.garage_id, false)
            and private.is_erasable_change(tg_relid, to_jsonb(old) - moving, to_jsonb(new) - moving))
    then
        perform private.refuse('work_order_is_closed',
            format('This work order is %s and can no longer change', old.status),
            'Discard its draft invoice, or plan it anew', 409);
    end if;
    return new;
end $$;

create or replace function private.tg_work_order_photos__count()
returns trigger
language plpgsql
security definer -- the row it locks and the files it looks for are not the member's to lock and see
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'DELETE' then
        -- An erasure has asked for the file to be removed.
        if (private.erasure_under_way()).garage_id is distinct from old.garage_id and exists (
            select from storage.objects o
             where o.bucket_id = 'work_order_photos' and o.name = old.storage_path) then
            perform private.refuse('photo_file_exists', 'The file of this photo is still there',
                'Remove the file first', 409);
        end if;
        return old;
    end if;
    -- Two at once would both count 29.
    perform from public.work_orders w
     where w.garage_id = new.garage_id and w.id = new.work_order_id for no key update;
    if 30 <= (select count(*) from public.work_order_photos p
               where p.garage_id = new.garage_id and p.work_order_id = new.work_order_id) then
        perform private.refuse('too_many_photos', 'A work order has at most 30 photos',
            'Remove one first', 409);
    end if;
    return new;
end $$;

-- Files go through Storage, which SQL may not do: a row asks for it, a worker does it.
create table private.file_removals (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    request_id uuid,
    bucket text not null,
    path text not null,
    status text not null default 'queued',
    attempt int not null default 0,
    attempt_limit int not null default 20,
    last_error text,
    claimed_at timestamptz,
    removed_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, bucket, path),
    constraint file_removals_request_fkey foreign key (garage_id, request_id)
        references public.rights_requests (garage_id, id),
    constraint file_removals_status check (status in ('queued', 'removing', 'removed', 'failed'))
);
alter table private.file_removals enable row level security;
alter table private.file_removals force row level security;
comment on table private.file_removals is
    'controller=garage; retention=1 year. Files that a worker is to remove, or has removed: the row that named them is gone';
comment on column private.file_removals.id is 'internal';
comment on column private.file_removals.garage_id is 'internal';
comment on column private.file_removals.request_id is
    'internal: the request it is part of; null when its time had come';
comment on column private.file_removals.bucket is 'internal';
comment on column private.file_removals.path is 'internal: ids alone';
comment on column private.file_removals.status is 'internal';
comment on column private.file_removals.attempt is 'internal: raised by each claim, never reset';
comment on column private.file_removals.attempt_limit is 'internal: raised when the erasure is repeated, and each day after it failed';
comment on column private.file_removals.last_error is 'internal';
comment on column private.file_removals.claimed_at is 'internal';
comment on column private.file_removals.removed_at is 'internal';
comment on column private.file_removals.created_at is 'internal';
create index file_removals_request_idx on private.file_removals (garage_id, request_id);
select pgmq.create('erase');
create trigger _500_enqueue after insert on private.file_removals
    for each row execute function private.tg__enqueue('erase');

create function private.empty_value(target regclass, column_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when m.on_erasure = 'anonymise'
            then format('case when r.%I is null then null else %L end', m.column_name, '[erased]')
        when not a.attnotnull then 'null'
        when d.adbin is not null and pg_get_expr(d.adbin, d.adrelid) ~ '^''[^'']*''::[a-z ]+$'
            then pg_get_expr(d.adbin, d.adrelid)
        when choice.first is not null then quote_literal(choice.first)
        when a.atttypid = 'text'::regtype then quote_literal('[erased]')
        end
      from private.data_map m
      join pg_attribute a on a.attrelid = m.relation and a.attnum = m.attnum
      left join pg_attrdef d on d.adrelid = m.relation and d.adnum = m.attnum
      left join lateral (
        select (regexp_match(pg_get_constraintdef(k.oid), '= ANY \(ARRAY\[''([^'']+)'))[1] as first
          from pg_constraint k
         where k.conrelid = m.relation and k.contype = 'c' and k.conkey = array[m.attnum]
         order by 1 nulls last limit 1) choice on true
     where m.relation = target and m.column_name = empty_value.column_name;
$$;
comment on function private.empty_value is
    'What a personal column of a row r becomes on erasure; null when there is no honest way to empty it, so that the row goes';

create function private.erasure_columns(target regclass, wanted text[],
    out columns text[], out assignments text, out changed text, out is_hopeless boolean)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(m.column_name order by m.attnum), '{}'),
           string_agg(format('%I = %s', m.column_name, v.value), ', ' order by m.attnum),
           string_agg(format('r.%I is distinct from %s', m.column_name, v.value), ' or ' order by m.attnum),
           coalesce(bool_or(v.value is null), false)
      from private.data_map m
      join pg_attribute a on a.attrelid = m.relation and a.attnum = m.attnum and a.attgenerated = ''
     cross join lateral (select private.empty_value(m.relation, m.column_name) as value) v
     where m.relation = target and m.class = 'personal' and m.subject = 'customer'
       and m.on_erasure = any (wanted);
$$;

create function private.derived_erasure()
returns table (relation regclass, table_name text, keys text, condition text, deletes text, empties text,
    assignments text, columns text[], keeps text, until text, kept text[], reason text)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    target record;
    gone record;
    held record;
    is_due text;
begin
    for target in
        select t.table_name::regclass as relation, t.*
          from private.compiled_tables() t
         where t.condition is not null
         order by t.depth desc, t.table_name
    loop
        keys := (select format('concat_ws(''/'', %s)', string_agg(format('r.%I', k), ', '))
                   from unnest(private.primary_key(target.relation)) k where k <> 'garage_id');
        relation := target.relation;
        table_name := target.table_name;
        condition := target.condition;
        deletes := null; empties := null; assignments := null; keeps := null; until := null;
        kept := null; reason := null;
        columns := null;
        if target.is_deleted_on_erasure then
            deletes := 'true';
            return next;
            continue;
        end if;
        select * into gone from private.erasure_columns(relation, array['erase', 'anonymise']);
        select * into held from private.erasure_columns(relation, array['keep']);
        columns := gone.columns;
        assignments := gone.assignments;
        empties := gone.changed;
        if cardinality(held.columns) > 0 or target.retention = 'invoice' then
            select private.kept_until(relation, r.rule, target.retention, target.processing), r.reason
              into until, reason
              from private.retention_rules r
             where r.rule = coalesce((
                select m.rule from private.data_map m
                 where m.relation = target.relation and m.subject = 'customer' and m.rule is not null
                 order by m.attnum limit 1), 'invoice');
            kept := held.columns;
            keeps := format('%s > $3::date', until);
            is_due := format('coalesce(%s <= $3::date, true)', until);
            if table_name like 'audit.%' then
                keeps := 'true'; -- history ends with its own retention, and in no other way
                empties := null;
            elsif held.is_hopeless then
                deletes := is_due;
            elsif cardinality(held.columns) > 0 then
                columns := gone.columns || held.columns;
                assignments := concat_ws(', ', gone.assignments, (
                    select string_agg(format('%1$I = case when %2$s then %3$s else %1$I end', k, is_due,
                               private.empty_value(target.relation, k)), ', ')
                      from unnest(held.columns) k));
                empties := concat_ws(' or ', gone.changed,
                    format('(%s and (%s))', is_due, held.changed));
            end if;
        end if;
        if num_nonnulls(deletes, empties, keeps) > 0 then
            return next;
        end if;
    end loop;
end $$;
comment on function private.derived_erasure is
    'What an erasure does to each table, children first, as conditions and assignments on a row r; $1 garage, $2 customer ids, $3 now';

create function private.erasure_steps()
returns table (table_name text, keys text, condition text, deletes text, empties text,
    assignments text, columns text[], keeps text, until text, kept text[], reason text)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select s.* from rows from (jsonb_to_recordset(private.compiled_steps('erasure')) as (
        table_name text, keys text, condition text, deletes text, empties text, assignments text,
        columns text[], keeps text, until text, kept text[], reason text)) s;
$$;

create function private.erasure_plan(garage_id uuid, customers uuid[], as_of timestamptz)
returns table (table_name text, row_id text, action text, columns text[], until date, reason text)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    step record;
begin
    for step in select * from private.erasure_steps() loop
        if step.deletes is not null then
            return query execute format(
                'select %L, %s, ''erase'', array[]::text[], null::date, ''Nothing without the person'' '
                'from %s r where (%s) and %s', step.table_name, step.keys, step.table_name, step.condition,
                step.deletes) using garage_id, customers, as_of;
        end if;
        if step.empties is not null then
            return query execute format(
                'select %L, %s, ''empty'', %L::text[], null::date, ''The rest of the row says nothing about the person'' '
                'from %s r where (%s) and (%s) and not coalesce(%s, false)', step.table_name, step.keys, step.columns,
                step.table_name, step.condition, step.empties, coalesce(step.deletes, 'false'))
                using garage_id, customers, as_of;
        end if;
        if step.keeps is not null then
            return query execute format(
                'select %L, %s, ''keep'', %L::text[], %s, %L from %s r where (%s) and %s',
                step.table_name, step.keys, step.kept, step.until, step.reason, step.table_name,
                step.condition, step.keeps) using garage_id, customers, as_of;
        end if;
    end loop;
    return query
    select f.table_name, f.bucket || '/' || f.path, case when s.deletes = 'true' then 'erase' else 'keep' end,
           array['file'], null::date, case when s.deletes = 'true' then 'Goes with its row' else 'Stays with its row' end
      from private.export_files(erasure_plan.garage_id, customers) f
      join private.erasure_steps() s on s.table_name = f.table_name;
end $$;
comment on function private.erasure_plan is
    'What an erasure will do, row by row: erase it, empty columns of it, or keep it until a date, and why';

create function private.plan_summary(garage_id uuid, customers uuid[], as_of timestamptz,
    out sha256 text, out counts jsonb, out steps jsonb)
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with plan as materialized (
        select p.* from private.erasure_plan(plan_summary.garage_id, customers, as_of) p
    ), counted as (
        select p.table_name, jsonb_object_agg(p.action, p.n) as per_action
          from (select table_name, action, count(*) as n from plan group by 1, 2) p group by 1
    )
    select (select encode(sha256(convert_to(coalesce(string_agg(concat_ws('|', p.table_name, p.row_id,
                       p.action, p.columns::text, p.until::text), E'\n'
                       order by p.table_name, p.row_id, p.action), ''), 'UTF8')), 'hex') from plan p),
           (select coalesce(jsonb_object_agg(c.table_name, c.per_action), '{}') from counted c),
           (select coalesce(jsonb_agg(to_jsonb(p) order by p.table_name, p.action, p.row_id), '[]')
              from plan p);
$$;

create function private.delete_rows(target text, rows_condition text, garage_id uuid,
    customers uuid[], as_of timestamptz, request_id uuid)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    known record;
    child record;
    pointing text;
    deleted bigint;
begin
    select * into known from private.compiled_tables() t where t.table_name = target;
    if known.bucket is not null then
        execute format(
            'insert into private.file_removals (garage_id, request_id, bucket, path) '
            'select r.garage_id, $4, %L, r.storage_path from %s r '
            '  join storage.objects o on o.bucket_id = %L and o.name = r.storage_path where %s '
            'on conflict on constraint file_removals_garage_id_bucket_path_key do nothing',
            known.bucket, target, known.bucket, rows_condition)
            using garage_id, customers, as_of, request_id;
    end if;
    -- What still points at these rows is not about the person (it would be gone): it lets go, or goes.
    for child in select * from jsonb_to_recordset(known.children) as c (relation text,
                     is_personal boolean, is_required boolean, near text[], far text[], emptied text[])
    loop
        pointing := format('(%s) in (select %s from %s r where %s)',
            (select string_agg(format('c.%I', n), ', ') from unnest(child.near) n),
            (select string_agg(format('r.%I', f), ', ') from unnest(child.far) f),
            target, rows_condition);
        if child.is_personal and not child.is_required then
            execute format('update %s c set %s where %s', child.relation,
                (select string_agg(format('%I = null', n), ', ') from unnest(child.emptied) n),
                pointing) using garage_id, customers, as_of;
        else
            execute format('delete from %s c where %s', child.relation, pointing)
                using garage_id, customers, as_of;
        end if;
    end loop;
    execute format('delete from %s r where %s', target, rows_condition)
        using garage_id, customers, as_of;
    get diagnostics deleted = row_count;
    return deleted;
end $$;
comment on function private.delete_rows is
    'Deletes rows r of a table with their files, and what hangs from them; $1 garage, $2 customer ids, $3 now';

create function private.stop_messages(garage_id uuid, customers uuid[], reason text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.communications c set status = 'failed', last_error = stop_messages.reason
     where c.garage_id = stop_messages.garage_id and c.customer_id = any (customers)
       and c.status = 'queued';
    update public.push_notifications p set status = 'failed', last_error = stop_messages.reason
     where p.garage_id = stop_messages.garage_id and p.status = 'queued' and p.push_device_id in (
        select d.id from public.push_devices d
          join public.portal_devices o on o.garage_id = d.garage_id and o.id = d.portal_device_id
          join public.portal_accounts a on a.garage_id = o.garage_id and a.id = o.account_id
         where a.garage_id = stop_messages.garage_id and a.customer_id = any (customers));
$$;
comment on function private.stop_messages is 'What waits to be sent to a customer is not sent any more';

create function private.erase_customer(garage_id uuid, customers uuid[], as_of timestamptz,
    request_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    step record;
begin
    insert into private.erasing (garage_id, as_of, kind)
    values (erase_customer.garage_id, erase_customer.as_of, 'erasure');
    for step in select * from private.erasure_steps() loop
        if step.deletes is not null then
            perform private.delete_rows(step.table_name,
                format('(%s) and %s', step.condition, step.deletes), garage_id, customers, as_of,
                request_id);
        end if;
        if step.empties is not null then
            execute format('update %s r set %s where (%s) and (%s)', step.table_name, step.assignments,
                step.condition, step.empties) using garage_id, customers, as_of;
        end if;
    end loop;
    update public.customers c set archived_at = now()
     where c.garage_id = erase_customer.garage_id and c.id = any (customers)
       and c.archived_at is null;
    delete from private.erasing e where e.garage_id = erase_customer.garage_id
        and e.xid = pg_current_xact_id();
end $$;
comment on function private.erase_customer is
    'Carries out the plan in this transaction; the files are removed by a worker afterwards';

create function private.erasable_request(request_id uuid)
returns public.rights_requests
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.execute',
        array['verified', 'executing'], array['erasure']);
begin
    perform from public.customers c
     where c.garage_id = request.garage_id
       and c.id = any (private.customer_ids(request.garage_id, request.customer_id)) for update;
    return request;
end $$;

create function private.plan_erasure(request_id uuid)
returns jsonb
language plpgsql
volatile
security definer -- looks at all tables of the garage, as the map says, for a request that was verified
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.erasable_request(request_id);
    plan record;
begin
    select * into plan from private.plan_summary(request.garage_id,
        private.customer_ids(request.garage_id, request.customer_id), now());
    return jsonb_build_object('request_id', request.id, 'sha256', plan.sha256, 'counts', plan.counts,
        'steps', plan.steps, 'providers', (
            select coalesce(jsonb_agg(distinct jsonb_build_object('provider', c.provider, 'messages', n)), '[]')
              from (select provider, count(*) as n from public.communications m
                     where m.garage_id = request.garage_id and m.provider is not null
                       and m.customer_id = any (private.customer_ids(request.garage_id, request.customer_id))
                     group by provider) c));
end $$;

create function private.execute_erasure(request_id uuid, plan_sha256 text)
returns public.rights_requests
language plpgsql
volatile
security definer -- erases in all tables of the garage, as the map says, for a request that was verified
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.erasable_request(request_id);
    customers uuid[] := private.customer_ids(request.garage_id, request.customer_id);
    plan record;
begin
    if exists (select from public.legal_holds h
                where h.garage_id = request.garage_id and h.customer_id = any (customers)
                  and h.lifted_at is null) then
        perform private.refuse('under_legal_hold', 'A legal hold keeps what there is of this customer',
            'Lift it first, or refuse the request and say why (art. 17.3.e GDPR)', 409);
    elsif exists (select from public.communications c
                   where c.garage_id = request.garage_id and c.customer_id = any (customers)
                     and c.status = 'sending') then
        perform private.refuse('delivery_under_way', 'A message to this customer is being sent right now',
            'Try again in a minute', 409);
    end if;
    select * into plan from private.plan_summary(request.garage_id, customers, now());
    if request.status = 'verified' and plan.sha256 is distinct from plan_sha256 then
        perform private.refuse('plan_changed', 'This is not the plan as it is now',
            'Look at the plan again, and execute that one', 409);
    end if;
    perform private.stop_messages(request.garage_id, customers, 'erased');
    perform private.erase_customer(request.garage_id, customers, now(), request.id);
    update private.file_removals f set status = 'queued', attempt_limit = f.attempt + 20
     where f.garage_id = request.garage_id and f.request_id = request.id and f.status = 'failed';
    if found then
        perform private.enqueue('erase', f.id) from private.file_removals f
          where f.garage_id = request.garage_id and f.request_id = request.id and f.status = 'queued';
    end if;
    update public.rights_requests r
       set status = 'executing', finished_by = private.my_membership(),
           evidence = r.evidence || case request.status when 'executing' then '{}'
               else jsonb_build_object('erasure', jsonb_build_object('at', now(), 'by', private.actor(),
                   'plan_sha256', plan.sha256, 'counts', plan.counts)) end
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    return private.settle_erasure(request);
end $$;

create function private.settle_erasure(request public.rights_requests)
returns public.rights_requests
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if request.status <> 'executing' or exists (
        select from private.file_removals f
         where f.garage_id = request.garage_id and f.request_id = request.id
           and f.status <> 'removed') then
        return request;
    end if;
    return private.finish_rights_request(request, jsonb_build_object('files_removed', (
        select count(*) from private.file_removals f
         where f.garage_id = request.garage_id and f.request_id = request.id)));
end $$;
comment on function private.settle_erasure is
    'An erasure is done when the last of its files is removed';

create function public.erasure_plan(request_id uuid)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
set statement_timeout = '60s' -- PostgREST applies it to the whole request
begin atomic
    select private.plan_erasure(erasure_plan.request_id);
end;
comment on function public.erasure_plan is
    'What erasing the person would do, row by row: erase, empty, or keep until a date and why; execute it with its hash';

create function public.execute_erasure(request_id uuid, plan_sha256 text default null)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
set statement_timeout = '60s' -- PostgREST applies it to the whole request
begin atomic
    select r.* from private.execute_erasure(execute_erasure.request_id,
        execute_erasure.plan_sha256) r;
end;
comment on function public.execute_erasure is
    'Erases a person by the plan with this hash, all at once; files follow. Repeated, it takes up what was left';
grant execute on function private.plan_erasure, private.execute_erasure, public.erasure_plan,
    public.execute_erasure to authenticated;

-- The worker's side.
create function private.removal_job(removal_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    removal private.file_removals;
begin
    update private.file_removals f
       set attempt = f.attempt + 1, claimed_at = clock_timestamp(),
           status = case when f.attempt >= f.attempt_limit then 'failed' else 'removing' end
     where f.id = removal_id and f.status in ('queued', 'removing')
    returning * into removal;
    return case removal.status when 'removing' then jsonb_build_object(
        'kind', 'remove_file', 'subject_id', removal.id, 'garage_id', removal.garage_id,
        'attempt', removal.attempt, 'bucket', removal.bucket, 'path', removal.path) end;
end $$;

create function private.finish_removal(id uuid, attempt int, outcome text, reason text)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    removal private.file_removals;
begin
    update private.file_removals f
       set status = case finish_removal.outcome when 'done' then 'removed' when 'retry' then 'queued'
               else 'failed' end,
           last_error = finish_removal.reason,
           removed_at = case finish_removal.outcome when 'done' then clock_timestamp() end
     where f.id = finish_removal.id and f.attempt = finish_removal.attempt and f.status = 'removing'
    returning * into removal;
    perform private.settle_erasure(r) from public.rights_requests r
      where r.garage_id = removal.garage_id and r.id = removal.request_id
        for update;
    return removal.status;
end $$;

create function private.retry_removals()
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    removal uuid;
    amount int := 0;
begin
    for removal in
        update private.file_removals f set status = 'queued', attempt_limit = f.attempt + 20
         where f.status = 'failed' and coalesce(f.claimed_at, f.created_at) < now() - interval '1 day'
        returning f.id
    loop
        perform private.enqueue('erase', removal);
        amount := amount + 1;
    end loop;
    return jsonb_build_object('removals_again', amount);
end $$;
comment on function private.retry_removals is
    'Files whose removal failed a day ago are tried anew: a file that stays is data that stays';
