-- A garage sends by its own accounts: one in use per channel. Keys are write-only: they go into the vault,
-- the row keeps the last characters, and only a claimed job hands a key out again, to the worker.

insert into private.modules (module, description)
values ('sms', 'Text messages are sent to customers'),
       ('whatsapp', 'WhatsApp messages are sent to customers');
insert into private.permissions (permission, module)
values ('providers.read', null), ('providers.write', null);
insert into private.role_permissions (role, permission)
select role, 'providers.' || unnest(array['read', 'write'])
  from unnest(array['owner', 'manager']::public.member_role[]) role;

create table public.provider_accounts (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    channel text not null,
    provider text not null,
    sender_address text not null,
    sender_name text,
    host text,
    port int,
    security text,
    username text,
    account_sid text,
    webhook_public_key text,
    secret_id uuid,
    secret_tail text not null,
    is_active boolean not null generated always as (secret_id is not null) stored,
    test_status text not null default 'untested',
    test_reason text,
    tested_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint provider_accounts_channel check (channel in ('email', 'sms', 'whatsapp')),
    constraint provider_accounts_provider check (
        provider in ('sendgrid', 'smtp') and channel = 'email'
        or provider = 'twilio' and channel in ('sms', 'whatsapp')),
    constraint provider_accounts_sender check (
        case when channel = 'email' then length(sender_address) <= 254
                and sender_address ~ '^[^\s@<>,;"]+@[^\s@<>,;"]+\.[^\s@<>,;"]+$'
            else sender_address ~ '^(\+[1-9][0-9]{6,14}|MG[0-9a-f]{32})$' end),
    constraint provider_accounts_sender_name check (
        length(sender_name) between 1 and 100 and sender_name !~ '[[:cntrl:]]'),
    constraint provider_accounts_smtp check (
        case when provider = 'smtp' then num_nulls(host, port, security, username) = 0
                and host ~ '^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$'
                and port between 1 and 65535 and security in ('tls', 'starttls')
                and length(username) between 1 and 254
            else num_nonnulls(host, port, security, username) = 0 end),
    constraint provider_accounts_account_sid check (
        case when provider = 'twilio' then coalesce(account_sid ~ '^AC[0-9a-f]{32}$', false)
            else account_sid is null end),
    constraint provider_accounts_webhook_key check (
        length(webhook_public_key) <= 400 and (provider = 'sendgrid' or webhook_public_key is null)),
    constraint provider_accounts_test check (test_status in ('untested', 'ok', 'failed'))
);
alter table public.provider_accounts enable row level security;
alter table public.provider_accounts force row level security;
comment on table public.provider_accounts is
    'controller=garage; retention=contract. The garage''s own accounts with senders of mails and texts; one in use per channel';
comment on column public.provider_accounts.id is 'internal';
comment on column public.provider_accounts.garage_id is 'internal';
comment on column public.provider_accounts.channel is 'internal';
comment on column public.provider_accounts.provider is 'internal';
comment on column public.provider_accounts.sender_address is
    'internal: an e-mail address, a number or a messaging service, as the provider knows it';
comment on column public.provider_accounts.sender_name is
    'internal: null is the garage''s trade name';
comment on column public.provider_accounts.host is 'internal: of an SMTP server';
comment on column public.provider_accounts.port is 'internal: of an SMTP server';
comment on column public.provider_accounts.security is
    'internal: tls from the first byte, or starttls';
comment on column public.provider_accounts.username is 'internal: of an SMTP server';
comment on column public.provider_accounts.account_sid is 'internal: Twilio''s name for the account';
comment on column public.provider_accounts.webhook_public_key is
    'internal: with it SendGrid''s event webhooks are verified';
comment on column public.provider_accounts.secret_id is 'secret: where the vault has the key';
comment on column public.provider_accounts.secret_tail is
    'internal: the last four characters of the key, to recognise it by';
comment on column public.provider_accounts.is_active is
    'internal: in use, as long as there is a key to it';
comment on column public.provider_accounts.test_status is 'internal';
comment on column public.provider_accounts.test_reason is 'internal: kind of error, never content';
comment on column public.provider_accounts.tested_at is 'internal';
comment on column public.provider_accounts.created_at is 'internal';
comment on column public.provider_accounts.updated_at is 'internal';
comment on constraint provider_accounts_channel on public.provider_accounts is
    'channel_unknown: Messages are not sent this way | Use email, sms or whatsapp';
comment on constraint provider_accounts_provider on public.provider_accounts is
    'provider_unknown: This provider does not send by this channel | E-mail goes by sendgrid or smtp, sms and whatsapp by twilio';
comment on constraint provider_accounts_sender on public.provider_accounts is
    'sender_invalid: This is no address to send from | An e-mail address, for texts a number like +32470123456 or a messaging service (MG…)';
comment on constraint provider_accounts_sender_name on public.provider_accounts is
    'sender_name_invalid: A sender''s name has 1 to 100 characters on one line | Leave it out to use the garage''s trade name';
comment on constraint provider_accounts_smtp on public.provider_accounts is
    'smtp_invalid: A mail server needs a host, a port, tls or starttls, and a user name; others have none | For example smtp.example.be, 465, tls';
comment on constraint provider_accounts_account_sid on public.provider_accounts is
    'account_sid_invalid: Twilio''s account is named by AC and 32 hexadecimal characters | Copy it from Twilio''s console';
comment on constraint provider_accounts_webhook_key on public.provider_accounts is
    'webhook_key_invalid: Only SendGrid''s webhooks are verified by a public key of up to 400 characters | Copy the verification key from SendGrid''s settings';
create unique index provider_accounts_in_use_idx on public.provider_accounts (garage_id, channel)
    where is_active;
create index provider_accounts_garage_idx on public.provider_accounts (garage_id, created_at desc);
create trigger _100_touch_updated_at before update on public.provider_accounts
    for each row execute function private.tg__touch_updated_at();

create function private.check_provider_secret(provider text, secret text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(length(secret), 0) not between 8 and 512 or secret ~ '[[:space:][:cntrl:]]'
        or provider = 'sendgrid' and secret !~ '^SG\.' then
        perform private.refuse('provider_secret_invalid', 'This cannot be the key of such an account',
            'Copy it whole: SendGrid''s begin with SG., Twilio wants the auth token', 422);
    end if;
end $$;
comment on function private.check_provider_secret is
    'Refuses what cannot be a key; what it was is never said';

create function private.stop_provider_account(garage_id uuid, account_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    key uuid;
begin
    select a.secret_id into key from public.provider_accounts a
     where a.garage_id = stop_provider_account.garage_id and a.id = account_id for update;
    update public.provider_accounts a set secret_id = null
     where a.garage_id = stop_provider_account.garage_id and a.id = account_id;
    delete from vault.secrets s where s.id = key;
end $$;
comment on function private.stop_provider_account is
    'Takes an account out of use and forgets its key; the row stays, for what was sent by it';

create function private.set_provider_account(channel text, provider text, secret text,
    sender_address text, sender_name text, host text, port int, security text, username text,
    account_sid text, webhook_public_key text)
returns uuid
language plpgsql
volatile
security definer -- the vault is closed to members, and so is writing here by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('providers.write');
    account_id uuid := gen_random_uuid();
    replaced uuid;
begin
    perform private.check_provider_secret(provider, secret);
    -- One at a time per garage: two who set the same channel would both find none in use.
    perform from public.garages g where g.id = garage for no key update;
    select a.id into replaced from public.provider_accounts a
     where a.garage_id = garage and a.channel = set_provider_account.channel and a.is_active;
    if found then
        perform private.stop_provider_account(garage, replaced);
    end if;
    insert into public.provider_accounts (id, garage_id, channel, provider, sender_address,
        sender_name, host, port, security, username, account_sid, webhook_public_key, secret_id,
        secret_tail)
    values (account_id, garage, channel, provider, sender_address, sender_name, lower(host), port,
        security, username, account_sid, webhook_public_key,
        vault.create_secret(secret, 'provider_account:' || account_id), right(secret, 4));
    return account_id;
end $$;

create function private.replace_provider_secret(provider_account_id uuid, secret text,
    webhook_public_key text)
returns void
language plpgsql
volatile
security definer -- the vault is closed to members
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('providers.write');
    account public.provider_accounts;
begin
    select * into account from public.provider_accounts a
     where a.garage_id = garage and a.id = provider_account_id and a.is_active for update;
    if not found then
        perform private.refuse('provider_account_not_found', 'No such account is in use',
            'Look at the list, or set up a new one', 404);
    end if;
    perform private.check_provider_secret(account.provider, secret);
    perform vault.update_secret(account.secret_id, secret);
    update public.provider_accounts a
       set secret_tail = right(secret, 4), test_status = 'untested', test_reason = null,
           tested_at = null,
           webhook_public_key = coalesce(replace_provider_secret.webhook_public_key,
               a.webhook_public_key)
     where a.id = account.id;
end $$;

create function private.remove_provider_account(provider_account_id uuid)
returns void
language plpgsql
volatile
security definer -- the vault is closed to members
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('providers.write');
begin
    if not exists (select from public.provider_accounts a
                    where a.garage_id = garage and a.id = provider_account_id and a.is_active) then
        perform private.refuse('provider_account_not_found', 'No such account is in use',
            'Look at the list, or set up a new one', 404);
    end if;
    perform private.stop_provider_account(garage, provider_account_id);
end $$;

create function private.account_in_use(garage_id uuid, channel text)
returns public.provider_accounts
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select a from public.provider_accounts a
     where a.garage_id = account_in_use.garage_id and a.channel = account_in_use.channel
       and a.is_active;
$$;

create function private.account_with_key(account public.provider_accounts)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('provider', account.provider, 'id', account.id,
               'secret', s.decrypted_secret)
           || case account.provider
               when 'smtp' then jsonb_build_object('host', account.host, 'port', account.port,
                   'security', account.security, 'username', account.username)
               when 'twilio' then jsonb_build_object('account_sid', account.account_sid,
                   'sender', account.sender_address)
               else '{}' end
      from vault.decrypted_secrets s where s.id = account.secret_id;
$$;
comment on function private.account_with_key is
    'What a worker needs to send by an account, the key among it; null without an account';

create function public.set_provider_account(channel text, provider text, secret text,
    sender_address text, sender_name text default null, host text default null,
    port int default null, security text default null, username text default null,
    account_sid text default null, webhook_public_key text default null)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.set_provider_account(set_provider_account.channel,
        set_provider_account.provider, set_provider_account.secret,
        set_provider_account.sender_address, set_provider_account.sender_name,
        set_provider_account.host, set_provider_account.port, set_provider_account.security,
        set_provider_account.username, set_provider_account.account_sid,
        set_provider_account.webhook_public_key);
end;
comment on function public.set_provider_account is
    'Sends by this account of the garage from now on; the key is kept where nobody reads it. The account''s id';
create function public.replace_provider_secret(provider_account_id uuid, secret text,
    webhook_public_key text default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.replace_provider_secret(replace_provider_secret.provider_account_id,
        replace_provider_secret.secret, replace_provider_secret.webhook_public_key);
end;
comment on function public.replace_provider_secret is
    'A new key for the same account, and if given the key its webhooks are verified with: the account keeps its id, which is in their address';
create function public.remove_provider_account(provider_account_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.remove_provider_account(remove_provider_account.provider_account_id);
end;
comment on function public.remove_provider_account is
    'Takes an account out of use and forgets its key; e-mail then goes by Autexor''s own account, texts stop';
grant execute on function private.set_provider_account, private.replace_provider_secret,
    private.remove_provider_account, public.set_provider_account, public.replace_provider_secret,
    public.remove_provider_account to authenticated;
