-- What providers say about what was sent: one row per event, added and never changed. The row of the
-- message follows, forward only, whatever order the events come in; while a worker holds a message its
-- events wait in their rows, and count when the worker has recorded its own outcome.

create function private.settle_delivery(status text, news text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select w.word
      from unnest('{queued,sending,unknown,sent,failed,delivered,read}'::text[])
        with ordinality as w (word, rank)
     where w.word = settle_delivery.status or w.word = any (settle_delivery.news)
     order by w.rank desc limit 1;
$$;
comment on function private.settle_delivery is
    'The lattice of deliveries: the furthest of what was and what is told. A failure is further than sent, an arrival further than a failure';

create table public.delivery_events (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    communication_id uuid,
    push_notification_id uuid,
    provider text not null,
    event text not null,
    status text,
    provider_id text,
    code text,
    event_key text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    unique (garage_id, id),
    unique (garage_id, event_key),
    foreign key (garage_id, communication_id) references public.communications (garage_id, id),
    foreign key (garage_id, push_notification_id)
        references public.push_notifications (garage_id, id),
    constraint delivery_events_one_subject
        check (num_nonnulls(communication_id, push_notification_id) = 1),
    constraint delivery_events_provider check (provider in ('sendgrid', 'twilio', 'expo')),
    constraint delivery_events_status check (status in ('sent', 'delivered', 'read', 'failed')),
    constraint delivery_events_are_short check (length(event) between 1 and 40
        and length(provider_id) <= 200 and length(code) <= 80 and length(event_key) <= 200)
);
alter table public.delivery_events enable row level security;
alter table public.delivery_events force row level security;
comment on table public.delivery_events is
    'controller=garage; retention=garage policy. What providers told of a message or push, one row per event; never changed';
comment on column public.delivery_events.id is 'internal';
comment on column public.delivery_events.garage_id is 'internal';
comment on column public.delivery_events.communication_id is 'internal';
comment on column public.delivery_events.push_notification_id is 'internal';
comment on column public.delivery_events.provider is 'internal';
comment on column public.delivery_events.event is 'internal: in the provider''s own word';
comment on column public.delivery_events.status is
    'internal: what it means for the message; null when it changes nothing';
comment on column public.delivery_events.provider_id is 'internal: of the message or ticket';
comment on column public.delivery_events.code is 'internal: kind of error, never content';
comment on column public.delivery_events.event_key is
    'internal: the same event told again has the same key';
comment on column public.delivery_events.occurred_at is 'internal: by the provider''s clock';
comment on column public.delivery_events.received_at is 'internal: by ours';
create index delivery_events_communication_idx
    on public.delivery_events (garage_id, communication_id);
create index delivery_events_push_idx on public.delivery_events (garage_id, push_notification_id);

create trigger _900_append_only before update or truncate on public.delivery_events
    for each statement execute function private.tg__append_only();
alter table public.delivery_events enable always trigger _900_append_only;

create function private.news_of(communication public.communications)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(e.status)
      from public.delivery_events e
     where e.garage_id = communication.garage_id and e.communication_id = communication.id
       and case e.status
           when 'failed' then communication.status <> 'queued'
               and e.received_at >= communication.claimed_at
               and coalesce(e.provider_id = communication.provider_message_id, true)
           when 'sent' then not exists (
               select from public.delivery_events f
                where f.garage_id = e.garage_id and f.communication_id = e.communication_id
                  and f.status = 'failed' and f.provider_id is not distinct from e.provider_id)
           else true end;
$$;
comment on function private.news_of is
    'What was told of a message: an arrival whichever attempt it was of, a failure of the present attempt alone, and that it went out unless just that failed afterwards';

create function private.tg_communications__settle()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    settled text;
begin
    if new.status = 'sending' then
        new.provider_message_id := null; -- a new attempt has none yet
    elsif old.status = 'sending' then
        settled := private.settle_delivery(new.status, private.news_of(new));
        if settled <> new.status then
            new.sent_at := coalesce(new.sent_at, new.claimed_at);
            new.last_error := private.last_code(new, settled);
            new.status := settled;
        end if;
    end if;
    return new;
end $$;
create trigger _300_settle before update of status on public.communications
    for each row when (new.status is distinct from old.status)
    execute function private.tg_communications__settle();

create function private.last_code(communication public.communications, status text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(e.code, e.event)
      from public.delivery_events e
     where e.garage_id = communication.garage_id and e.communication_id = communication.id
       and last_code.status = 'failed' and e.status = 'failed'
     order by e.received_at desc, e.id limit 1;
$$;
comment on function private.last_code is
    'Why it failed, as the provider last said; null when it did not';

create function private.settle_communications(ids uuid[])
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.communications c
       set status = s.status, last_error = private.last_code(c, s.status),
           sent_at = coalesce(c.sent_at, c.claimed_at)
      from (select k.id, private.settle_delivery(k.status, private.news_of(k)) as status
              from public.communications k
             where k.id = any (ids) and k.status <> 'sending') s
     where c.id = s.id and c.status <> s.status;
$$;
comment on function private.settle_communications is
    'Brings messages to where their events say; those a worker holds follow when it has let go';

create view public.delivery_history with (security_invoker = on) as
    select a.id, a.garage_id, a.communication_id, a.push_notification_id, a.document_id,
           'attempt' as source, a.attempt, a.outcome as event, null::text as status, a.provider,
           a.provider_message_id as provider_id, a.reason as code, a.finished_at as occurred_at
      from public.delivery_attempts a
    union all
    select e.id, e.garage_id, e.communication_id, e.push_notification_id, null, 'provider', null,
           e.event, e.status, e.provider, e.provider_id, e.code, e.occurred_at
      from public.delivery_events e;
comment on view public.delivery_history is
    'What was tried and what providers told, of a message, a push or a document';
