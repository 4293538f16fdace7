-- People: roles and personal permissions, who may hand out what, and the last owner, who stays.

alter table public.memberships
    add constraint memberships_email_check check (private.is_email(email));
comment on constraint memberships_email_check on public.memberships is
    'email_invalid: This is not an e-mail address | Write it as name@example.be';
comment on constraint memberships_full_name_check on public.memberships is
    'full_name_invalid: A name has 1 to 120 characters | Write first name and surname';
comment on constraint memberships_user_id_fkey on public.memberships is
    'user_not_found: This account does not exist | Let the person sign up first';
comment on constraint memberships_garage_id_user_id_key on public.memberships is
    'already_member: This person works for the garage already | Change the role instead, or reactivate the person';
comment on constraint membership_permissions_permission_fkey on public.membership_permissions is
    'permission_unknown: This permission does not exist | Choose one of the list';
comment on constraint membership_permissions_garage_id_membership_id_fkey
    on public.membership_permissions is
    'member_not_found: This person does not work for the garage | Choose somebody of the list';

-- Who holds what. A closed module takes nobody's permission away, it only rests: so not asked here.
create function private.held_permissions(member public.memberships)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(p.permission), '{}')
      from private.permissions p
      left join private.role_permissions bundle
        on bundle.role = member.role and bundle.permission = p.permission
      left join public.membership_permissions own
        on own.garage_id = member.garage_id and own.membership_id = member.id
            and own.permission = p.permission
     where member.deactivated_at is null
       and coalesce(own.is_granted, bundle.permission is not null);
$$;
comment on function private.held_permissions is
    'What a person may do in the garage, by role, grant and denial; nothing once deactivated';

create function private.bundle(role public.member_role)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(r.permission), '{}')
      from private.role_permissions r where r.role = bundle.role;
$$;
comment on function private.bundle is 'The permissions of a role';

create function private.current_member(permission text)
returns public.memberships
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require(permission);
    member public.memberships;
begin
    select * into strict member from public.memberships m
     where m.garage_id = garage and m.user_id = auth.uid();
    return member;
end $$;
comment on function private.current_member is
    'The caller''s own membership, if it holds this permission; else refuses';

create function private.refuse_handing_out(giver public.memberships, given text[], is_owner boolean)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if is_owner and giver.role <> 'owner' then
        perform private.refuse('owner_required', 'Only an owner makes or changes an owner',
            'Ask an owner of the garage', 403);
    elsif not given <@ private.held_permissions(giver) then
        perform private.refuse('permission_not_held',
            'Nobody can give away what they may not do themselves',
            'Ask somebody who may do this', 403);
    end if;
end $$;
comment on function private.refuse_handing_out is
    'Refuses to let a person give permissions they do not hold, or meddle with an owner without being one';

create function private.lock_members(garage_id uuid, membership_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select from public.memberships m
     where m.garage_id = lock_members.garage_id
       and (m.role = 'owner' or m.id = lock_members.membership_id or m.user_id = auth.uid())
     order by m.id
       for update;
$$;
comment on function private.lock_members is
    'Locks the owners, the caller and one member, always in the same order: two removals cannot each spare the other''s owner';

create function private.keep_an_owner(garage_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from public.memberships m
         where m.garage_id = keep_an_owner.garage_id and m.role = 'owner'
           and array['members.write', 'garage.write'] <@ private.held_permissions(m)) then
        perform private.refuse('last_owner',
            'A garage keeps at least one owner who can change it and its people',
            'Make somebody else an owner first', 409);
    end if;
end $$;
comment on function private.keep_an_owner is
    'Refuses what would leave a garage without an owner who can change it and its people; call it after the change';

create function private.change_member(membership_id uuid, change text, value text default null)
returns public.memberships
language plpgsql
volatile
security definer -- nobody may write memberships and permissions by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('members.write');
    giver public.memberships;
    member public.memberships;
    held text[];
    given text[];
begin
    perform private.lock_members(garage, membership_id);
    -- Asked again: whoever held the lock may have taken it from the caller.
    giver := private.current_member('members.write');
    select * into member from public.memberships m
     where m.garage_id = garage and m.id = change_member.membership_id;
    if not found then
        perform private.refuse('member_not_found', 'This person does not work for the garage',
            'Choose somebody of the list', 404);
    elsif member.id = giver.id then
        perform private.refuse('own_membership', 'Nobody changes their own role or permissions',
            'Ask somebody else who may change members', 403);
    end if;
    perform private.refuse_handing_out(giver, '{}', member.role = 'owner' or
        (change = 'role' and value = 'owner'));
    held := private.held_permissions(member);
    member := private.write_member(member, change, value);
    given := case change when 'role' then private.bundle(member.role) when 'grant' then array[value]
        else array(select unnest(private.held_permissions(member)) except select unnest(held)) end;
    perform private.refuse_handing_out(giver, given, false);
    perform private.keep_an_owner(garage);
    return member;
end $$;
comment on function private.change_member is
    'The one way to change another member: role, grant, deny, reset, deactivate or reactivate';

create function private.write_member(member public.memberships, change text, value text)
returns public.memberships
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if change in ('grant', 'deny', 'reset') then
        if not exists (select from private.permissions p where p.permission = value) then
            perform private.refuse('permission_unknown', 'This permission does not exist',
                'Choose one of the list', 404);
        end if;
        delete from public.membership_permissions p
         where p.garage_id = member.garage_id and p.membership_id = member.id
           and p.permission = value;
    end if;
    if change in ('grant', 'deny') then
        insert into public.membership_permissions (garage_id, membership_id, permission, is_granted)
        values (member.garage_id, member.id, value, change = 'grant');
    elsif change in ('role', 'deactivate', 'reactivate') then
        update public.memberships m
           set role = case change when 'role' then value::public.member_role else m.role end,
               deactivated_at = case change when 'deactivate'
                   then coalesce(m.deactivated_at, clock_timestamp())
                   when 'role' then m.deactivated_at end
         where m.garage_id = member.garage_id and m.id = member.id
        returning * into member;
    end if;
    return member;
end $$;
grant execute on function private.change_member to authenticated;

create function public.change_role(membership_id uuid, role public.member_role)
returns public.memberships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.change_member(change_role.membership_id, 'role',
        change_role.role::text) m;
end;
comment on function public.change_role is
    'Gives a member another role; personal grants and denials stay';

create function public.grant_permission(membership_id uuid, permission text)
returns public.memberships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.change_member(grant_permission.membership_id, 'grant',
        grant_permission.permission) m;
end;
comment on function public.grant_permission is
    'Lets a member do something that their role does not; you must hold it yourself';

create function public.deny_permission(membership_id uuid, permission text)
returns public.memberships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.change_member(deny_permission.membership_id, 'deny',
        deny_permission.permission) m;
end;
comment on function public.deny_permission is
    'Takes from a member something that their role may do';

create function public.reset_permission(membership_id uuid, permission text)
returns public.memberships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.change_member(reset_permission.membership_id, 'reset',
        reset_permission.permission) m;
end;
comment on function public.reset_permission is
    'Forgets a member''s personal grant or denial: the role decides again';

create function public.deactivate_member(membership_id uuid)
returns public.memberships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.change_member(deactivate_member.membership_id, 'deactivate') m;
end;
comment on function public.deactivate_member is
    'Ends a person''s work for the garage, from their next statement on; history keeps the name';

create function public.reactivate_member(membership_id uuid)
returns public.memberships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.change_member(reactivate_member.membership_id, 'reactivate') m;
end;
comment on function public.reactivate_member is
    'Lets a deactivated person work again, with the role and permissions they had';

create function private.leave_garage()
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
     where m.garage_id = garage and m.user_id = auth.uid() and m.deactivated_at is null;
    if not found then
        perform private.refuse('membership_not_live',
            'You do not work for this garage, or no longer',
            'Sign in again, or ask the owner of the garage', 403);
    end if;
    perform private.keep_an_owner(garage);
end $$;
grant execute on function private.leave_garage to authenticated;

create function public.leave_garage()
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.leave_garage();
end;
comment on function public.leave_garage is
    'Ends your own work for the active garage; the last owner stays';

create function private.signed_in_user(out id uuid, out email text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    select u.id, case when u.email_confirmed_at is not null then lower(u.email) end into id, email
      from auth.users u
      join auth.sessions s on s.user_id = u.id and s.id = (claims ->> 'session_id')::uuid
     where claims ->> 'role' = 'authenticated' and u.id = (claims ->> 'sub')::uuid;
exception when others then
    id := null;
end $$;
comment on function private.signed_in_user is
    'Who signed in, member of a garage or not, and their verified address, while the sign-in lasts; else null. Never raises';

create function private.my_garages()
returns table (id uuid, trade_name text, role public.member_role, is_active boolean)
language sql
stable
security definer -- looks past the active garage, at the caller's own memberships alone
set search_path = pg_catalog, pg_temp
as $$
    select g.id, g.trade_name, m.role, g.id is not distinct from private.staff_garage_id()
      from public.memberships m join public.garages g on g.id = m.garage_id
     where m.user_id = (private.signed_in_user()).id and m.deactivated_at is null
     order by g.trade_name, g.id;
$$;

grant execute on function private.my_garages to authenticated;

create function public.my_garages()
returns table (id uuid, trade_name text, role public.member_role, is_active boolean)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select g.id, g.trade_name, g.role, g.is_active from private.my_garages() g;
end;
comment on function public.my_garages is
    'The garages you work for; switch_garage makes another one the active one';
grant execute on function public.change_role, public.grant_permission, public.deny_permission,
    public.reset_permission, public.deactivate_member, public.reactivate_member,
    public.leave_garage, public.my_garages to authenticated;

create function private.known_permissions()
returns table (permission text, module text, roles public.member_role[])
language sql
stable
security definer -- the catalogue of permissions is closed to members, and the same for all of them
set search_path = pg_catalog, pg_temp
as $$
    select p.permission, p.module,
           array(select r.role from private.role_permissions r where r.permission = p.permission)
      from private.permissions p;
$$;
grant execute on function private.known_permissions to authenticated;

create view public.member_permissions with (security_invoker = on) as
    select m.garage_id, m.id as membership_id, k.permission, k.module,
           case when own.is_granted then 'grant' when own.is_granted is false then 'denial'
                else 'role' end as source,
           m.deactivated_at is null and coalesce(own.is_granted, true) as is_held
      from public.memberships m
     cross join private.known_permissions() k
      left join public.membership_permissions own
        on own.garage_id = m.garage_id and own.membership_id = m.id
            and own.permission = k.permission
     where own.permission is not null or m.role = any (k.roles);
comment on view public.member_permissions is
    'What each member may do, and why: by role, by personal grant, or not, by denial. A permission of a closed module rests until the module is on';

