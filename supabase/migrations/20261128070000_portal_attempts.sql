-- Every way to try a secret of a customer goes through one reservation and one settlement: signing in,
-- binding a device, confirming a change. A device may have a key; then nothing works there without it.

alter table public.portal_devices
    add column key_thumbprint text check (key_thumbprint ~ '^[A-Za-z0-9_-]{43}$');
comment on column public.portal_devices.key_thumbprint is
    'internal: RFC 7638 thumbprint of the device''s public key; once there, sign-in and refresh need its proof';

alter table public.portal_sessions
    drop constraint portal_sessions_revoke_reason_check,
    add constraint portal_sessions_revoke_reason_check check (
        revoke_reason in ('logout', 'refresh_token_reused', 'device_mismatch', 'garage',
            'session_ended', 'password_changed', 'pin_changed', 'password_reset', 'device_revoked',
            'device_added', 'account_activated', 'account_closed'));
comment on constraint portal_sessions_revoke_reason_check on public.portal_sessions is
    'revoke_reason_unknown: This reason is not known | Use garage';

alter table private.login_attempts
    add column purpose text not null default 'login'
        check (purpose in ('login', 'device', 'change')),
    add column session_id uuid,
    add column key_thumbprint text,
    add foreign key (garage_id, session_id) references public.portal_sessions (garage_id, id);
comment on table private.login_attempts is
    'controller=garage; retention=90 days. Every try of a password, known login or not';
comment on column private.login_attempts.purpose is
    'internal: to sign in, to bind a device, or to confirm a change';
comment on column private.login_attempts.session_id is
    'internal: the session that asks for a change';
comment on column private.login_attempts.key_thumbprint is
    'internal: the key whose proof came along';
create index login_attempts_session_idx on private.login_attempts (garage_id, session_id);

alter table audit.access_entries
    drop constraint access_entries_event_check,
    add constraint access_entries_event_check check (event ~ '^[a-z]+(_[a-z]+)*$');

create table private.key_proofs (
    jti_sha256 text primary key,
    expires_at timestamptz not null
);
alter table private.key_proofs enable row level security;
alter table private.key_proofs force row level security;
comment on table private.key_proofs is
    'controller=autexor; retention=10 minutes. Proofs of device keys that were used: none is taken twice';
comment on column private.key_proofs.jti_sha256 is 'internal';
comment on column private.key_proofs.expires_at is 'internal';
create index key_proofs_expires_at_idx on private.key_proofs (expires_at);

create function private.portal_take_proof(jti_sha256 text)
returns jsonb
language sql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        delete from private.key_proofs p
         where p.jti_sha256 in (
               select o.jti_sha256 from private.key_proofs o
                where o.expires_at < now() - interval '1 minute' order by o.expires_at limit 20
                  for update skip locked)),
    taken as (
        insert into private.key_proofs (jti_sha256, expires_at)
        values (portal_take_proof.jti_sha256, now() + interval '5 minutes')
        on conflict do nothing returning 1)
    select jsonb_build_object('is_new', exists (select from taken));
$$;
comment on function private.portal_take_proof is
    'Marks a proof as used; is_new is false when it was used before';

create function private.sha256_hex(plain text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select encode(sha256(convert_to(plain, 'UTF8')), 'hex');
$$;

create function private.address_key(client_ip text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- One line of a customer's provider holds a /64 of IPv6 addresses.
    select private.limit_key('login address', network(set_masklen(address,
               case family(address) when 6 then 64 else 32 end))::text)
      from (select nullif(client_ip, '')::inet) as given (address);
$$;
comment on function private.address_key is 'The counter of a client''s network address';

create function private.is_address_blocked(client_ip text)
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(private.take(private.address_key(client_ip), 60, interval '15 minutes',
        interval '15 minutes'), 0) > 0;
$$;
comment on function private.is_address_blocked is
    'Counts one try of this address, whomever it tried; true while it tried too much';

create function private.login_keys(garage_id uuid, login text, device_id uuid, client_ip text)
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select array[
        private.limit_key('login', garage_id::text, login, coalesce(device_id::text, 'stranger')),
        private.address_key(client_ip)]
        || case when device_id is null
               then array[private.limit_key('login garage', garage_id::text)] else '{}' end;
$$;
comment on function private.login_keys is
    'The counters that a try raises: of the login on this device or on unknown ones, of the address, and for unknown devices of the garage';

create function private.reserve_attempt(attempt private.login_attempts, login text, client_ip text)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    wait int := 0;
begin
    attempt.limit_keys := private.login_keys(attempt.garage_id, reserve_attempt.login,
        attempt.device_id, reserve_attempt.client_ip);
    -- A known device has a counter of its own and no other holds it up: strangers cannot lock its
    -- owner out, neither by guessing the login nor from the same address.
    if private.is_address_blocked(client_ip) and attempt.device_id is null then
        return jsonb_build_object('attempt_id', attempt.id, 'is_allowed', false,
            'is_address_blocked', true, 'retry_after_seconds', 0, 'password_hash', null,
            'pin_hash', null);
    elsif attempt.device_id is null then
        wait := private.take(attempt.limit_keys[3], 300, interval '15 minutes',
            interval '15 minutes');
    end if;
    wait := greatest(wait, private.take(attempt.limit_keys[1], 5, interval '15 minutes',
        interval '15 minutes'), 0);
    attempt.is_allowed := wait = 0;
    attempt.created_at := now();
    if exists (select from public.garages g where g.id = attempt.garage_id) then
        insert into private.login_attempts select attempt.*;
    end if;
    return jsonb_build_object(
        'attempt_id', attempt.id, 'is_allowed', attempt.is_allowed and found,
        'is_address_blocked', false, 'retry_after_seconds', wait,
        'password_hash', (select c.password_hash from private.portal_credentials c
                           where c.account_id = attempt.account_id),
        'pin_hash', (select p.pin_hash from private.portal_pins p
                      where p.device_id = attempt.device_id));
end $$;
comment on function private.reserve_attempt is
    'Counts a try before it is made and hands out the hashes to compare with';

create function private.known_device(account public.portal_accounts, device_id text,
    fingerprint text, key_thumbprint text)
returns public.portal_devices
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select d from public.portal_devices d
     where d.garage_id = account.garage_id and d.account_id = account.id
       and d.install_sha256 = private.sha256_hex(known_device.device_id)
       and d.fingerprint_sha256 = private.sha256_hex(known_device.fingerprint)
       and (d.key_thumbprint is null or d.key_thumbprint = known_device.key_thumbprint)
       and d.revoked_at is null;
$$;
comment on function private.known_device is
    'The live device with this installation, fingerprint and, where it has one, key; else null';

create function private.open_account(garage_id uuid, login text)
returns public.portal_accounts
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select a from public.portal_accounts a
     where a.garage_id = open_account.garage_id and a.login = open_account.login
       and a.deactivated_at is null and private.has_module(a.garage_id, 'portal');
$$;

create function private.normal_login(login text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select lower(btrim(login, E' \t\r\n'));
$$;

drop function private.portal_login_reserve(uuid, text, text, text, text, text);
create function private.portal_login_reserve(
    garage_id uuid, login text, device_id text, fingerprint text, client_ip text, user_agent text,
    key_thumbprint text default null, purpose text default 'login')
returns jsonb
language plpgsql
volatile
security definer -- the edge reads no table
set search_path = pg_catalog, pg_temp
as $$
declare
    name text := private.normal_login(login);
    account public.portal_accounts := private.open_account(garage_id, name);
    attempt private.login_attempts;
begin
    attempt.id := gen_random_uuid();
    attempt.garage_id := portal_login_reserve.garage_id;
    attempt.purpose := portal_login_reserve.purpose;
    attempt.account_id := account.id;
    attempt.client_ip := nullif(portal_login_reserve.client_ip, '')::inet;
    attempt.user_agent := left(portal_login_reserve.user_agent, 400);
    attempt.key_thumbprint := portal_login_reserve.key_thumbprint;
    if portal_login_reserve.purpose = 'login' then
        attempt.device_id := (private.known_device(account, portal_login_reserve.device_id,
            fingerprint, portal_login_reserve.key_thumbprint)).id;
    end if;
    return private.reserve_attempt(attempt, name, client_ip);
end $$;
comment on function private.portal_login_reserve is
    'Counts a sign-in, or the binding of a device, before it is tried, unknown logins too';

create function private.settle_attempt(attempt_id uuid, purpose text, is_ok boolean)
returns private.login_attempts
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt private.login_attempts;
begin
    update private.login_attempts l
       set finished_at = clock_timestamp(),
           is_ok = settle_attempt.is_ok and l.is_allowed and exists (
               select from public.portal_accounts a
                where a.garage_id = l.garage_id and a.id = l.account_id and a.deactivated_at is null
                  and private.has_module(a.garage_id, 'portal')
                  and (l.purpose = 'device' or exists (
                       select from public.portal_devices d
                        where d.garage_id = l.garage_id and d.account_id = a.id
                          and d.id = l.device_id and d.revoked_at is null))
                  and (l.purpose <> 'change' or (private.live_portal_session(l.session_id,
                       l.account_id, l.garage_id)).id is not null))
     where l.id = attempt_id and l.finished_at is null and l.purpose = settle_attempt.purpose
       and l.created_at > now() - interval '1 minute'
    returning * into attempt;
    if attempt.is_ok then
        -- Of what many people share only the failures are counted. Rows are locked in the order in which
        -- a reservation takes them: address, garage, login.
        update private.rate_limits r set hits = greatest(r.hits - 1, 0)
         where r.key = attempt.limit_keys[2];
        update private.rate_limits r set hits = greatest(r.hits - 1, 0)
         where r.key = attempt.limit_keys[3];
        delete from private.rate_limits r where r.key = attempt.limit_keys[1];
    elsif attempt.id is not null then
        perform private.log_access(attempt.garage_id,
            case when attempt.is_allowed then 'login_failed' else 'login_locked' end,
            coalesce('customer:' || attempt.account_id, 'unknown'), null, attempt.session_id,
            host(attempt.client_ip), attempt.user_agent);
    end if;
    return attempt;
end $$;
comment on function private.settle_attempt is
    'Ends a try: is_ok when the secrets were right and everything about it still lives; a counter is cleared by success alone';

create or replace function private.session_facts(session public.portal_sessions)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('session_id', session.id, 'account_id', session.account_id,
        'garage_id', session.garage_id, 'idle_seconds', g.portal_idle_minutes * 60,
        'expires_at', session.expires_at, 'key_thumbprint', d.key_thumbprint)
      from public.garages g
      join public.portal_devices d on d.garage_id = g.id and d.id = session.device_id
     where g.id = session.garage_id;
$$;

create function private.begin_portal_session(attempt private.login_attempts,
    refresh_token_sha256 text, event text)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.open_portal_session(attempt);
begin
    insert into private.portal_refresh_tokens (token_sha256, garage_id, session_id)
    values (refresh_token_sha256, session.garage_id, session.id);
    update public.portal_devices d
       set last_seen_at = now(), key_thumbprint = coalesce(d.key_thumbprint, attempt.key_thumbprint)
     where d.garage_id = session.garage_id and d.id = session.device_id;
    perform private.log_access(attempt.garage_id, begin_portal_session.event,
        'customer:' || attempt.account_id, null, session.id, host(attempt.client_ip),
        attempt.user_agent);
    return private.session_facts(session);
end $$;
comment on function private.begin_portal_session is
    'Opens a session with its first refresh token; the key that was proved becomes the device''s, if it has none';

create or replace function private.portal_login_finish(attempt_id uuid, is_ok boolean,
    refresh_token_sha256 text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt private.login_attempts := private.settle_attempt(attempt_id, 'login', is_ok);
begin
    if not coalesce(attempt.is_ok, false) then
        return '{}';
    end if;
    return private.begin_portal_session(attempt, refresh_token_sha256, 'login');
end $$;

create function private.portal_rehash(attempt_id uuid, old_password_hash text, password_hash text,
    old_pin_hash text, pin_hash text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt private.login_attempts;
begin
    select * into attempt from private.login_attempts l
     where l.id = attempt_id and l.is_ok and l.finished_at > now() - interval '1 minute';
    update private.portal_credentials c
       set password_hash = portal_rehash.password_hash, updated_at = now()
     where c.account_id = attempt.account_id and c.password_hash = old_password_hash;
    update private.portal_pins p set pin_hash = portal_rehash.pin_hash, updated_at = now()
     where p.device_id = attempt.device_id and p.pin_hash = old_pin_hash;
    return jsonb_build_object('is_done', attempt.id is not null);
end $$;
comment on function private.portal_rehash is
    'After a good sign-in: the same secrets hashed anew, under the present pepper, unless they changed meanwhile';
grant execute on function private.portal_take_proof, private.portal_login_reserve,
    private.portal_rehash to edge;
