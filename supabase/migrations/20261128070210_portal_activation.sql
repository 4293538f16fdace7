-- The customer's half of an invitation, by way of the edge.

create function private.end_portal_sessions(account public.portal_accounts, reason text,
    but uuid default null, device_id uuid default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.end_portal_session(s.id, end_portal_sessions.reason, null)
      from public.portal_sessions s
     where s.garage_id = account.garage_id and s.account_id = account.id and s.revoked_at is null
       and s.id is distinct from end_portal_sessions.but
       and s.device_id = coalesce(end_portal_sessions.device_id, s.device_id);
$$;
comment on function private.end_portal_sessions is
    'Ends an account''s sessions, or those on one device, all but one';

create function private.bind_device(account public.portal_accounts, device_id text,
    fingerprint text, label text, pin_hash text, key_thumbprint text)
returns uuid
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    device uuid;
begin
    insert into public.portal_devices as d (garage_id, account_id, label, install_sha256,
        fingerprint_sha256, key_thumbprint)
    values (account.garage_id, account.id, left(bind_device.label, 80),
        private.sha256_hex(bind_device.device_id), private.sha256_hex(bind_device.fingerprint),
        bind_device.key_thumbprint)
    on conflict (garage_id, account_id, install_sha256) do update
        set fingerprint_sha256 = excluded.fingerprint_sha256,
            label = coalesce(excluded.label, d.label), key_thumbprint = excluded.key_thumbprint,
            revoked_at = null
    returning d.id into device;
    insert into private.portal_pins as p (device_id, garage_id, pin_hash)
    values (device, account.garage_id, bind_device.pin_hash)
    on conflict on constraint portal_pins_pkey do update
        set pin_hash = excluded.pin_hash, updated_at = now();
    perform private.end_portal_sessions(account, 'device_added', device_id => device);
    return device;
end $$;
comment on function private.bind_device is
    'Makes an installation a device of the account, with its PIN; one that was bound before begins anew';

create function private.live_portal_invitation(token_sha256 text)
returns public.portal_invitations
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select i
      from public.portal_invitations i
      join public.customers c on c.garage_id = i.garage_id and c.id = i.customer_id
     where i.token_sha256 = live_portal_invitation.token_sha256
       and i.accepted_at is null and i.revoked_at is null and i.expires_at > now()
       and c.archived_at is null and c.merged_into_id is null
       and private.has_module(i.garage_id, 'portal');
$$;
comment on function private.live_portal_invitation is
    'The invitation with this token, while it holds; else null';

create function private.portal_activation(token_sha256 text, client_ip text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads no table
set search_path = pg_catalog, pg_temp
as $$
declare
    invitation public.portal_invitations;
begin
    if not private.is_address_blocked(client_ip) then
        invitation := private.live_portal_invitation(token_sha256);
    end if;
    if invitation.id is null then
        return jsonb_build_object('error', 'link_invalid');
    end if;
    return jsonb_build_object('login', invitation.recipient);
end $$;
comment on function private.portal_activation is
    'The login an invitation''s token will give; counted per address, before anything slow';

create function private.portal_activate(token_sha256 text, password_hash text, pin_hash text,
    device_id text, fingerprint text, label text, key_thumbprint text, refresh_token_sha256 text,
    client_ip text, user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    invitation public.portal_invitations := private.live_portal_invitation(token_sha256);
    account public.portal_accounts;
    attempt private.login_attempts;
begin
    update public.portal_invitations i set accepted_at = clock_timestamp()
     where i.id = invitation.id and i.accepted_at is null and i.revoked_at is null;
    if not found then
        return jsonb_build_object('error', 'link_invalid');
    end if;
    -- A customer who closed the access gets it back, with nothing of what it was.
    insert into public.portal_accounts as a (garage_id, customer_id, login)
    values (invitation.garage_id, invitation.customer_id, invitation.recipient)
    on conflict (garage_id, customer_id) do update
        set login = excluded.login, deactivated_at = null
    returning * into account;
    perform private.end_portal_sessions(account, 'account_activated');
    update public.portal_devices d set revoked_at = now()
     where d.garage_id = account.garage_id and d.account_id = account.id and d.revoked_at is null;
    insert into private.portal_credentials as c (account_id, garage_id, password_hash)
    values (account.id, account.garage_id, portal_activate.password_hash)
    on conflict (account_id) do update
        set password_hash = excluded.password_hash, updated_at = now();
    attempt.garage_id := account.garage_id;
    attempt.account_id := account.id;
    attempt.device_id := private.bind_device(account, portal_activate.device_id,
        portal_activate.fingerprint, portal_activate.label, portal_activate.pin_hash,
        portal_activate.key_thumbprint);
    attempt.client_ip := nullif(portal_activate.client_ip, '')::inet;
    attempt.user_agent := left(portal_activate.user_agent, 400);
    perform private.forget_portal_links(account.garage_id, account.customer_id, 'portal_invited');
    return private.begin_portal_session(attempt, refresh_token_sha256, 'account_activated');
exception when unique_violation then
    -- Somebody else of this garage has taken the login since.
    return jsonb_build_object('error', 'link_invalid');
end $$;
comment on function private.portal_activate is
    'Accepts an invitation: account, password, device and PIN, and the first session; or an error';
grant execute on function private.portal_activation, private.portal_activate to edge;
