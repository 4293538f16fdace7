-- Two answers too many: the date at a garage told anybody signed in whether that garage exists and in which
-- time zone, and a sign-in that had ended could still choose the garage of the next one.

create or replace function private.today_at(garage_id uuid)
returns date
language sql
stable
security definer -- asked for callers who may not read the settings
set search_path = pg_catalog, pg_temp
as $$
    select (now() at time zone g.time_zone)::date
      from public.garages g
     where g.id = today_at.garage_id
       and (current_setting('role') not in ('anon', 'authenticated', 'portal')
            or g.id = (select private.garage_id()));
$$;
comment on function private.today_at is
    'The date it is at a garage; to members and customers only at their own';

create or replace function private.switch_garage(garage_id uuid)
returns void
language plpgsql
volatile
security definer -- selected_at is not a column that members may write
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.memberships m set selected_at = clock_timestamp()
     where m.garage_id = switch_garage.garage_id and m.user_id = (private.signed_in_user()).id
         and m.deactivated_at is null;
    if not found then
        perform private.refuse('garage_not_found', 'You do not work for this garage',
            'Choose a garage you are a member of', 404);
    end if;
end $$;
