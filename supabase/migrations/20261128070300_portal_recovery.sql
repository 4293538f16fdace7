-- What a mail lets a customer do: set a forgotten password, bind a further device, take a new address.
-- Each token works once and for a short while; whoever asks learns nothing of who exists.

create table private.portal_challenges (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    account_id uuid not null,
    purpose text not null check (purpose in ('password_reset', 'device', 'email_change')),
    secret_sha256 text not null,
    install_sha256 text,
    fingerprint_sha256 text,
    new_login text check (new_login = lower(trim(new_login)) and private.is_email(new_login)),
    expires_at timestamptz not null,
    used_at timestamptz,
    created_at timestamptz not null default now(),
    foreign key (garage_id, account_id) references public.portal_accounts (garage_id, id),
    constraint portal_challenges_device check (
        (purpose = 'device') = (num_nonnulls(install_sha256, fingerprint_sha256) = 2)),
    constraint portal_challenges_new_login check ((purpose = 'email_change') = (new_login is not null))
);
alter table private.portal_challenges enable row level security;
alter table private.portal_challenges force row level security;
comment on table private.portal_challenges is
    'controller=garage; retention=30 days. Links and codes that were mailed to customers, by their hash, and what each allows';
comment on column private.portal_challenges.id is 'internal';
comment on column private.portal_challenges.garage_id is 'internal';
comment on column private.portal_challenges.account_id is 'internal';
comment on column private.portal_challenges.purpose is 'internal';
comment on column private.portal_challenges.secret_sha256 is 'secret';
comment on column private.portal_challenges.install_sha256 is
    'secret: hash of the installation the code is for';
comment on column private.portal_challenges.fingerprint_sha256 is
    'secret: hash of that installation''s fingerprint';
comment on column private.portal_challenges.new_login is
    'personal(contact; subject=customer; on_erasure=erase): the e-mail address to be confirmed';
comment on column private.portal_challenges.expires_at is 'internal';
comment on column private.portal_challenges.used_at is
    'internal: used, or replaced by a newer one';
comment on column private.portal_challenges.created_at is 'internal';
create unique index portal_challenges_open_idx on private.portal_challenges (garage_id, account_id,
    purpose) where used_at is null;
create index portal_challenges_account_idx on private.portal_challenges (garage_id, account_id);
create index portal_challenges_secret_idx on private.portal_challenges (secret_sha256);

create function private.challenge(account public.portal_accounts, purpose text, secret text,
    holds interval, device_id text default null, fingerprint text default null,
    new_login text default null)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    template text := case challenge.purpose when 'device' then 'portal_device_code'
        else 'portal_' || challenge.purpose end;
begin
    update private.portal_challenges c set used_at = clock_timestamp()
     where c.garage_id = account.garage_id and c.account_id = account.id
       and c.purpose = challenge.purpose and c.used_at is null;
    perform private.forget_portal_links(account.garage_id, account.customer_id, template);
    insert into private.portal_challenges (garage_id, account_id, purpose, secret_sha256,
        install_sha256, fingerprint_sha256, new_login, expires_at)
    values (account.garage_id, account.id, challenge.purpose, private.sha256_hex(secret),
        private.sha256_hex(challenge.device_id), private.sha256_hex(challenge.fingerprint),
        challenge.new_login, now() + holds);
    perform private.mail_about_access(c, coalesce(challenge.new_login, account.login), template,
                token => secret, expires_at => now() + holds)
       from public.customers c
      where c.garage_id = account.garage_id and c.id = account.customer_id;
end $$;
comment on function private.challenge is
    'Mails a token that replaces those before it; to the new address when that is what it is about';

create function private.live_challenge(purpose text, secret_sha256 text)
returns private.portal_challenges
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select c
      from private.portal_challenges c
      join public.portal_accounts a on a.garage_id = c.garage_id and a.id = c.account_id
     where c.purpose = live_challenge.purpose and c.secret_sha256 = live_challenge.secret_sha256
       and c.used_at is null and c.expires_at > now() and a.deactivated_at is null
       and private.has_module(c.garage_id, 'portal');
$$;

create function private.use_challenge(purpose text, secret_sha256 text)
returns public.portal_accounts
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    challenge private.portal_challenges := private.live_challenge(purpose, secret_sha256);
    account public.portal_accounts;
begin
    select * into account from public.portal_accounts a
     where a.garage_id = challenge.garage_id and a.id = challenge.account_id for update;
    update private.portal_challenges c set used_at = clock_timestamp()
     where c.id = challenge.id and c.used_at is null;
    return case when found then account end;
end $$;
comment on function private.use_challenge is
    'Spends a token; the account it is for, else null';

create function private.portal_forgot_password(garage_id uuid, login text, client_ip text,
    user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    name text := private.normal_login(login);
    account public.portal_accounts;
begin
    if private.is_address_blocked(client_ip)
        or coalesce(private.take(private.limit_key('forgot', garage_id::text, name), 3,
            interval '1 hour', interval '1 hour'), 0) > 0 then
        return '{}';
    end if;
    account := private.open_account(garage_id, name);
    if account.id is not null then
        perform private.challenge(account, 'password_reset', private.new_token(),
            interval '30 minutes');
        perform private.log_access(account.garage_id, 'password_reset_asked',
            'customer:' || account.id, null, null, client_ip, user_agent);
    end if;
    return '{}';
end $$;
comment on function private.portal_forgot_password is
    'Mails a link to set a new password, if this login exists; three times an hour at most';

create function private.portal_reset(token_sha256 text, client_ip text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads no table
set search_path = pg_catalog, pg_temp
as $$
declare
    challenge private.portal_challenges;
begin
    if not private.is_address_blocked(client_ip) then
        challenge := private.live_challenge('password_reset', token_sha256);
    end if;
    if challenge.id is null then
        return jsonb_build_object('error', 'link_invalid');
    end if;
    return (select jsonb_build_object('login', a.login) from public.portal_accounts a
             where a.garage_id = challenge.garage_id and a.id = challenge.account_id);
end $$;
comment on function private.portal_reset is
    'The login whose password this token may set; counted per address, before anything slow';

create function private.portal_reset_password(token_sha256 text, password_hash text, client_ip text,
    user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    account public.portal_accounts := private.use_challenge('password_reset', token_sha256);
begin
    if account.id is null then
        return jsonb_build_object('error', 'link_invalid');
    end if;
    update private.portal_credentials c
       set password_hash = portal_reset_password.password_hash, updated_at = now()
     where c.account_id = account.id;
    perform private.end_portal_sessions(account, 'password_reset');
    perform private.log_access(account.garage_id, 'password_reset', 'customer:' || account.id,
        null, null, client_ip, user_agent);
    perform private.notify_of_change(account, 'password_changed');
    return '{}';
end $$;
comment on function private.portal_reset_password is
    'Sets a forgotten password and ends every session';

create function private.portal_device_ask(attempt_id uuid, is_ok boolean, device_id text,
    fingerprint text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt private.login_attempts := private.settle_attempt(attempt_id, 'device', is_ok);
    account public.portal_accounts;
begin
    if coalesce(attempt.is_ok, false)
        and coalesce(private.take(private.limit_key('device code', attempt.account_id::text), 5,
            interval '1 hour', interval '1 hour'), 0) <= 0 then
        select * into account from public.portal_accounts a
         where a.garage_id = attempt.garage_id and a.id = attempt.account_id;
        perform private.challenge(account, 'device',
            upper(left(replace(gen_random_uuid()::text, '-', ''), 12)), interval '15 minutes',
            device_id, fingerprint);
        perform private.log_access(account.garage_id, 'device_asked', 'customer:' || account.id,
            null, null, host(attempt.client_ip), attempt.user_agent);
    end if;
    return '{}';
end $$;
comment on function private.portal_device_ask is
    'Mails a code that binds this installation, when the password was right; 48 random bits, for fifteen minutes';

create function private.portal_device_finish(attempt_id uuid, is_ok boolean, code_sha256 text,
    device_id text, fingerprint text, label text, pin_hash text, refresh_token_sha256 text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    challenge private.portal_challenges := private.live_challenge('device', code_sha256);
    attempt private.login_attempts;
    account public.portal_accounts;
begin
    attempt := private.settle_attempt(attempt_id, 'device', is_ok
        and coalesce(challenge.install_sha256 = private.sha256_hex(device_id)
            and challenge.fingerprint_sha256 = private.sha256_hex(fingerprint)
            and challenge.account_id = (select l.account_id from private.login_attempts l
                                         where l.id = attempt_id), false));
    if attempt.is_ok then
        account := private.use_challenge('device', code_sha256);
    end if;
    if account.id is null then
        return '{}';
    end if;
    attempt.device_id := private.bind_device(account, portal_device_finish.device_id,
        portal_device_finish.fingerprint, label, portal_device_finish.pin_hash,
        attempt.key_thumbprint);
    perform private.notify_of_change(account, 'device_added');
    return private.begin_portal_session(attempt, refresh_token_sha256, 'device_added');
end $$;
comment on function private.portal_device_finish is
    'Binds an installation with password and mailed code, gives it its PIN and opens a session there; or nothing';

create function private.portal_confirm_email(token_sha256 text, client_ip text, user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    challenge private.portal_challenges;
    account public.portal_accounts;
begin
    if not private.is_address_blocked(client_ip) then
        challenge := private.live_challenge('email_change', token_sha256);
        account := private.use_challenge('email_change', token_sha256);
    end if;
    if account.id is null then
        return jsonb_build_object('error', 'link_invalid');
    end if;
    perform private.notify_of_change(account, 'email_changed');
    update public.portal_accounts a set login = challenge.new_login
     where a.garage_id = account.garage_id and a.id = account.id;
    perform private.log_access(account.garage_id, 'email_changed', 'customer:' || account.id,
        null, null, client_ip, user_agent);
    return '{}';
exception when unique_violation then
    return jsonb_build_object('error', 'link_invalid');
end $$;
comment on function private.portal_confirm_email is
    'The new address is the login from now on; the old one is told';
grant execute on function private.portal_forgot_password, private.portal_reset,
    private.portal_reset_password, private.portal_device_ask, private.portal_device_finish,
    private.portal_confirm_email to edge;
