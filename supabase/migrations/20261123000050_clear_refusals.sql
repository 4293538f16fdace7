-- Clear refusals: what a constraint forbids is said in its comment, "code: message | hint", and a
-- trigger generated from those comments says it before the constraint would. The constraint stays:
-- it is what holds when two writers are at it at once.

create function private.constraint_refusal(constraint_id oid)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select regexp_match(obj_description(constraint_id, 'pg_constraint'),
        '^([a-z0-9_]+): (.+) \| (.+)$');
$$;
comment on function private.constraint_refusal is
    'Code, message and hint in a constraint''s comment; null when it has none of that shape';

create function private.constraint_breach(rule pg_constraint)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    pairs text;
begin
    if rule.contype = 'c' then
        return format('not (%s)', pg_get_expr(rule.conbin, rule.conrelid));
    end if;
    select string_agg(format('other.%I = r.%I', far.attname, near.attname), ' and ')
      into pairs
      from unnest(rule.conkey, case rule.contype when 'f' then rule.confkey else rule.conkey end)
        as pair (near, far)
      join pg_attribute near on near.attrelid = rule.conrelid and near.attnum = pair.near
      join pg_attribute far on far.attnum = pair.far
          and far.attrelid = case rule.contype when 'f' then rule.confrelid else rule.conrelid end;
    -- Only where it is written: who changes a row need not be able to read what it points at.
    if rule.contype = 'f' then
        return (
            select format('num_nulls(%1$s) = 0 and (%1$s) is distinct from (%2$s) '
                       'and not exists (select from %3$s other where %4$s)',
                   string_agg(format('r.%I', a.attname), ', '),
                   string_agg(format('old.%I', a.attname), ', '),
                   rule.confrelid::regclass, pairs)
              from pg_attribute a
             where a.attrelid = rule.conrelid and a.attnum = any (rule.conkey));
    end if;
    return format('exists (select from %s other where %s and other.id <> r.id)',
        rule.conrelid::regclass, pairs);
end $$;
comment on function private.constraint_breach is
    'A condition on a row r that is true when it would break this check, unique or foreign key';

create function private.refuse_missing(column_name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.refuse('value_missing', format('"%s" is missing', column_name), 'Fill it in');
$$;

create function private.refuse_control_character()
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.refuse('control_character', 'A text holds a control character',
        'Type it again: it was probably pasted from elsewhere');
$$;
grant execute on function private.refuse_missing, private.refuse_control_character to authenticated;

create function private.check_function_body(target regclass)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with written as (
        select a.attname, a.attnotnull, a.atttypid = 'text'::regtype as is_text, a.attnum
          from pg_attribute a
         where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ), rules (place, name, breach, refusal) as (
        select 1, w.attname::text, format('r.%I is null', w.attname),
               format('private.refuse_missing(%L)', w.attname)
          from written w where w.attnotnull
        union all
        select 2, '', format('concat_ws('''', %s) ~ %L', string_agg(format('r.%I', w.attname), ', '
                   order by w.attnum), '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]'),
               'private.refuse_control_character()'
          from written w where w.is_text having count(*) > 0
        union all
        select case c.contype when 'c' then 3 when 'f' then 4 else 5 end, c.conname::text,
               private.constraint_breach(c),
               format('private.refuse(%L, %L, %L, %s)', said[1], said[2], said[3],
                   case c.contype when 'c' then 422 when 'f' then 404 else 409 end)
          from pg_constraint c, private.constraint_refusal(c.oid) said
         where c.conrelid = target and c.contype in ('c', 'f', 'u') and said is not null
           and c.conkey <@ (select array_agg(w.attnum) from written w)
    )
    select format($body$
declare
    breach int;
begin
    select case
%1$s
           end
      into breach from (select new.*) r;
    case breach
%2$s
    else null;
    end case;
    return new;
end $body$,
        string_agg(format('               when %s then %s', breach, line), E'\n' order by line),
        string_agg(format('    when %s then perform %s;', line, refusal), E'\n' order by line))
      from (select r.*, row_number() over (order by place, name) as line from rules r) numbered;
$$;

create procedure private.check_table(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    function_name text := 'tg_' || split_part(target::text, '.', 2) || '__check';
begin
    execute format(
        'create or replace function private.%I() returns trigger language plpgsql '
        'set search_path = pg_catalog, pg_temp as %L',
        function_name, private.check_function_body(target));
    execute format('create or replace trigger _250_check before insert or update on %s for each row '
        'execute function private.%I()', target, function_name);
end $$;
comment on procedure private.check_table is
    'Generates the trigger that refuses in words what the table''s constraints forbid: missing values, control characters, and what constraint comments say. Call it again after changing either';
