-- What a signed-in customer changes about the own access: confirmed with password and PIN, on the
-- session's own device, and counted like a sign-in. The edge calls; the role portal still writes nothing.

create function private.portal_change_reserve(session_id uuid, account_id uuid, garage_id uuid,
    device_id text, fingerprint text, client_ip text, user_agent text,
    key_thumbprint text default null)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.live_portal_session(session_id, account_id, garage_id);
    account public.portal_accounts;
    attempt private.login_attempts;
begin
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    select * into account from public.portal_accounts a
     where a.garage_id = session.garage_id and a.id = session.account_id;
    attempt.id := gen_random_uuid();
    attempt.garage_id := session.garage_id;
    attempt.purpose := 'change';
    attempt.account_id := account.id;
    attempt.session_id := session.id;
    attempt.device_id := (private.known_device(account, portal_change_reserve.device_id,
        portal_change_reserve.fingerprint, portal_change_reserve.key_thumbprint)).id;
    if attempt.device_id <> session.device_id then
        attempt.device_id := null;
    end if;
    attempt.client_ip := nullif(portal_change_reserve.client_ip, '')::inet;
    attempt.user_agent := left(portal_change_reserve.user_agent, 400);
    return private.reserve_attempt(attempt, account.login, portal_change_reserve.client_ip)
        || jsonb_build_object('login', account.login);
end $$;
comment on function private.portal_change_reserve is
    'Counts a confirmation by password and PIN before it is tried, by the counter of the device''s sign-ins';

create function private.close_account(account public.portal_accounts)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.portal_accounts a set deactivated_at = clock_timestamp()
     where a.garage_id = account.garage_id and a.id = account.id;
    perform private.end_portal_sessions(account, 'account_closed');
    update public.portal_devices d set revoked_at = now()
     where d.garage_id = account.garage_id and d.account_id = account.id and d.revoked_at is null;
    delete from private.portal_pins p
     using public.portal_devices d
     where d.garage_id = account.garage_id and d.account_id = account.id
       and p.garage_id = d.garage_id and p.device_id = d.id;
    delete from private.portal_credentials c
     where c.garage_id = account.garage_id and c.account_id = account.id;
    perform private.notify_of_change(account, 'account_closed');
end $$;
comment on function private.close_account is
    'Ends a customer''s access with all that opened it; the garage''s own records stay. Only an invitation gives it back';

create function private.portal_change(attempt_id uuid, is_ok boolean, change text, value text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt private.login_attempts := private.settle_attempt(attempt_id, 'change', is_ok);
    account public.portal_accounts;
begin
    if not coalesce(attempt.is_ok, false) then
        return jsonb_build_object('error', 'confirmation_refused');
    end if;
    select * into account from public.portal_accounts a
     where a.garage_id = attempt.garage_id and a.id = attempt.account_id;
    perform private.log_access(account.garage_id, portal_change.change, 'customer:' || account.id,
        null, attempt.session_id, host(attempt.client_ip), attempt.user_agent);
    case portal_change.change
        when 'password_changed' then
            update private.portal_credentials c set password_hash = value, updated_at = now()
             where c.account_id = account.id;
        when 'pin_changed' then
            update private.portal_pins p set pin_hash = value, updated_at = now()
             where p.device_id = attempt.device_id;
        when 'email_change_asked' then
            if not exists (select from public.portal_accounts a
                            where a.garage_id = account.garage_id
                              and a.login = private.normal_login(value)) then
                perform private.challenge(account, 'email_change', private.new_token(),
                    interval '1 day', new_login => private.normal_login(value));
            end if;
        when 'account_closed' then
            perform private.close_account(account);
            return '{}';
    end case;
    if portal_change.change <> 'email_change_asked' then
        perform private.end_portal_sessions(account, portal_change.change, attempt.session_id);
    end if;
    perform private.notify_of_change(account, portal_change.change);
    return '{}';
end $$;
comment on function private.portal_change is
    'Makes a confirmed change: password_changed or pin_changed (value: the hash), email_change_asked (value: the address) or account_closed. A taken address is answered like a free one';

create function private.portal_end_session(session_id uuid, account_id uuid, garage_id uuid,
    ended_id uuid)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.live_portal_session(session_id, account_id, garage_id);
    ended uuid[];
begin
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    ended := array(select s.id from public.portal_sessions s
                    where s.garage_id = session.garage_id and s.account_id = session.account_id
                      and s.id = coalesce(ended_id, s.id) and s.revoked_at is null);
    if ended = '{}' then
        return jsonb_build_object('error', 'session_not_found');
    end if;
    perform private.end_portal_session(e.id, 'session_ended', null) from unnest(ended) as e (id);
    return jsonb_build_object('ended', cardinality(ended));
end $$;
comment on function private.portal_end_session is
    'Ends one session of the caller''s account, or all of them when none is named';

create function private.portal_revoke_device(session_id uuid, account_id uuid, garage_id uuid,
    revoked_id uuid)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.live_portal_session(session_id, account_id, garage_id);
    account public.portal_accounts;
begin
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    update public.portal_devices d set revoked_at = clock_timestamp()
     where d.garage_id = session.garage_id and d.account_id = session.account_id
       and d.id = revoked_id and d.revoked_at is null;
    if not found then
        return jsonb_build_object('error', 'device_not_found');
    end if;
    select * into account from public.portal_accounts a
     where a.garage_id = session.garage_id and a.id = session.account_id;
    perform private.end_portal_sessions(account, 'device_revoked', device_id => revoked_id);
    perform private.log_access(session.garage_id, 'device_revoked', 'customer:' || account.id,
        revoked_id, session.id, null, null);
    return '{}';
end $$;
comment on function private.portal_revoke_device is
    'Puts a device of the caller''s account out of use, with its sessions';
grant execute on function private.portal_change_reserve, private.portal_change,
    private.portal_end_session, private.portal_revoke_device to edge;
