-- A token that holds something else than it should is refused in words everywhere, before anything casts it.

create or replace function private.pre_request()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
    role text;
    is_portals boolean;
begin
    begin
        claims := coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}');
        role := coalesce(claims ->> 'role', 'anon');
        is_portals := coalesce(claims ->> 'iss' = 'https://portal.autexor.be', false);
    exception when others then
        role := null;
    end;
    if role is null or is_portals <> (role = 'portal')
        or (role <> 'anon' and (claims -> 'exp' is null or claims -> 'iss' is null))
        or (role in ('authenticated', 'portal')
            and not coalesce(claims -> 'aud' ? 'authenticated', false))
        or role not in ('anon', 'authenticated', 'portal', 'service_role') then
        perform private.refuse('token_not_accepted', 'This token is not accepted here',
            'Sign in again', 401);
    elsif role = 'portal' and private.garage_id() is null then
        perform private.refuse('session_ended', 'Your session has ended', 'Sign in again', 401);
    end if;
end $$;

create or replace function private.lock_members(garage_id uuid, membership_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select from public.memberships m
     where m.garage_id = lock_members.garage_id
       and (m.role = 'owner' or m.id = lock_members.membership_id
            or m.user_id = (select (private.signed_in_user()).id))
     order by m.id
       for update;
$$;

create or replace function private.leave_garage()
returns void
language plpgsql
volatile
security definer -- nobody may write memberships by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.staff_garage_id();
begin
    perform private.lock_members(garage, null);
    update public.memberships m set deactivated_at = clock_timestamp()
     where m.garage_id = garage and m.user_id = (private.signed_in_user()).id
         and m.deactivated_at is null;
    if not found then
        perform private.refuse('membership_not_live',
            'You do not work for this garage, or no longer',
            'Sign in again, or ask the owner of the garage', 403);
    end if;
    perform private.keep_an_owner(garage);
end $$;
