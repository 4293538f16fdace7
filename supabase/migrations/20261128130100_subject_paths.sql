-- From a table to a person: derived from foreign keys, and declared only where no key says it (a car
-- outlives its owner, history has no keys). Exports, erasures, holds and restrictions all ask this.

create table private.subject_paths (
    table_name text not null,
    part text not null default 'all',
    condition text not null,
    columns text[],
    is_erased boolean not null default true,
    why text not null,
    primary key (table_name, part)
);
alter table private.subject_paths enable row level security;
alter table private.subject_paths force row level security;
comment on table private.subject_paths is
    'controller=autexor; retention=none. Which rows of a table are about a person where no foreign key says so';
comment on column private.subject_paths.table_name is 'public';
comment on column private.subject_paths.part is 'public';
comment on column private.subject_paths.condition is
    'public: on a row {r}; $1 is the garage, $2 the ids of the customer';
comment on column private.subject_paths.columns is
    'public: what of these rows is the person''s to see; null is all of it';
comment on column private.subject_paths.is_erased is
    'public: false when the rows are only shown to the person, being somebody else''s by now';
comment on column private.subject_paths.why is 'public';
insert into private.subject_paths (table_name, part, condition, columns, is_erased, why) values
    ('public.vehicles', 'last owned',
        '{r}.garage_id = $1 and {r}.id in (select last.vehicle_id from (
            select distinct on (o.vehicle_id) o.vehicle_id, o.customer_id
              from public.vehicle_ownerships o
             where o.garage_id = $1 and o.vehicle_id in (
                select mine.vehicle_id from public.vehicle_ownerships mine
                 where mine.garage_id = $1 and mine.customer_id = any ($2))
             order by o.vehicle_id, o.valid_from desc, o.id) last
             where last.customer_id = any ($2))',
        null, true, 'A car is its last owner''s'),
    ('public.vehicles', 'owned before',
        '{r}.garage_id = $1 and {r}.id in (select o.vehicle_id from public.vehicle_ownerships o
             where o.garage_id = $1 and o.customer_id = any ($2))
         and {r}.id not in (select last.vehicle_id from (
            select distinct on (o.vehicle_id) o.vehicle_id, o.customer_id
              from public.vehicle_ownerships o
             where o.garage_id = $1 and o.vehicle_id in (
                select mine.vehicle_id from public.vehicle_ownerships mine
                 where mine.garage_id = $1 and mine.customer_id = any ($2))
             order by o.vehicle_id, o.valid_from desc, o.id) last
             where last.customer_id = any ($2))',
        array['id', 'vin', 'make', 'model', 'fuel', 'first_registered_on'], false,
        'A sold car is somebody else''s, but its papers name it'),
    ('public.vehicle_plates', 'all',
        '{r}.garage_id = $1 and exists (select from public.vehicle_ownerships o
             where o.garage_id = $1 and o.vehicle_id = {r}.vehicle_id and o.customer_id = any ($2)
               and daterange(o.valid_from, o.valid_to) && daterange({r}.valid_from, {r}.valid_to))',
        null, true, 'A plate goes with the person who owned the car in its time'),
    ('public.odometer_readings', 'all',
        '{r}.garage_id = $1 and exists (select from public.vehicle_ownerships o
             where o.garage_id = $1 and o.vehicle_id = {r}.vehicle_id and o.customer_id = any ($2)
               and o.valid_from <= {r}.read_on and coalesce(o.valid_to > {r}.read_on, true))',
        null, true, 'A reading is of who owned the car that day'),
    ('audit.access_entries', 'all',
        '{r}.garage_id = $1 and {r}.actor in (select ''customer:'' || a.id
             from public.portal_accounts a where a.garage_id = $1 and a.customer_id = any ($2))',
        null, true, 'What a customer opened, by the account');

create function private.subject_condition(target regclass, row_name text default 'r',
    seen regclass[] default '{}')
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found text;
    above record;
    condition text;
    certain boolean := false;
begin
    if target = 'public.customers'::regclass then
        return format('%1$s.garage_id = $1 and %1$s.id = any ($2)', row_name);
    end if;
    select string_agg('(' || replace(p.condition, '{r}', row_name) || ')', ' or ' order by p.part)
      into found
      from private.subject_paths p where p.table_name = target::text and p.is_erased;
    if found is not null then
        return found;
    end if;
    -- A key to the customer is the whole answer; only without one do other keys count.
    select string_agg(format('%1$s.garage_id = $1 and %1$s.%2$I = any ($2)', row_name,
               p.near[array_position(p.far, 'id')]), ' or ' order by p.key)
      into found
      from private.parents(target) p where p.parent = 'public.customers'::regclass;
    if found is not null then
        return found;
    end if;
    for above in select * from private.parents(target) p
                  where p.parent <> all (seen || target) and p.parent <> 'public.memberships'::regclass
                  order by p.is_required desc, p.key loop
        exit when found is not null and certain; -- a key that is always there says it all
        condition := private.subject_condition(above.parent, row_name || 'x', seen || target);
        if condition is not null then
            certain := above.is_required;
            found := concat_ws(' or ', found, format('(%1$s) in (select %2$s from %3$s %4$s where %5$s)',
                (select string_agg(format('%s.%I', row_name, n), ', ') from unnest(above.near) n),
                (select string_agg(format('%sx.%I', row_name, n), ', ') from unnest(above.far) n),
                above.parent, row_name || 'x', condition));
        end if;
    end loop;
    return found;
end $$;
comment on function private.subject_condition is
    'A condition on a row for being about a person: $1 is the garage, $2 the ids of the customer. Null when nothing leads there';

create function private.subject_tables()
returns table (relation regclass, table_name text, condition text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select t.relation::regclass, t.table_name, f.condition
      from private.table_map t
     cross join lateral (select private.subject_condition(t.relation) as condition) f
     where t.controller = 'garage' and f.condition is not null;
$$;
comment on function private.subject_tables is
    'The tables that hold rows about customers, and which rows those are';

create function private.unreachable_subjects()
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select t.table_name from private.table_map t
     where 'customer' = any (t.subjects) and t.controller = 'garage'
       and private.subject_condition(t.relation) is null;
$$;
comment on function private.unreachable_subjects is
    'Tables with personal data of customers from which nothing leads to the customer: declare a path in private.subject_paths';

create function private.customer_ids(garage_id uuid, customer_id uuid)
returns uuid[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive same (id) as (
        select coalesce(c.merged_into_id, c.id) from public.customers c
         where c.garage_id = customer_ids.garage_id and c.id = customer_ids.customer_id
        union
        select c.id from public.customers c join same s on c.merged_into_id = s.id
         where c.garage_id = customer_ids.garage_id)
    select array_agg(s.id order by s.id) from same s;
$$;
comment on function private.customer_ids is
    'A customer and all that were merged into it: one person';

-- What the law wants kept of an invoice is the frozen document, not what the garage noted beside it.
comment on column public.invoices.internal_note is
    'personal(content; subject=customer; on_erasure=erase): for the garage alone';

-- Rows that are nothing without the person are deleted with them; of others the personal columns are
-- emptied. Tables with secrets are always of the first kind.
do $$
declare
    target text;
begin
    foreach target in array array['public.portal_accounts', 'public.portal_sessions',
        'private.login_attempts', 'public.push_notifications', 'public.conversations',
        'public.messages', 'public.message_photos', 'public.customer_opt_outs',
        'public.work_order_photos', 'public.vehicle_plates'] loop
        execute format('comment on table %s is %L', target, regexp_replace(
            obj_description(target::regclass, 'pg_class'), '^(controller=[a-z]+; retention=[^.;]+)\.',
            '\1; on_erasure=delete.'));
    end loop;
end $$;
-- What a customer does not want holds as long as the customer; a photo goes with its own time, not the
-- thread's, which may go on for years.
do $$
declare
    target record;
begin
    for target in values ('public.customer_opt_outs', 'as the customer'),
                         ('public.message_photos', 'garage policy') loop
        execute format('comment on table %s is %L', target.column1, regexp_replace(
            obj_description(target.column1::regclass, 'pg_class'), 'retention=[^.;]+',
            'retention=' || target.column2));
    end loop;
end $$;
