-- History: a trigger per table, generated from the column comments, writes who changed what; reads of
-- sensitive things are written by the functions that allow them. Append-only for everybody.

create table audit.entries (
    id bigint primary key generated always as identity,
    garage_id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    occurred_at timestamptz not null default now(),
    table_name text not null,
    row_id text not null,
    op text not null check (op in ('I', 'U', 'D', 'T')),
    actor text not null,
    changed text[] not null,
    changes jsonb not null
);
alter table audit.entries enable row level security;
alter table audit.entries force row level security;
comment on table audit.entries is
    'controller=garage; retention=10 years. Who did what to which row, and which columns changed; values only of columns that are not personal or secret';
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

create table audit.access_entries (
    id bigint primary key generated always as identity,
    garage_id uuid not null references public.garages (id),
    occurred_at timestamptz not null default clock_timestamp(),
    event text not null
        check (event in ('login', 'login_failed', 'login_locked', 'logout', 'refresh_token_reused',
            'device_mismatch', 'document_link_issued')),
    actor text not null,
    subject_id uuid,
    session_id uuid,
    client_ip inet,
    user_agent text
);
alter table audit.access_entries enable row level security;
alter table audit.access_entries force row level security;
comment on table audit.access_entries is
    'controller=garage; retention=1 year. Who looked at what: sign-ins, and links to documents';
comment on column audit.access_entries.id is 'internal';
comment on column audit.access_entries.garage_id is 'internal';
comment on column audit.access_entries.occurred_at is 'internal';
comment on column audit.access_entries.event is 'internal';
comment on column audit.access_entries.actor is
    'personal(account; subject=customer; on_erasure=keep:audit)';
comment on column audit.access_entries.subject_id is 'internal: the invoice a link was for';
comment on column audit.access_entries.session_id is 'internal';
comment on column audit.access_entries.client_ip is
    'personal(usage; subject=customer; on_erasure=keep:audit)';
comment on column audit.access_entries.user_agent is
    'personal(usage; subject=customer; on_erasure=keep:audit)';
create index access_entries_garage_idx on audit.access_entries (garage_id, occurred_at desc);
create index access_entries_subject_idx on audit.access_entries (garage_id, subject_id);

create function private.actor()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    -- Only the API's own login speaks for others: a database user could set any claims.
    if session_user <> 'authenticator' then
        return session_user;
    end if;
    claims := current_setting('request.jwt.claims', true)::jsonb;
    return case claims ->> 'role'
        when 'authenticated' then 'staff:' || (claims ->> 'sub')
        when 'portal' then 'customer:' || (claims ->> 'sub')
        else coalesce(claims ->> 'role', 'anon')
    end;
end $$;
comment on function private.actor is
    'Who is doing this: staff:<user id>, customer:<portal account id>, or the database role that logged in';

create function private.tg__append_only()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.refuse('history_is_append_only', 'History can be added to, never changed',
        'Write a new entry that corrects the old one', 409);
    return null;
end $$;
create trigger _900_append_only before update or delete or truncate on audit.entries
    for each statement execute function private.tg__append_only();
create trigger _900_append_only before update or delete or truncate on audit.access_entries
    for each statement execute function private.tg__append_only();
alter table audit.entries enable always trigger _900_append_only;
alter table audit.access_entries enable always trigger _900_append_only;

create function private.audit_columns(target regclass)
returns table (name name, is_open boolean, is_key boolean, is_row_id boolean)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select a.attname,
           coalesce(col_description(a.attrelid, a.attnum), '') ~ '^(public|internal)\M'
               and a.atttypid <> 'bytea'::regtype,
           a.attnum = any (i.indkey),
           a.attnum = any (i.indkey) and (a.attname <> 'garage_id' or i.indnatts = 1)
      from pg_attribute a
      join pg_index i on i.indrelid = a.attrelid and i.indisprimary
     where a.attrelid = target and a.attnum > 0 and not a.attisdropped
       and a.attname <> 'updated_at' -- the entry has the time; touching a row changes nothing
     order by a.attnum;
$$;
comment on function private.audit_columns is
    'Columns of a table: may their values be written to the audit (their class says public or internal), are they its key, and which of the key names a row within its garage';

create function private.audit_function_body(target regclass)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format($body$
begin
    case tg_op
    when 'INSERT' then
        insert into audit.entries (garage_id, table_name, row_id, op, actor, changed, changes)
        select n.%2$I, %1$L, concat_ws('/', %3$s), 'I', private.actor(), '{}', '{}' from new_rows n;
    when 'UPDATE' then
        -- A full join on purpose: it shows a changed key, and its plan stays good when many rows change.
        insert into audit.entries (garage_id, table_name, row_id, op, actor, changed, changes)
        select d.garage_id, %1$L, d.row_id, 'U', private.actor(), string_to_array(d.names, ','),
               ('{' || d.diff || '}')::jsonb
          from (select coalesce(n.%2$I, o.%2$I) as garage_id, concat_ws('/', %4$s) as row_id,
                       concat_ws(',', %5$s) as names, concat_ws(',', %6$s) as diff
                  from old_rows o full join new_rows n on %7$s offset 0) d
         where d.names <> '';
    when 'DELETE' then
        insert into audit.entries (garage_id, table_name, row_id, op, actor, changed, changes)
        select o.%2$I, %1$L, concat_ws('/', %8$s), 'D', private.actor(), '{}',
               jsonb_strip_nulls(jsonb_build_object(%9$s)) from old_rows o;
    when 'TRUNCATE' then
        insert into audit.entries (garage_id, table_name, row_id, op, actor, changed, changes)
        values ('00000000-0000-0000-0000-000000000000', %1$L, '*', 'T', private.actor(), '{}',
            '{}');
    end case;
    return null;
end $body$,
        target::text,
        case when bool_or(name = 'garage_id') then 'garage_id' else 'id' end,
        string_agg(format('n.%I', name), ', ') filter (where is_row_id),
        string_agg(format('coalesce(n.%1$I, o.%1$I)', name), ', ') filter (where is_row_id),
        string_agg(format('case when o.%1$I is distinct from n.%1$I then %1$L end', name), ', '),
        string_agg(format(
            'case when o.%1$I is distinct from n.%1$I then %2$L || jsonb_build_array(o.%1$I, n.%1$I)::text end',
            name, '"' || name || '":'), ', ') filter (where is_open),
        string_agg(format('n.%1$I = o.%1$I', name), ' and ') filter (where is_key),
        string_agg(format('o.%I', name), ', ') filter (where is_row_id),
        string_agg(format('%1$L, o.%1$I', name), ', ') filter (where is_open))
      from private.audit_columns(target);
$$;

create procedure private.audit_table(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    function_name text := 'tg_' || split_part(target::text, '.', 2) || '__audit';
    op text;
begin
    execute format(
        'create or replace function private.%I() returns trigger language plpgsql '
        'security definer set search_path = pg_catalog, pg_temp as %L',
        function_name, private.audit_function_body(target));
    foreach op in array array['insert', 'update', 'delete', 'truncate'] loop
        execute format('create or replace trigger _800_audit_%1$s after %1$s on %2$s %3$s for each statement '
            'execute function private.%4$I()', op, target,
            case op when 'insert' then 'referencing new table as new_rows'
                    when 'update' then 'referencing old table as old_rows new table as new_rows'
                    when 'delete'
                        then 'referencing old table as old_rows' else '' end, function_name);
        execute format('alter table %s enable always trigger _800_audit_%s', target, op);
    end loop;
end $$;
comment on procedure private.audit_table is
    'Generates the audit trigger of a table from its column comments; call it again after changing either';

create view public.audit_entries with (security_invoker = on) as
    select e.id, e.garage_id, e.occurred_at, e.table_name, e.row_id, e.op, e.actor, e.changed,
        e.changes
      from audit.entries e;
comment on view public.audit_entries is
    'Who changed what in the garage; values only of columns that are not personal or secret';
create view public.access_entries with (security_invoker = on) as
    select e.id, e.garage_id, e.occurred_at, e.event, e.actor, e.subject_id, e.session_id,
        e.client_ip, e.user_agent
      from audit.access_entries e;
comment on view public.access_entries is
    'Who looked at what in the garage: sign-ins and links to documents';

create function private.trace_invoice(invoice_number text)
returns table (at timestamptz, source text, actor text, event text, detail jsonb)
language plpgsql
stable
security definer -- joins history, deliveries and access, each checked here
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('audit.read');
    invoice uuid := (select i.id from public.invoices i
                      where i.garage_id = private.require('invoices.read')
                        and i.invoice_number = trace_invoice.invoice_number);
begin
    if invoice is null then
        perform private.refuse('invoice_not_found', 'This invoice does not exist',
            'Look it up in the list', 404);
    end if;
    return query
    with subjects (table_name, row_id) as (
        select 'public.invoices', invoice::text
        union all select 'public.invoice_lines', l.id::text from public.invoice_lines l
            where l.garage_id = garage and l.invoice_id = invoice
        union all select e.table_name, e.row_id from audit.entries e
            where e.garage_id = garage and e.table_name = 'public.invoice_lines' and e.op = 'D'
                and e.changes ->> 'invoice_id' = invoice::text
        union all select 'public.invoice_documents', d.id::text from public.invoice_documents d
            where d.garage_id = garage and d.invoice_id = invoice
        union all select 'public.communications', c.id::text from public.communications c
            where c.garage_id = garage and c.invoice_id = invoice
        union all select 'public.push_notifications', p.id::text from public.push_notifications p
            where p.garage_id = garage and p.invoice_id = invoice
    ), story as (
        select e.occurred_at, 'audit' as source, e.actor,
               split_part(e.table_name, '.', 2) || ' ' ||
                   case e.op when 'I' then 'created' when 'U'
                       then 'changed' else 'deleted' end as event,
               jsonb_build_object('row_id', e.row_id, 'changed', e.changed, 'changes',
                   e.changes) as detail, e.id as place
          from audit.entries e join subjects s on s.table_name = e.table_name
              and s.row_id = e.row_id
         where e.garage_id = garage
        union all
        select a.finished_at, 'delivery', 'worker',
               case when a.document_id is not null then 'render' when a.communication_id is not null
                   then 'email' else 'push' end
                   || ' ' || a.outcome,
               jsonb_build_object('attempt', a.attempt, 'reason', a.reason, 'provider', a.provider,
                   'provider_message_id', a.provider_message_id, 'started_at', a.started_at), 0
          from public.delivery_attempts a
         where a.garage_id = garage and (
            a.document_id in (select d.id from public.invoice_documents d where d.garage_id = garage
                and d.invoice_id = invoice)
            or a.communication_id in (select c.id from public.communications c
                where c.garage_id = garage and c.invoice_id = invoice)
            or a.push_notification_id in (select p.id from public.push_notifications p
                where p.garage_id = garage and p.invoice_id = invoice))
        union all
        select x.occurred_at, 'access', x.actor, x.event,
               jsonb_build_object('session_id', x.session_id, 'client_ip', host(x.client_ip)), 0
          from audit.access_entries x where x.garage_id = garage and x.subject_id = invoice
    )
    select s.occurred_at, s.source, s.actor, s.event, s.detail from story s
        order by s.occurred_at, s.place;
end $$;
grant execute on function private.trace_invoice to authenticated;

create function public.trace_invoice(invoice_number text)
returns table (at timestamptz, source text, actor text, event text, detail jsonb)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select t.at, t.source, t.actor, t.event, t.detail
        from private.trace_invoice(trace_invoice.invoice_number) t;
end;
comment on function public.trace_invoice is
    'The whole story of an invoice in order of time: changes, attempts to render and send, and who opened it';
grant execute on function public.trace_invoice to authenticated;
