-- Audit triggers that cost less: who acts is asked once per statement, not per row, a key of one column is
-- no list, and values become JSON text without becoming jsonb first. What is written stays the same.

create or replace function private.audit_function_body(target regclass)
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
        select n.%2$I, %1$L, %3$s, 'I', (select private.actor()), '{}', '{}' from new_rows n;
    when 'UPDATE' then
        -- A full join on purpose: it shows a changed key, and its plan stays good when many rows change.
        insert into audit.entries (garage_id, table_name, row_id, op, actor, changed, changes)
        select d.garage_id, %1$L, d.row_id, 'U', (select private.actor()),
               string_to_array(d.names, ','), ('{' || d.diff || '}')::jsonb
          from (select coalesce(n.%2$I, o.%2$I) as garage_id, %4$s as row_id,
                       concat_ws(',', %5$s) as names, concat_ws(',', %6$s) as diff
                  from old_rows o full join new_rows n on %7$s offset 0) d
         where d.names <> '';
    when 'DELETE' then
        insert into audit.entries (garage_id, table_name, row_id, op, actor, changed, changes)
        select o.%2$I, %1$L, %8$s, 'D', (select private.actor()), '{}',
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
        case when count(*) filter (where is_row_id) = 1
            then min(format('n.%I::text', name)) filter (where is_row_id)
            else format('concat_ws(''/'', %s)',
                string_agg(format('n.%I', name), ', ') filter (where is_row_id)) end,
        case when count(*) filter (where is_row_id) = 1
            then min(format('coalesce(n.%1$I, o.%1$I)::text', name)) filter (where is_row_id)
            else format('concat_ws(''/'', %s)', string_agg(
                format('coalesce(n.%1$I, o.%1$I)', name), ', ') filter (where is_row_id)) end,
        string_agg(format('case when o.%1$I is distinct from n.%1$I then %1$L end', name), ', '),
        string_agg(format(
            'case when o.%1$I is distinct from n.%1$I then %2$L || coalesce(to_json(o.%1$I)::text, ''null'') '
            '|| '','' || coalesce(to_json(n.%1$I)::text, ''null'') || '']'' end',
            name, to_json(name) || ':['), ', ') filter (where is_open),
        string_agg(format('n.%1$I = o.%1$I', name), ' and ') filter (where is_key),
        case when count(*) filter (where is_row_id) = 1
            then min(format('o.%I::text', name)) filter (where is_row_id)
            else format('concat_ws(''/'', %s)',
                string_agg(format('o.%I', name), ', ') filter (where is_row_id)) end,
        string_agg(format('%1$L, o.%1$I', name), ', ') filter (where is_open))
      from private.audit_columns(target);
$$;

do $$
declare
    target regclass;
begin
    for target in select distinct t.tgrelid::regclass from pg_trigger t
                   where t.tgname = '_800_audit_insert' loop
        call private.audit_table(target);
    end loop;
end $$;
