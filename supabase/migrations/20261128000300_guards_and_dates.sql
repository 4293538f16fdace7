-- Two questions that can now be asked by themselves: which guard of what must never change is gone or
-- asleep, and which date it was at a garage at some moment.

create function private.broken_guards()
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
               ('public.work_order_events', '_900_append_only'),
               ('audit.entries', '_900_append_only'), ('audit.access_entries', '_900_append_only')
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
comment on function private.broken_guards is
    'Triggers that keep issued invoices, payments and history as they were, or write history, and are missing or do not always fire; an empty answer is good. Whoever owns the tables can drop them: this is where it shows';

create function private.date_at(garage_id uuid, moment timestamptz)
returns date
language sql
stable
security definer -- asked for callers who may not read the settings
set search_path = pg_catalog, pg_temp
as $$
    select (moment at time zone g.time_zone)::date
      from public.garages g where g.id = date_at.garage_id;
$$;
comment on function private.date_at is 'The date it is at a garage at this moment';

create or replace function private.today_at(garage_id uuid)
returns date
language sql
stable
security definer -- asked for callers who may not read the settings
set search_path = pg_catalog, pg_temp
as $$
    select private.date_at(today_at.garage_id, now());
$$;
