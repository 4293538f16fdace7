-- What customers reach: sign-in by way of the edge, read-only views of their own data, and the few
-- RPCs they may call.

create table private.document_grants (
    nonce_sha256 text primary key,
    garage_id uuid not null,
    session_id uuid not null,
    document_id uuid not null,
    object_name text not null,
    expires_at timestamptz not null,
    foreign key (garage_id, session_id)
        references public.portal_sessions (garage_id, id) on delete cascade,
    foreign key (garage_id, document_id) references public.invoice_documents (garage_id, id)
);
alter table private.document_grants enable row level security;
alter table private.document_grants force row level security;
comment on table private.document_grants is
    'controller=garage; retention=1 hour. One-minute permissions to have a link to a document signed; only the edge knows the nonce';
comment on column private.document_grants.nonce_sha256 is 'secret';
comment on column private.document_grants.garage_id is 'internal';
comment on column private.document_grants.session_id is 'internal';
comment on column private.document_grants.document_id is 'internal';
comment on column private.document_grants.object_name is 'internal';
comment on column private.document_grants.expires_at is 'internal';
create index document_grants_session_idx on private.document_grants (garage_id, session_id);
create index document_grants_document_idx on private.document_grants (garage_id, document_id);

create function private.log_access(
    garage_id uuid, event text, actor text, subject_id uuid, session_id uuid, client_ip text,
        user_agent text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into audit.access_entries (garage_id, event, actor, subject_id, session_id, client_ip,
        user_agent)
    values (log_access.garage_id, log_access.event, log_access.actor, log_access.subject_id,
        log_access.session_id,
            nullif(log_access.client_ip, '')::inet, left(log_access.user_agent, 400));
$$;

create function private.portal_login_reserve(
    garage_id uuid, login text, device_id text, fingerprint text, client_ip text, user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads no table
set search_path = pg_catalog, pg_temp
as $$
declare
    install text := encode(sha256(convert_to(device_id, 'UTF8')), 'hex');
    print text := encode(sha256(convert_to(fingerprint, 'UTF8')), 'hex');
    name text := lower(btrim(login, E' \t\r\n'));
    address inet := nullif(client_ip, '')::inet;
    account public.portal_accounts;
    device public.portal_devices;
    keys text[];
    wait int;
    attempt uuid := gen_random_uuid();
begin
    select * into account from public.portal_accounts a
     where a.garage_id = portal_login_reserve.garage_id and a.login = name
       and a.deactivated_at is null and private.has_module(a.garage_id, 'portal');
    select * into device from public.portal_devices d
     where d.garage_id = portal_login_reserve.garage_id and d.account_id = account.id
       and d.install_sha256 = install and d.fingerprint_sha256 = print and d.revoked_at is null;
    -- A known device has a counter of its own, so that strangers cannot lock its owner out. One line
    -- of a customer's provider holds a /64 of IPv6 addresses.
    keys := array[
        private.limit_key('login', portal_login_reserve.garage_id::text, name,
            coalesce(device.id::text, 'stranger')),
        private.limit_key('login address',
            network(set_masklen(address, case family(address) when 6 then 64 else 32 end))::text)];
    if private.take(keys[2], 60, interval '15 minutes', interval '15 minutes') > 0 then
        return jsonb_build_object('attempt_id', attempt, 'is_allowed', false,
            'retry_after_seconds', 0,
            'is_address_blocked', true, 'password_hash', null, 'pin_hash', null);
    end if;
    wait := greatest(private.take(keys[1], 5, interval '15 minutes', interval '15 minutes'), 0);
    insert into private.login_attempts
        (id, garage_id, account_id, device_id, limit_keys, is_allowed, client_ip, user_agent)
    select attempt, g.id, account.id, device.id, keys, wait = 0, address,
           left(portal_login_reserve.user_agent, 400)
      from public.garages g where g.id = portal_login_reserve.garage_id;
    return jsonb_build_object(
        'attempt_id', attempt, 'is_allowed', wait = 0 and found,
        'retry_after_seconds', wait, 'is_address_blocked', false,
        'password_hash', (select c.password_hash from private.portal_credentials c
                           where c.account_id = account.id),
        'pin_hash', (select p.pin_hash from private.portal_pins p where p.device_id = device.id));
end $$;
comment on function private.portal_login_reserve is
    'Counts a sign-in before it is tried, unknown logins too, and hands the edge the hashes to compare with';

create function private.open_portal_session(attempt private.login_attempts)
returns public.portal_sessions
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.portal_sessions
        (garage_id, account_id, device_id, client_ip, user_agent, idle_expires_at, expires_at)
    select g.id, attempt.account_id, attempt.device_id, attempt.client_ip, attempt.user_agent,
           now() + make_interval(mins => g.portal_idle_minutes),
               now() + make_interval(hours => g.portal_session_hours)
      from public.garages g where g.id = attempt.garage_id
    returning *;
$$;

create function private.session_facts(session public.portal_sessions)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('session_id', session.id, 'account_id', session.account_id,
        'garage_id', session.garage_id, 'idle_seconds', g.portal_idle_minutes * 60,
        'expires_at', session.expires_at)
      from public.garages g where g.id = session.garage_id;
$$;

create function private.portal_login_finish(attempt_id uuid, is_ok boolean,
    refresh_token_sha256 text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    attempt private.login_attempts;
    session public.portal_sessions;
begin
    update private.login_attempts l
       set finished_at = clock_timestamp(),
           is_ok = portal_login_finish.is_ok and l.is_allowed and exists (
               select from public.portal_accounts a
                 join public.portal_devices d on d.garage_id = a.garage_id and d.account_id = a.id
                where a.garage_id = l.garage_id and a.id = l.account_id and d.id = l.device_id
                  and a.deactivated_at is null and d.revoked_at is null
                  and private.has_module(a.garage_id, 'portal'))
     where l.id = attempt_id and l.finished_at is null
       and l.created_at > now() - interval '1 minute'
    returning * into attempt;
    if not found then
        return '{}';
    end if;
    if attempt.is_ok then
        session := private.open_portal_session(attempt);
        insert into private.portal_refresh_tokens (token_sha256, garage_id, session_id)
        values (refresh_token_sha256, session.garage_id, session.id);
        update public.portal_devices d set last_seen_at = now()
         where d.garage_id = session.garage_id and d.id = session.device_id;
        delete from private.rate_limits r where r.key = attempt.limit_keys[1];
        -- Of an address that many people share only the failures are counted.
        update private.rate_limits r set hits = greatest(r.hits - 1, 0)
         where r.key = attempt.limit_keys[2];
    end if;
    perform private.log_access(attempt.garage_id,
        case when attempt.is_ok then 'login' when attempt.is_allowed
            then 'login_failed' else 'login_locked' end,
        coalesce('customer:' || attempt.account_id, 'unknown'), null, session.id,
        host(attempt.client_ip), attempt.user_agent);
    return case when attempt.is_ok then private.session_facts(session) else '{}' end;
end $$;
comment on function private.portal_login_finish is
    'Ends an attempt: a session with its first refresh token, or nothing; the counter is cleared by success alone';

create function private.end_portal_session(session_id uuid, reason text, client_ip text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions;
begin
    update public.portal_sessions s set revoked_at = clock_timestamp(),
        revoke_reason = end_portal_session.reason
     where s.id = end_portal_session.session_id and s.revoked_at is null
    returning * into session;
    if found then
        perform private.log_access(session.garage_id, reason, 'customer:' || session.account_id,
            null,
            session.id, client_ip, null);
    end if;
end $$;

create function private.portal_refresh(
    refresh_token_sha256 text, next_token_sha256 text, device_id text, fingerprint text,
        client_ip text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    token private.portal_refresh_tokens;
    session public.portal_sessions;
    is_first boolean;
begin
    select * into token from private.portal_refresh_tokens t
     where t.token_sha256 = refresh_token_sha256 for update;
    if not found then
        return jsonb_build_object('error', 'refresh_token_invalid');
    end if;
    is_first := token.used_at is null;
    if not is_first and token.used_at < clock_timestamp() - interval '10 seconds' then
        perform private.end_portal_session(token.session_id, 'refresh_token_reused', client_ip);
        return jsonb_build_object('error', 'refresh_token_reused');
    end if;
    select l.* into session from public.portal_sessions s,
           private.live_portal_session(s.id, s.account_id, s.garage_id) l
               where s.id = token.session_id;
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    if not exists (select from public.portal_devices d where d.garage_id = session.garage_id
        and d.id = session.device_id
            and d.install_sha256 = encode(sha256(convert_to(portal_refresh.device_id, 'UTF8')),
                'hex')
            and d.fingerprint_sha256 = encode(sha256(convert_to(portal_refresh.fingerprint,
                'UTF8')), 'hex')) then
        perform private.end_portal_session(session.id, 'device_mismatch', client_ip);
        return jsonb_build_object('error', 'device_mismatch');
    end if;
    if is_first then
        update private.portal_refresh_tokens t set used_at = clock_timestamp()
            where t.token_sha256 = token.token_sha256;
        insert into private.portal_refresh_tokens (token_sha256, garage_id, session_id)
        values (next_token_sha256, session.garage_id, session.id);
        update public.portal_sessions s
           set refreshed_at = now(),
               idle_expires_at = now() + (select make_interval(mins => g.portal_idle_minutes)
                                            from public.garages g where g.id = s.garage_id)
         where s.id = session.id;
    end if;
    return private.session_facts(session);
end $$;
comment on function private.portal_refresh is
    'Spends a refresh token. Within ten seconds a repeat gets the same successor; later it ends the session';

create function private.portal_logout(refresh_token_sha256 text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session_id uuid := (select t.session_id from private.portal_refresh_tokens t
                         where t.token_sha256 = refresh_token_sha256);
begin
    perform private.end_portal_session(session_id, 'logout', null);
    return jsonb_build_object('session_id', session_id);
end $$;

create function private.portal_grant_document(
    session_id uuid, account_id uuid, garage_id uuid, invoice_id uuid, grant_sha256 text,
    client_ip text, user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.live_portal_session(session_id, account_id,
        garage_id);
    document public.invoice_documents;
    invoice_number text;
begin
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    select d.* into document
      from public.invoice_documents d
      join public.invoices i on i.garage_id = d.garage_id and i.id = d.invoice_id
      join public.portal_accounts a on a.garage_id = i.garage_id and a.customer_id = i.customer_id
     where a.garage_id = session.garage_id and a.id = session.account_id
       and i.id = portal_grant_document.invoice_id and i.issued_at is not null
           and d.status = 'stored'
       and private.has_module(i.garage_id, 'invoicing')
           and private.has_module(i.garage_id, 'pdf_storage')
     order by d.version desc limit 1;
    if not found then
        return jsonb_build_object('error', 'document_not_found');
    end if;
    insert into private.document_grants (nonce_sha256, garage_id, session_id, document_id,
        object_name, expires_at)
    values (grant_sha256, session.garage_id, session.id, document.id, document.storage_path,
        now() + interval '1 minute');
    perform private.log_access(session.garage_id, 'document_link_issued',
        'customer:' || session.account_id,
        document.invoice_id, session.id, client_ip, user_agent);
    select i.invoice_number into invoice_number from public.invoices i
        where i.id = document.invoice_id;
    return jsonb_build_object('bucket', 'invoices', 'path', document.storage_path,
        'filename', invoice_number || '.pdf');
end $$;
comment on function private.portal_grant_document is
    'Logs that a customer asks for a document, and lets the edge have one link to it signed within a minute';
grant execute on function private.portal_login_reserve, private.portal_login_finish,
    private.portal_refresh,
    private.portal_logout, private.portal_grant_document to edge;

create function private.granted_object_name()
returns text
language plpgsql
stable
security definer -- grants are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
declare
    nonce text;
begin
    nonce := current_setting('request.headers', true)::jsonb ->> 'x-document-grant';
    return (select g.object_name from private.document_grants g
             where g.nonce_sha256 = encode(sha256(convert_to(nonce, 'UTF8')), 'hex')
               and g.session_id = (private.portal_session()).id and g.expires_at > now()
               and private.has_module(g.garage_id, 'pdf_storage'));
exception when others then
    return null;
end $$;
comment on function private.granted_object_name is
    'The object that the nonce in this request''s headers gives access to; else null. Never raises';
grant execute on function private.granted_object_name to portal;

create view portal.garage with (security_invoker = on) as
    select id, trade_name, legal_name, enterprise_number, vat_number, street, postal_code, city,
        country_code,
           email, phone, iban, bic, accent_color, portal_idle_minutes
      from public.garages;
comment on view portal.garage is
    'The garage whose portal this is, and after how many idle minutes the app signs out';

create view portal.profile with (security_invoker = on) as
    select id, garage_id, kind, full_name, company_name, email, phone, street, postal_code, city,
        country_code,
           vat_number, locale
      from public.customers;
comment on view portal.profile is
    'The customer''s own data as the garage has it; corrections go through the garage';

create view portal.vehicles with (security_invoker = on) as
    select id, garage_id, plate, vin, make, model, fuel, first_registered_on from public.vehicles;
comment on view portal.vehicles is 'The vehicles the customer owns now';

create view portal.odometer_readings with (security_invoker = on) as
    select id, garage_id, vehicle_id, reading_km, read_on from public.odometer_readings;
comment on view portal.odometer_readings is
    'Odometer readings of the customer''s vehicles, from their own time';

create view portal.invoices with (security_invoker = on) as
    select id, garage_id, customer_id, vehicle_id, invoice_number, issue_date, due_date,
        supply_date, odometer_km,
           currency, net_total, vat_total, gross_total, structured_communication, note
      from public.invoices;
comment on view portal.invoices is 'The customer''s issued invoices';

create view portal.invoice_lines with (security_invoker = on) as
    select id, garage_id, invoice_id, position, description, quantity, unit_price, vat_rate,
        net_amount
      from public.invoice_lines;
comment on view portal.invoice_lines is 'The lines of the customer''s issued invoices';

create view portal.invoice_vat_totals with (security_invoker = on) as
    select garage_id, invoice_id, vat_rate, base, vat from public.invoice_vat_totals;
comment on view portal.invoice_vat_totals is
    'Base and VAT per rate of the customer''s issued invoices';

create view portal.conversations with (security_invoker = on) as
    select id, garage_id, closed_at, created_at from public.conversations;
comment on view portal.conversations is 'The customer''s threads with the garage';

create view portal.messages with (security_invoker = on) as
    select id, garage_id, conversation_id, sender, body, read_at, created_at from public.messages;
comment on view portal.messages is
    'What customer and garage wrote to each other; read_at is when the other side read it';

create function private.portal_send_message(body text, conversation_id uuid)
returns portal.messages
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.portal_garage_id('conversations');
    customer uuid := private.portal_customer_id();
    thread uuid;
    sent portal.messages;
begin
    if garage is null or customer is null then
        perform private.refuse('module_closed', 'Messages are switched off at this garage',
            'Call the garage instead', 403);
    elsif private.take(private.limit_key('message', customer::text), 20, interval '1 minute',
        interval '1 minute') > 0 then
        perform private.refuse('too_many_messages', 'Too many messages in one minute',
            'Wait a minute', 429);
    end if;
    if portal_send_message.conversation_id is null then
        insert into public.conversations (garage_id, customer_id) values (garage,
            customer) on conflict do nothing;
    end if;
    select c.id into thread from public.conversations c
     where c.garage_id = garage and c.customer_id = customer and c.closed_at is null
       and c.id = coalesce(portal_send_message.conversation_id, c.id);
    if not found then
        perform private.refuse('conversation_not_found',
            'This conversation does not exist or is closed',
            'Begin a new one', 404);
    end if;
    insert into public.messages as m (garage_id, conversation_id, sender, author_user_id, body)
    values (garage, thread, 'customer', null, portal_send_message.body)
    returning m.id, m.garage_id, m.conversation_id, m.sender, m.body, m.read_at,
        m.created_at into sent;
    return sent;
end $$;

create function private.portal_mark_conversation_read(conversation_id uuid)
returns int
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    marked int;
begin
    update public.messages m set read_at = now()
      from public.conversations c
     where c.garage_id = private.portal_garage_id('conversations')
         and c.customer_id = private.portal_customer_id()
       and c.id = portal_mark_conversation_read.conversation_id
       and m.garage_id = c.garage_id and m.conversation_id = c.id and m.sender = 'garage'
           and m.read_at is null;
    get diagnostics marked = row_count;
    return marked;
end $$;

create function private.portal_register_push_token(expo_token text)
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
    end if;
    -- A phone that changed hands must not go on showing the notices of who had it before.
    update public.push_devices p set retired_at = now(), updated_at = now()
     where p.garage_id = session.garage_id and p.portal_device_id <> session.device_id
       and p.expo_token = portal_register_push_token.expo_token and p.retired_at is null;
    insert into public.push_devices as p (garage_id, portal_device_id, expo_token)
    values (session.garage_id, session.device_id, portal_register_push_token.expo_token)
    on conflict (garage_id, portal_device_id)
        do update set expo_token = excluded.expo_token, retired_at = null, updated_at = now();
end $$;
grant execute on function private.portal_send_message, private.portal_mark_conversation_read,
    private.portal_register_push_token to portal;

create function portal.send_message(body text, conversation_id uuid default null)
returns portal.messages
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.portal_send_message(send_message.body, send_message.conversation_id) m;
end;
comment on function portal.send_message is
    'Writes to the garage, in the open conversation or a new one; the message as stored';

create function portal.mark_conversation_read(conversation_id uuid)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.portal_mark_conversation_read(mark_conversation_read.conversation_id);
end;
comment on function portal.mark_conversation_read is
    'Marks what the garage wrote as read; the number of messages it marked';

create function portal.register_push_token(expo_token text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.portal_register_push_token(register_push_token.expo_token);
end;
comment on function portal.register_push_token is 'Where pushes for this device go from now on';
grant execute on function portal.send_message, portal.mark_conversation_read,
    portal.register_push_token to portal;

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('invoices', 'invoices', false, 10485760, array['application/pdf'])
on conflict (id) do nothing;
