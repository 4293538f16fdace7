-- Customers' way in: account, device and session, the secrets behind them, and the one rate limit that
-- everything which can be guessed or flooded goes through. private.garage_id() closes the circle.

create table public.portal_accounts (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    login text not null check (login = lower(trim(login))),
    deactivated_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, login),
    unique (garage_id, customer_id),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id)
);
alter table public.portal_accounts enable row level security;
alter table public.portal_accounts force row level security;
comment on table public.portal_accounts is
    'controller=garage; retention=garage policy. A customer''s access to the portal of one garage';
comment on column public.portal_accounts.id is 'internal';
comment on column public.portal_accounts.garage_id is 'internal';
comment on column public.portal_accounts.customer_id is 'internal';
comment on column public.portal_accounts.login is
    'personal(contact; subject=customer; on_erasure=erase): e-mail address, lower case';
comment on column public.portal_accounts.deactivated_at is 'internal';
comment on column public.portal_accounts.created_at is 'internal';
comment on column public.portal_accounts.updated_at is 'internal';

create table public.portal_devices (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    account_id uuid not null,
    label text check (length(label) <= 80),
    install_sha256 text not null,
    fingerprint_sha256 text not null,
    last_seen_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, account_id, install_sha256),
    foreign key (garage_id, account_id) references public.portal_accounts (garage_id, id)
);
alter table public.portal_devices enable row level security;
alter table public.portal_devices force row level security;
comment on table public.portal_devices is
    'controller=garage; retention=garage policy. Installations of the portal app that an account is bound to';
comment on column public.portal_devices.id is 'internal';
comment on column public.portal_devices.garage_id is 'internal';
comment on column public.portal_devices.account_id is 'internal';
comment on column public.portal_devices.label is
    'personal(device; subject=customer; on_erasure=erase)';
comment on column public.portal_devices.install_sha256 is 'secret: hash of the installation''s id';
comment on column public.portal_devices.fingerprint_sha256 is
    'secret: hash of the installation''s fingerprint';
comment on column public.portal_devices.last_seen_at is
    'personal(usage; subject=customer; on_erasure=erase)';
comment on column public.portal_devices.revoked_at is 'internal';
comment on column public.portal_devices.created_at is 'internal';

create table public.portal_sessions (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    account_id uuid not null,
    device_id uuid not null,
    client_ip inet,
    user_agent text,
    refreshed_at timestamptz not null default now(),
    idle_expires_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoke_reason text
        check (revoke_reason in ('logout', 'refresh_token_reused', 'device_mismatch', 'garage')),
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, account_id) references public.portal_accounts (garage_id, id),
    foreign key (garage_id, device_id) references public.portal_devices (garage_id, id)
);
alter table public.portal_sessions enable row level security;
alter table public.portal_sessions force row level security;
comment on table public.portal_sessions is
    'controller=garage; retention=90 days. A sign-in and how long it holds; revoked means refused at the next statement';
comment on column public.portal_sessions.id is 'internal';
comment on column public.portal_sessions.garage_id is 'internal';
comment on column public.portal_sessions.account_id is 'internal';
comment on column public.portal_sessions.device_id is 'internal';
comment on column public.portal_sessions.client_ip is
    'personal(usage; subject=customer; on_erasure=erase)';
comment on column public.portal_sessions.user_agent is
    'personal(usage; subject=customer; on_erasure=erase)';
comment on column public.portal_sessions.refreshed_at is 'internal';
comment on column public.portal_sessions.idle_expires_at is
    'internal: moved forward by each refresh';
comment on column public.portal_sessions.expires_at is 'internal: the end, whatever happens';
comment on column public.portal_sessions.revoked_at is 'internal';
comment on column public.portal_sessions.revoke_reason is 'internal';
comment on column public.portal_sessions.created_at is 'internal';
create index portal_sessions_account_idx on public.portal_sessions (garage_id, account_id,
    created_at desc);
create index portal_sessions_device_idx on public.portal_sessions (garage_id, device_id);

create table private.portal_credentials (
    account_id uuid primary key,
    garage_id uuid not null,
    password_hash text not null check (password_hash like '$argon2id$%'),
    updated_at timestamptz not null default now(),
    foreign key (garage_id, account_id) references public.portal_accounts (garage_id, id)
);
alter table private.portal_credentials enable row level security;
alter table private.portal_credentials force row level security;
comment on table private.portal_credentials is
    'controller=garage; retention=as the account. Password hashes; the pepper is never in the database';
comment on column private.portal_credentials.account_id is 'internal';
comment on column private.portal_credentials.garage_id is 'internal';
comment on column private.portal_credentials.password_hash is 'secret';
comment on column private.portal_credentials.updated_at is 'internal';
create index portal_credentials_account_idx on private.portal_credentials (garage_id, account_id);

create table private.portal_pins (
    device_id uuid primary key,
    garage_id uuid not null,
    pin_hash text not null check (pin_hash like '$argon2id$%'),
    updated_at timestamptz not null default now(),
    foreign key (garage_id, device_id) references public.portal_devices (garage_id, id)
);
alter table private.portal_pins enable row level security;
alter table private.portal_pins force row level security;
comment on table private.portal_pins is
    'controller=garage; retention=as the device. PIN hashes, each bound to one device';
comment on column private.portal_pins.device_id is 'internal';
comment on column private.portal_pins.garage_id is 'internal';
comment on column private.portal_pins.pin_hash is 'secret';
comment on column private.portal_pins.updated_at is 'internal';
create index portal_pins_device_idx on private.portal_pins (garage_id, device_id);

create table private.portal_refresh_tokens (
    token_sha256 text primary key,
    garage_id uuid not null,
    session_id uuid not null,
    used_at timestamptz,
    created_at timestamptz not null default now(),
    foreign key (garage_id, session_id)
        references public.portal_sessions (garage_id, id) on delete cascade
);
alter table private.portal_refresh_tokens enable row level security;
alter table private.portal_refresh_tokens force row level security;
comment on table private.portal_refresh_tokens is
    'controller=garage; retention=as the session. Single-use refresh tokens, by their hash';
comment on column private.portal_refresh_tokens.token_sha256 is 'secret';
comment on column private.portal_refresh_tokens.garage_id is 'internal';
comment on column private.portal_refresh_tokens.session_id is 'internal';
comment on column private.portal_refresh_tokens.used_at is
    'internal: the first use; a use more than ten seconds later ends the session';
comment on column private.portal_refresh_tokens.created_at is 'internal';
create index portal_refresh_tokens_session_idx on private.portal_refresh_tokens (garage_id,
    session_id);

create table private.login_attempts (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    account_id uuid,
    device_id uuid,
    limit_keys text[] not null,
    is_allowed boolean not null,
    client_ip inet,
    user_agent text,
    finished_at timestamptz,
    is_ok boolean,
    created_at timestamptz not null default now(),
    foreign key (garage_id, account_id) references public.portal_accounts (garage_id, id),
    foreign key (garage_id, device_id) references public.portal_devices (garage_id, id)
);
alter table private.login_attempts enable row level security;
alter table private.login_attempts force row level security;
comment on table private.login_attempts is
    'controller=garage; retention=90 days. Every attempt to sign in, known login or not';
comment on column private.login_attempts.id is 'internal';
comment on column private.login_attempts.garage_id is 'internal';
comment on column private.login_attempts.account_id is 'internal: null for an unknown login';
comment on column private.login_attempts.device_id is 'internal: null for an unknown device';
comment on column private.login_attempts.limit_keys is
    'internal: the counters that this attempt raised';
comment on column private.login_attempts.is_allowed is 'internal: false while locked out';
comment on column private.login_attempts.client_ip is
    'personal(usage; subject=customer; on_erasure=erase)';
comment on column private.login_attempts.user_agent is
    'personal(usage; subject=customer; on_erasure=erase)';
comment on column private.login_attempts.finished_at is 'internal';
comment on column private.login_attempts.is_ok is 'internal';
comment on column private.login_attempts.created_at is 'internal';
create index login_attempts_garage_id_idx on private.login_attempts (garage_id, created_at desc);
create index login_attempts_account_idx on private.login_attempts (garage_id, account_id);
create index login_attempts_device_idx on private.login_attempts (garage_id, device_id);

create table private.rate_limits (
    key text primary key,
    hits int not null,
    window_started_at timestamptz not null,
    blocks int not null default 0,
    blocked_until timestamptz
);
alter table private.rate_limits enable row level security;
alter table private.rate_limits force row level security;
comment on table private.rate_limits is
    'controller=autexor; retention=1 day. One counter per thing that may not be tried too often';
comment on column private.rate_limits.key is 'internal: a hash, never what was counted';
comment on column private.rate_limits.hits is 'internal';
comment on column private.rate_limits.window_started_at is 'internal';
comment on column private.rate_limits.blocks is
    'internal: how often it was blocked; each block lasts twice the one before';
comment on column private.rate_limits.blocked_until is 'internal';

create function private.limit_key(variadic parts text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select encode(sha256(convert_to(to_jsonb(parts)::text, 'UTF8')), 'hex');
$$;
comment on function private.limit_key is 'The key of a rate limit: a hash of what is counted';

create function private.take(key text, max_hits int, window_length interval, block_length interval)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into private.rate_limits as r (key, hits, window_started_at)
    values (take.key, 1, clock_timestamp())
    on conflict (key) do update set (hits, window_started_at, blocks, blocked_until) = (
        select case when is_blocked then r.hits when is_full then 0 when is_over
            then 1 else r.hits + 1 end,
               case when is_over and not is_blocked then at else r.window_started_at end,
               case when is_blocked then r.blocks when is_full then r.blocks + 1 else r.blocks end,
               case when is_blocked then r.blocked_until
                    when is_full then at + take.block_length * power(2, least(r.blocks, 6)) end
          from (select at, coalesce(r.blocked_until > at, false) as is_blocked,
                       r.window_started_at + take.window_length <= at as is_over,
                       r.window_started_at + take.window_length > at
                           and r.hits >= take.max_hits as is_full
                  from (select clock_timestamp() as at) clock) now)
    returning greatest(0, ceil(extract(epoch from r.blocked_until - clock_timestamp())))::int;
$$;
comment on function private.take is
    'Counts one try against a limit in one atomic statement; the seconds to wait, null or 0 when there is room';

create function private.live_portal_session(session_id uuid, account_id uuid, garage_id uuid)
returns public.portal_sessions
language plpgsql -- a cached plan: policies ask this in every statement
stable
security definer -- sessions are closed to the roles that ask
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions;
begin
    select s.* into session
      from public.portal_sessions s
      join public.portal_accounts a on a.garage_id = s.garage_id and a.id = s.account_id
      join public.portal_devices d on d.garage_id = s.garage_id and d.id = s.device_id
      join public.garage_modules m on m.garage_id = s.garage_id and m.module = 'portal'
          and m.is_enabled
     where s.id = live_portal_session.session_id
       and s.account_id = live_portal_session.account_id
       and s.garage_id = live_portal_session.garage_id
       and s.revoked_at is null and s.idle_expires_at > now() and s.expires_at > now()
       and a.deactivated_at is null and d.revoked_at is null;
    return session;
end $$;
comment on function private.live_portal_session is
    'The session, if it, its account, its device and the garage''s portal module are all live; else null';

create function private.portal_session()
returns public.portal_sessions
language plpgsql
stable
security definer -- sessions are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'portal' then
        return null;
    end if;
    return private.live_portal_session((claims ->> 'session_id')::uuid, (claims ->> 'sub')::uuid,
                                       (claims ->> 'garage_id')::uuid);
exception when others then
    return null;
end $$;
comment on function private.portal_session is
    'The live session behind a portal token; else null. Never raises';

create function private.portal_garage_id(module text default 'portal')
returns uuid
language plpgsql
stable
security definer -- sessions and modules are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := (private.portal_session()).garage_id;
begin
    return case when private.has_module(garage, portal_garage_id.module) then garage end;
end $$;
comment on function private.portal_garage_id is
    'The garage of a live portal session, if this module is on there; else null. Never raises';

create function private.portal_customer_id()
returns uuid
language plpgsql
stable
security definer -- accounts are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.portal_session();
begin
    return (select a.customer_id from public.portal_accounts a
             where a.garage_id = session.garage_id and a.id = session.account_id);
end $$;
comment on function private.portal_customer_id is
    'The customer of a live portal session; else null. Never raises';

create function private.garage_id()
returns uuid
language plpgsql
stable
security definer -- asks functions that read closed tables
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(private.staff_garage_id(), private.portal_garage_id());
end $$;
comment on function private.garage_id is
    'The active garage of the caller: a live membership or a live portal session; else null. Never raises';
grant execute on function private.garage_id to anon, authenticated, portal, service_role, worker,
    edge;
grant execute on function private.portal_garage_id, private.portal_customer_id to portal;

-- Supabase verifies signature and expiry; this is what it leaves open: tokens that never expire, that
-- say nothing of where they come from, or that claim a role their issuer may not give.
create function private.pre_request()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb := coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb;
    role text := coalesce(claims ->> 'role', 'anon');
    is_portals boolean := coalesce(claims ->> 'iss' = 'https://portal.autexor.be', false);
begin
    if is_portals <> (role = 'portal')
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
comment on function private.pre_request is
    'PostgREST calls this before every request, as the request''s role';
grant execute on function private.pre_request to anon, authenticated, portal, service_role;
grant execute on function private.refuse to anon;
alter role authenticator set pgrst.db_pre_request = 'private.pre_request';
alter role authenticator set pgrst.openapi_mode = 'disabled';

create trigger _050_require_permission before insert or update on public.portal_accounts
    for each statement execute function private.tg__require_permission('portal_accounts.write');
create trigger _100_touch_updated_at before update on public.portal_accounts
    for each row execute function private.tg__touch_updated_at();
create trigger _050_require_permission before update on public.portal_devices
    for each statement execute function private.tg__require_permission('portal_accounts.write');
create trigger _050_require_permission before update on public.portal_sessions
    for each statement execute function private.tg__require_permission('portal_accounts.write');

create function private.tg__revoke_for_good()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_user = 'authenticated' and old.revoked_at is not null
        and new.revoked_at is distinct from old.revoked_at then
        perform private.refuse('revoked_for_good', 'What was revoked stays revoked',
            'The customer signs in again, or binds the device again', 409);
    end if;
    return new;
end $$;
create trigger _200_revoke_for_good before update of revoked_at on public.portal_devices
    for each row execute function private.tg__revoke_for_good();
create trigger _200_revoke_for_good before update of revoked_at on public.portal_sessions
    for each row execute function private.tg__revoke_for_good();
