-- A generated check names the columns of a key in the key's order, not in the order in which a plan
-- happened to find them: the same rules make the same text, on every database.

create or replace function private.constraint_breach(rule pg_constraint)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    pairs text;
    near_names text;
    old_names text;
    -- Keys are looked up past the policies, so never for a row that the policies will refuse.
    own_garage text := format('coalesce(r.%s = private.garage_id(), true) and ',
        case rule.conrelid when 'public.garages'::regclass then 'id' else 'garage_id' end);
begin
    if rule.contype = 'c' then
        return format('not (%s)', pg_get_expr(rule.conbin, rule.conrelid));
    end if;
    select string_agg(format('other.%I = r.%I', far.attname, near.attname), ' and ' order by pair.place),
           string_agg(format('r.%I', near.attname), ', ' order by pair.place),
           string_agg(format('old.%I', near.attname), ', ' order by pair.place)
      into pairs, near_names, old_names
      from unnest(rule.conkey, case rule.contype when 'f' then rule.confkey else rule.conkey end)
        with ordinality as pair (near, far, place)
      join pg_attribute near on near.attrelid = rule.conrelid and near.attnum = pair.near
      join pg_attribute far on far.attnum = pair.far
          and far.attrelid = case rule.contype when 'f' then rule.confrelid else rule.conrelid end;
    if rule.contype = 'f' then
        return own_garage || format('num_nulls(%1$s) = 0 and (%1$s) is distinct from (%2$s) '
            'and not exists (select from %3$s other where %4$s)',
            near_names, old_names, rule.confrelid::regclass, pairs);
    end if;
    return own_garage || format('exists (select from %s other where %s and other.id <> r.id)',
        rule.conrelid::regclass, pairs);
end $$;

do $$
declare
    checked regclass;
begin
    for checked in select t.tgrelid from pg_trigger t where t.tgname = '_250_check' loop
        call private.check_table(checked);
    end loop;
end $$;
