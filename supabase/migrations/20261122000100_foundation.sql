-- The ground everything stands on: four schemas, our own roles, no privilege that was not granted by
-- name, one way to refuse, and the rules for numbers and addresses that several tables share.

create schema private;
create schema portal;
create schema audit;
comment on schema private is
    'Policy vocabulary, trigger functions, credentials and queue wrappers; never exposed';
comment on schema portal is 'What the client portal may name: views and RPCs, nothing else';
comment on schema audit is 'History: who changed what, and who looked at what';

-- Roles belong to the whole cluster: another database of it may have made them already.
do $$
declare
    wanted record;
begin
    for wanted in
        select *
          from (values ('portal', 'inherit'), ('worker', 'noinherit'), ('edge', 'noinherit'))
            as roles (name, inherits)
         where to_regrole(name) is null
    loop
        execute format('create role %I nologin nobypassrls %s', wanted.name, wanted.inherits);
    end loop;
end $$;
-- What strangers can make the edge ask must not hold the database up.
alter role edge set statement_timeout = '5s';
alter role worker set statement_timeout = '30s';
grant portal to authenticator;
-- As Supabase's manual has it for a role of one's own: what Storage grants to anon, portal needs too.
-- Hence nothing of ours is ever granted to anon that a customer should not have.
grant anon to portal;

alter default privileges for role postgres revoke execute on functions from public;
alter default privileges for role postgres in schema public
    revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    revoke all on functions from anon, authenticated, service_role;
revoke all on schema public from public, anon;
grant usage on schema public to authenticated, service_role;
grant usage on schema portal to portal;
grant usage on schema private to anon, authenticated, portal, service_role, worker, edge,
    supabase_auth_admin;

create function private.refuse(code text, message text, hint text, status int default 422)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = 'PT' || status, message = refuse.message, detail = refuse.code,
            hint = refuse.hint;
end $$;
comment on function private.refuse is
    'Raises the one shape of our errors: PostgREST answers with the HTTP status, the stable code is in details';
grant execute on function private.refuse to authenticated, portal, service_role, worker, edge;

create procedure private.reset_policies(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    policy_name name;
begin
    for policy_name in select polname from pg_policy where polrelid = target loop
        execute format('drop policy %I on %s', policy_name, target);
    end loop;
end $$;
comment on procedure private.reset_policies is
    'Drops every policy of a table, so that one renamed in supabase/policies really disappears';

create function private.tg__touch_updated_at()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := now();
    return new;
end $$;

create function private.is_email(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select length(value) <= 254 and value ~ '^[^\s@"<>(),;:\\]+@[^\s@.]+(\.[^\s@.]+)+$';
$$;

create function private.is_phone(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select value ~ '^\+[1-9][0-9]{6,14}$';
$$;
comment on function private.is_phone is 'ITU-T E.164: a plus sign and 7 to 15 digits';

create function private.is_belgian_enterprise_number(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value ~ '^[01][0-9]{9}$'
        then 97 - left(value, 8)::bigint % 97 = right(value, 2)::bigint
        else false
    end;
$$;
comment on function private.is_belgian_enterprise_number is
    'Ten digits, the first 0 or 1, the last two 97 minus the first eight modulo 97';

create function private.is_vat_number(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value like 'BE%' then private.is_belgian_enterprise_number(substr(value, 3))
        else value ~ '^[A-Z]{2}[0-9A-Z+*]{2,12}$'
    end;
$$;
comment on function private.is_vat_number is
    'A Belgian number is checked in full; of another country''s only the form of the VIES directory';

create function private.is_iban(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$'
            and (value not like 'BE%' or length(value) = 16)
        then (
            select string_agg(
                case when letter ~ '[A-Z]' then (ascii(letter) - 55)::text else letter end, ''
                    order by place
            )::numeric % 97 = 1
            from regexp_split_to_table(substr(value, 5) || left(value, 4), '')
                with ordinality as letters (letter, place)
        )
        else false
    end;
$$;
comment on function private.is_iban is
    'ISO 13616: letters become numbers, the rearranged whole is 1 modulo 97';

create function private.is_vin(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select value ~ '^[A-HJ-NPR-Z0-9]{5,17}$';
$$;
comment on function private.is_vin is
    'ISO 3779: 17 characters without I, O and Q; vehicles from before 1981 may have fewer';

grant execute on function private.is_email, private.is_phone, private.is_belgian_enterprise_number,
    private.is_vat_number, private.is_iban, private.is_vin to authenticated;

create function private.structured_communication(base bigint)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('+++%s/%s/%s+++', left(d, 3), substr(d, 4, 4), right(d, 5))
      from (select lpad(base::text, 10, '0') || lpad(coalesce(nullif(base % 97, 0), 97)::text, 2,
          '0')) as digits (d);
$$;
comment on function private.structured_communication is
    'OGM/VCS of a ten-digit base: the check digits are the base modulo 97, and 97 where that is 0';
