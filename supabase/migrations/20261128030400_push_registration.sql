-- Where pushes go: a device says on which platform it is and what its lock screen may show, and hears
-- nothing any more once it is signed out, revoked or silent for 90 days.

alter table public.push_devices
    add column platform text,
    add column shows_details boolean not null default false,
    add constraint push_devices_platform check (platform in ('ios', 'android', 'web'));
comment on column public.push_devices.platform is
    'personal(device; subject=customer; on_erasure=erase)';
comment on column public.push_devices.shows_details is
    'internal: the customer allows the garage''s name and the message in a push; off unless asked for';
comment on column public.push_devices.retired_at is
    'internal: replaced, signed out, revoked, or the push service said the token is dead';
comment on column public.push_devices.updated_at is
    'internal: when the app last registered; 90 days later it has expired';

create function private.retire_push_device(garage_id uuid, portal_device_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with retired as (
        update public.push_devices p set retired_at = now(), updated_at = now()
         where p.garage_id = retire_push_device.garage_id
           and p.portal_device_id = retire_push_device.portal_device_id and p.retired_at is null
        returning p.garage_id, p.id)
    delete from public.push_notifications n using retired r
     where n.garage_id = r.garage_id and n.push_device_id = r.id
       and n.status = 'queued' and n.attempt = 0;
$$;
comment on function private.retire_push_device is
    'No push goes to this device any more, nor those that wait already, until it registers anew';

create function private.tg__retire_push_device()
returns trigger
language plpgsql
security definer -- neither edge nor members write push devices
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_table_name = 'portal_devices' then
        perform private.retire_push_device(new.garage_id, new.id);
    elsif new.revoke_reason = 'logout' or not exists (
        select from public.portal_sessions s
         where s.garage_id = new.garage_id and s.device_id = new.device_id and s.revoked_at is null
           and s.idle_expires_at > now() and s.expires_at > now()) then
        perform private.retire_push_device(new.garage_id, new.device_id);
    end if;
    return null;
end $$;
create trigger _500_retire_push_device after update of revoked_at on public.portal_devices
    for each row when (old.revoked_at is null and new.revoked_at is not null)
    execute function private.tg__retire_push_device();
create trigger _500_retire_push_device after update of revoked_at on public.portal_sessions
    for each row when (old.revoked_at is null and new.revoked_at is not null)
    execute function private.tg__retire_push_device();

drop function portal.register_push_token(text);
drop function private.portal_register_push_token(text);

create function private.portal_register_push_token(expo_token text, platform text,
    shows_details boolean)
returns void
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.portal_session();
begin
    if session.id is null then
        perform private.refuse('session_ended', 'Your session has ended', 'Sign in again', 401);
    elsif coalesce(expo_token, '') !~ '^Expo(nent)?PushToken\[[A-Za-z0-9_-]{10,100}\]$' then
        perform private.refuse('push_token_invalid', 'This is not an Expo push token',
            'Ask the Expo SDK for one');
    elsif platform not in ('ios', 'android', 'web') then
        perform private.refuse('push_platform_unknown', 'This platform is not known',
            'Say ios, android or web, as Platform.OS does');
    end if;
    -- A phone that changed hands must not go on showing the notices of who had it before.
    perform private.retire_push_device(p.garage_id, p.portal_device_id)
       from public.push_devices p
      where p.garage_id = session.garage_id and p.portal_device_id <> session.device_id
        and p.expo_token = portal_register_push_token.expo_token and p.retired_at is null;
    insert into public.push_devices as p (garage_id, portal_device_id, expo_token, platform,
        shows_details)
    values (session.garage_id, session.device_id, portal_register_push_token.expo_token,
        portal_register_push_token.platform,
        coalesce(portal_register_push_token.shows_details, false))
    on conflict (garage_id, portal_device_id)
        do update set expo_token = excluded.expo_token, platform = excluded.platform,
            shows_details = excluded.shows_details, retired_at = null, updated_at = now();
end $$;

create function private.portal_unregister_push_token()
returns void
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.portal_session();
begin
    if session.id is null then
        perform private.refuse('session_ended', 'Your session has ended', 'Sign in again', 401);
    end if;
    perform private.retire_push_device(session.garage_id, session.device_id);
end $$;
grant execute on function private.portal_register_push_token, private.portal_unregister_push_token
    to portal;

create function portal.register_push_token(expo_token text, platform text default null,
    shows_details boolean default false)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.portal_register_push_token(register_push_token.expo_token,
        register_push_token.platform, register_push_token.shows_details);
end;
comment on function portal.register_push_token is
    'Where pushes for this device go from now on; at every start of the app, since they expire after 90 days. shows_details allows the garage''s name and the message in them';

create function portal.unregister_push_token()
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.portal_unregister_push_token();
end;
comment on function portal.unregister_push_token is 'This device gets no pushes any more';
grant execute on function portal.register_push_token, portal.unregister_push_token to portal;

create function private.push_details(push public.push_notifications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('title', g.trade_name, 'body', (
               select left(m.body, 120) from public.messages m
                where m.garage_id = push.garage_id and m.conversation_id = push.conversation_id
                  and m.sender = 'garage' and m.body <> ''
                order by m.created_at desc limit 1))
      from public.push_devices d
      join public.garages g on g.id = d.garage_id
     where d.garage_id = push.garage_id and d.id = push.push_device_id and d.shows_details;
$$;
comment on function private.push_details is
    'What a push may say beside its fixed words, where the customer allowed it on that device; else null';

create or replace function private.push_job(push_notification_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    push public.push_notifications;
    is_open boolean;
begin
    select * into push from public.push_notifications t where t.id = push_notification_id;
    is_open := private.hold_modules(push.garage_id, array_remove(array['push',
        case when push.invoice_id is not null then 'invoicing' end,
        case when push.template = 'message_received' then 'conversations' end], null));
    select * into push from public.push_notifications t
     where t.id = push_job.push_notification_id and t.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    if push.status = 'sending' then
        update public.push_notifications t
           set status = 'unknown', attempt = t.attempt + 1, last_error = 'worker_died'
         where t.id = push.id;
        perform private.record_attempt('push', push.id, push.attempt, 'unknown',
            'worker_died', '{}');
        return null;
    elsif not is_open then
        update public.push_notifications t set last_error = 'module_closed' where t.id = push.id;
        return null;
    end if;
    update public.push_notifications t
       set status = 'sending', attempt = t.attempt + 1, claimed_at = clock_timestamp()
     where t.id = push.id
    returning * into push;
    return (
        select jsonb_build_object(
            'kind', 'send_push', 'subject_id', push.id, 'garage_id', push.garage_id,
            'attempt', push.attempt,
            'expo_token', d.expo_token, 'template', push.template, 'locale', push.locale,
            'data', jsonb_build_object('notification_id', push.id, 'kind', push.template),
            'details', private.push_details(push))
          from public.push_devices d where d.garage_id = push.garage_id
              and d.id = push.push_device_id);
end $$;
