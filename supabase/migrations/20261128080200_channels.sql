-- By which channel a customer is reached, how much a garage sends, and when it keeps quiet.

create table public.channel_settings (
    garage_id uuid not null references public.garages (id),
    channel text not null,
    daily_limit int not null default 1000,
    recipient_daily_limit int not null default 10,
    quiet_from time,
    quiet_until time,
    updated_at timestamptz not null default now(),
    primary key (garage_id, channel),
    constraint channel_settings_channel check (channel in ('email', 'sms', 'whatsapp', 'push')),
    constraint channel_settings_daily_limit check (daily_limit between 0 and 100000),
    constraint channel_settings_recipient_limit check (recipient_daily_limit between 1 and 100),
    constraint channel_settings_quiet_hours check (
        num_nulls(quiet_from, quiet_until) in (0, 2) and quiet_from is distinct from quiet_until
        or num_nulls(quiet_from, quiet_until) = 2)
);
alter table public.channel_settings enable row level security;
alter table public.channel_settings force row level security;
comment on table public.channel_settings is
    'controller=garage; retention=contract. How much a garage sends by a channel per day, and when it keeps quiet; without a row 1000 a day, 10 to one address, at any hour';
comment on column public.channel_settings.garage_id is 'internal';
comment on column public.channel_settings.channel is 'internal';
comment on column public.channel_settings.daily_limit is
    'internal: messages per day of the garage; what is over waits for the next day';
comment on column public.channel_settings.recipient_daily_limit is
    'internal: messages per day to one address';
comment on column public.channel_settings.quiet_from is
    'internal: the garage''s own time; what comes in quiet hours waits for their end';
comment on column public.channel_settings.quiet_until is 'internal';
comment on column public.channel_settings.updated_at is 'internal';
comment on constraint channel_settings_channel on public.channel_settings is
    'channel_unknown: Messages are not sent this way | Use email, sms, whatsapp or push';
comment on constraint channel_settings_daily_limit on public.channel_settings is
    'limit_invalid: A daily limit is between 0 and 100000 | 0 sends nothing';
comment on constraint channel_settings_recipient_limit on public.channel_settings is
    'limit_invalid: A limit per address is between 1 and 100 a day | 10 is usual';
comment on constraint channel_settings_quiet_hours on public.channel_settings is
    'quiet_hours_invalid: Quiet hours have a beginning and another end | For example from 21:00 until 08:00; leave both out for none';
create trigger _050_require_permission before insert or update or delete on public.channel_settings
    for each statement execute function private.tg__require_permission('providers.write');
create trigger _100_touch_updated_at before update on public.channel_settings
    for each row execute function private.tg__touch_updated_at();

create function private.settings_of(garage_id uuid, channel text)
returns public.channel_settings
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    settings public.channel_settings;
begin
    select * into settings from public.channel_settings s
     where s.garage_id = settings_of.garage_id and s.channel = settings_of.channel;
    if not found then
        settings := row(garage_id, channel, 1000, 10, null, null, now());
    end if;
    return settings;
end $$;

create function private.quiet_until(settings public.channel_settings, at timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    zone text := (select g.time_zone from public.garages g where g.id = settings.garage_id);
    local timestamp := at at time zone zone;
    ends timestamp := local::date + settings.quiet_until;
begin
    if settings.quiet_from is null
        or (case when settings.quiet_from < settings.quiet_until
            then local::time < settings.quiet_from or local::time >= settings.quiet_until
            else local::time < settings.quiet_from and local::time >= settings.quiet_until end) then
        return null;
    end if;
    return case when ends > local then ends else ends + interval '1 day' end at time zone zone;
end $$;
comment on function private.quiet_until is
    'When the quiet hours end that are now, in the garage''s time; null when there are none';

-- Of one garage at most so many calls are under way at once, so that a slow provider of its leaves
-- room to the others.
create function private.calls_at_once()
returns int
language sql
immutable
set search_path = pg_catalog, pg_temp
return 2;

create index communications_under_way_idx on public.communications (garage_id, channel)
    where status = 'sending';
create index communications_sent_idx on public.communications (garage_id, channel, recipient,
    claimed_at) where claimed_at is not null;

create function private.wait_before_sending(communication public.communications,
    is_about_access boolean, out seconds int, out reason text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    settings public.channel_settings;
    midnight timestamptz;
    quiet_end timestamptz;
    today int;
    to_this_address int;
begin
    if (select count(*) from public.communications c
         where c.garage_id = communication.garage_id and c.channel = communication.channel
           and c.status = 'sending' and c.claimed_at > clock_timestamp() - interval '30 seconds')
        >= private.calls_at_once() then
        seconds := 1;
        return;
    elsif is_about_access then
        return;
    end if;
    settings := private.settings_of(communication.garage_id, communication.channel);
    quiet_end := private.quiet_until(settings, clock_timestamp());
    if quiet_end is not null then
        seconds := greatest(ceil(extract(epoch from quiet_end - clock_timestamp()))::int, 1);
        reason := 'quiet_hours';
        return;
    end if;
    select date_trunc('day', clock_timestamp(), g.time_zone) into midnight
      from public.garages g where g.id = communication.garage_id;
    select count(*), count(*) filter (where c.recipient = communication.recipient)
      into today, to_this_address
      from public.communications c
     where c.garage_id = communication.garage_id and c.channel = communication.channel
       and c.claimed_at >= midnight and c.id <> communication.id
       -- What was given up before anybody was called used nothing up.
       and not (c.status = 'failed' and c.provider is null);
    if today >= settings.daily_limit or to_this_address >= settings.recipient_daily_limit then
        seconds := greatest(ceil(extract(epoch from midnight + interval '1 day'
            - clock_timestamp()))::int, 1) + (random() * 300)::int;
        reason := case when today >= settings.daily_limit then 'daily_limit'
            else 'recipient_limit' end;
    end if;
end $$;
comment on function private.wait_before_sending is
    'How many seconds this message has to wait, and why; null when it may go now';

create function private.is_suppressed(garage_id uuid, channel text, address text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
return false;
create function private.may_contact(garage_id uuid, customer_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
return true;
create function private.has_open_window(garage_id uuid, customer_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
return false;
create function private.wording_for(garage_id uuid, kind text, channel text, locale text)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
return null::jsonb;

create function private.can_send(garage_id uuid, channel text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select private.has_module(can_send.garage_id, can_send.channel)
       and (can_send.channel = 'email' or exists (
               select from public.provider_accounts a
                where a.garage_id = can_send.garage_id and a.channel = can_send.channel
                  and a.is_active));
$$;
comment on function private.can_send is
    'May and can this garage send by this channel? E-mail goes by Autexor''s account where it has none';

create function private.address_of(customer public.customers, channel text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
return case address_of.channel when 'email' then customer.email else customer.phone end;

create function private.channel_for(customer public.customers, kind text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select o.channel
      from private.message_kind(channel_for.kind) k
     cross join unnest(array['email', 'sms', 'whatsapp']) with ordinality as o (channel, position)
     where o.channel = any (k.channels)
       and private.address_of(customer, o.channel) is not null
       and private.can_send(customer.garage_id, o.channel)
       and private.wants(customer.garage_id, customer.id, o.channel)
       and not private.is_suppressed(customer.garage_id, o.channel,
           private.address_of(customer, o.channel))
       and (o.channel <> 'whatsapp'
           or private.has_open_window(customer.garage_id, customer.id)
           or private.wording_for(customer.garage_id, k.kind, 'whatsapp', customer.locale)
               ->> 'content_sid' is not null)
       and private.may_contact(customer.garage_id, customer.id)
     order by o.channel = customer.preferred_channel desc nulls last, o.position
     limit 1;
$$;
comment on function private.channel_for is
    'How a customer is told of something: as preferred, else by e-mail, text or WhatsApp; null when not at all';

-- A garage that sends thousands at once gets them out evenly, and the others' come in between.
create table private.send_paces (
    garage_id uuid primary key references public.garages (id),
    next_at timestamptz not null
);
alter table private.send_paces enable row level security;
alter table private.send_paces force row level security;
comment on table private.send_paces is
    'controller=autexor; retention=contract. Up to when a garage''s messages are spread: ten a second, a hundred at once';
comment on column private.send_paces.garage_id is 'internal';
comment on column private.send_paces.next_at is 'internal';

create function private.send_delay(garage_id uuid)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into private.send_paces as p (garage_id, next_at)
    values (send_delay.garage_id, clock_timestamp() + interval '100 milliseconds')
    on conflict on constraint send_paces_pkey do update
       set next_at = greatest(p.next_at, clock_timestamp()) + interval '100 milliseconds'
    returning greatest(floor(extract(epoch from p.next_at - clock_timestamp())) - 10, 0)::int;
$$;
comment on function private.send_delay is
    'Seconds until the next message of a garage is due';

create function private.enqueue_communication(communication public.communications,
    delay_seconds int default 0)
returns void
language plpgsql
volatile
security definer -- as private.enqueue
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Who has to get in does not wait behind a thousand invoices.
    delay int := delay_seconds
        + case when (private.message_kind(communication.template)).is_about_access then 0
               else private.send_delay(communication.garage_id) end;
begin
    if delay = 0 then
        perform private.enqueue('send', communication.id);
    else
        -- No doorbell: there is nothing to do yet, and workers look by themselves.
        perform pgmq.send('send', jsonb_build_object('id', communication.id), delay);
    end if;
end $$;

create function private.tg_communications__enqueue()
returns trigger
language plpgsql
security definer -- as private.enqueue
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.enqueue_communication(new,
        (private.message_kind(new.template)).delay_seconds);
    return null;
end $$;
drop trigger _500_enqueue on public.communications;
drop trigger _500_enqueue_later on public.communications;
create trigger _500_enqueue after insert on public.communications
    for each row execute function private.tg_communications__enqueue();
