-- Limits a document can bear, and the last constraints that refused in Postgres' own words: keys that
-- are no constraint of their own, taken once and refused the second time.

-- A thousand lines are 34 pages, which take a worker five seconds. Positions count the lines.
alter table public.invoice_lines
    drop constraint invoice_lines_position_check,
    add constraint invoice_lines_position_check check (position between 1 and 1000);
comment on constraint invoice_lines_position_check on public.invoice_lines is
    'position_invalid: A document has at most 1000 lines, numbered from 1 | Make a second invoice of the rest';
alter table public.work_order_lines
    drop constraint work_order_lines_position,
    add constraint work_order_lines_position check (position between 1 and 1000);
comment on constraint work_order_lines_position on public.work_order_lines is
    'position_invalid: A work order has at most 1000 lines, numbered from 1 | Make a second one of the rest';

-- Two people at one task.
alter table public.work_order_tasks add column revision int not null default 1;
comment on column public.work_order_tasks.revision is
    'internal: a change carries the revision it read plus 1';
create trigger _910_next_revision before update on public.work_order_tasks
    for each row execute function private.tg__next_revision();
alter table public.work_order_tasks enable always trigger _910_next_revision;

-- Keys without an id. Not in the generated check: our own functions insert "on conflict".
create function private.index_refusal(index_id oid)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select regexp_match(coalesce(obj_description(c.oid, 'pg_constraint'),
               obj_description(index_id, 'pg_class')), '^([a-z0-9_]+): (.+) \| (.+)$')
      from (select index_id) i left join pg_constraint c
        on c.conindid = i.index_id and c.contype in ('p', 'u', 'x');
$$;
comment on function private.index_refusal is
    'Code, message and hint in the comment of a unique index or of the constraint it belongs to; null when it has none of that shape';

create function private.tg__refuse_taken()
returns trigger
language plpgsql
security definer -- looks keys up past the policies, so never for a row that the policies will refuse
set search_path = pg_catalog, pg_temp
as $$
declare
    key pg_index;
    said text[];
    is_taken boolean;
begin
    if new.garage_id is distinct from private.garage_id() then
        return new;
    end if;
    select * into strict key from pg_index i where i.indexrelid = tg_argv[0]::regclass;
    execute (
        select format('select exists (select from (select * from %1$s where %2$s) other, '
                   '(select * from (select ($1).*) mine where %2$s) r '
                   'where (%3$s) = (%4$s) and other is distinct from $2)',
                   tg_relid::regclass, coalesce(pg_get_expr(key.indpred, key.indrelid), 'true'),
                   string_agg(format('other.%I', a.attname), ', '),
                   string_agg(format('r.%I', a.attname), ', '))
          from pg_attribute a where a.attrelid = tg_relid and a.attnum = any (key.indkey::int2[]))
       into is_taken using new, old;
    if is_taken then
        said := private.index_refusal(key.indexrelid);
        perform private.refuse(said[1], said[2], said[3], 409);
    end if;
    return new;
end $$;
comment on function private.tg__refuse_taken is
    'Says in the words of a unique index''s comment ("code: message | hint") what it forbids, to members alone; the index is the argument';

-- Modules, logos and opt-outs have none: their keys are what a client upserts by (on conflict).
comment on index public.conversations_one_open_idx is
    'conversation_open_already: This customer has an open conversation already | Write in that one';
create trigger _260_taken before insert or update on public.conversations for each row
    when (current_user = 'authenticated')
    execute function private.tg__refuse_taken('public.conversations_one_open_idx');
comment on constraint vehicle_ownerships_one_owner_at_a_time on public.vehicle_ownerships is
    'ownership_overlaps: In that time the vehicle has another owner | End the other ownership first, or transfer the vehicle';
call private.check_table('public.invoice_lines');
