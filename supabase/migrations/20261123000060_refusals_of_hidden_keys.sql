-- Who may point at a row need not be able to read it: the generated checks look keys up with their
-- owner's rights, and only for rows of the caller's own garage, which the policies will let through.

create or replace function private.constraint_breach(rule pg_constraint)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    pairs text;
    -- Keys are looked up past the policies, so never for a row that the policies will refuse.
    own_garage text := 'coalesce(r.garage_id = private.garage_id(), true) and ';
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
    if rule.contype = 'f' then
        return own_garage || (
            select format('num_nulls(%1$s) = 0 and (%1$s) is distinct from (%2$s) '
                       'and not exists (select from %3$s other where %4$s)',
                   string_agg(format('r.%I', a.attname), ', '),
                   string_agg(format('old.%I', a.attname), ', '),
                   rule.confrelid::regclass, pairs)
              from pg_attribute a
             where a.attrelid = rule.conrelid and a.attnum = any (rule.conkey));
    end if;
    return own_garage || format('exists (select from %s other where %s and other.id <> r.id)',
        rule.conrelid::regclass, pairs);
end $$;

create or replace procedure private.check_table(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    function_name text := 'tg_' || split_part(target::text, '.', 2) || '__check';
begin
    execute format(
        'create or replace function private.%I() returns trigger language plpgsql '
        'security definer set search_path = pg_catalog, pg_temp as %L',
        function_name, private.check_function_body(target));
    execute format('create or replace trigger _250_check before insert or update on %s for each row '
        'execute function private.%I()', target, function_name);
end $$;
