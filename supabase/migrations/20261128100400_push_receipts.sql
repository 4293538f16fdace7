-- A push service's ticket says that it has the push; its receipt, from 15 minutes to 24 hours later, what
-- the phone's own service made of it. Asked for up to a hundred at a time, whosever they are.

select pgmq.create('receipts');

alter table public.push_notifications
    add column receipt text,
    add column receipt_attempt int not null default 0,
    add column receipt_asked_at timestamptz,
    add constraint push_notifications_receipt check (receipt in ('ok', 'error', 'missing'));
comment on column public.push_notifications.receipt is
    'internal: what the receipt said, missing when there was none within 24 hours; null is not known yet';
comment on column public.push_notifications.receipt_attempt is
    'internal: raised by each asking that this push began';
comment on column public.push_notifications.receipt_asked_at is 'internal';
create index push_notifications_awaited_idx on public.push_notifications (sent_at)
    where status = 'sent' and ticket_id is not null and receipt is null;

create function private.tg_push_notifications__await_receipt()
returns trigger
language plpgsql
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgmq.send('receipts', jsonb_build_object('id', new.id), 900);
    return null;
end $$;
create trigger _500_await_receipt after update of status on public.push_notifications
    for each row
    when (new.status = 'sent' and old.status is distinct from 'sent' and new.ticket_id is not null)
    execute function private.tg_push_notifications__await_receipt();

-- A push sent once more by a person has a ticket of its own.
create function private.tg_push_notifications__begin_again()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.ticket_id := null;
    new.receipt := null;
    new.receipt_asked_at := null;
    return new;
end $$;
create trigger _300_begin_again before update of status on public.push_notifications
    for each row when (new.status = 'sending' and old.status <> 'sending')
    execute function private.tg_push_notifications__begin_again();

create function private.is_receipt_due(push public.push_notifications)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
return push.status = 'sent' and push.ticket_id is not null and push.receipt is null
    and push.sent_at between now() - interval '24 hours' and now() - interval '15 minutes';

create function private.receipts_job(push_notification_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    push public.push_notifications;
    tickets text[];
begin
    select * into push from public.push_notifications p
     where p.id = push_notification_id and p.status = 'sent' and p.ticket_id is not null
       and p.receipt is null for update;
    if not found then
        return null;
    elsif push.sent_at < now() - interval '24 hours' then
        update public.push_notifications p set receipt = 'missing' where p.id = push.id;
        return null;
    end if;
    update public.push_notifications p
       set receipt_attempt = p.receipt_attempt + 1, receipt_asked_at = now()
     where p.id = push.id
    returning * into push;
    -- Others along with it; not those that somebody else asks for just now.
    with others as (
        select p.id from public.push_notifications p
         where private.is_receipt_due(p) and p.id <> push.id
           and coalesce(p.receipt_asked_at < now() - interval '5 minutes', true)
         order by p.sent_at limit 99 for update skip locked),
    asked as (
        update public.push_notifications p set receipt_asked_at = now()
          from others where p.id = others.id returning p.ticket_id)
    select array_agg(ticket_id) into tickets from asked;
    return jsonb_build_object('kind', 'check_push_receipts', 'subject_id', push.id,
        'garage_id', push.garage_id, 'attempt', push.receipt_attempt,
        'tickets', array_prepend(push.ticket_id, tickets));
end $$;
comment on function private.receipts_job is
    'Asks for this push''s receipt and for up to 99 others that are due; null when it is known already, or marked missing after 24 hours';

create function private.settle_push(push public.push_notifications, error text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    told text := case when error is null then 'delivered' else 'failed' end;
begin
    insert into public.delivery_events (garage_id, push_notification_id, provider, event, status,
        provider_id, code, event_key, occurred_at)
    values (push.garage_id, push.id, 'expo', case when error is null then 'ok' else 'error' end,
        told, push.ticket_id, left(error, 80), left('expo:' || push.ticket_id, 200), now())
    on conflict do nothing;
    update public.push_notifications p
       set status = private.settle_delivery(p.status, array[told]), last_error = error,
           receipt = case when error is null then 'ok' else 'error' end
     where p.id = push.id;
    -- Unless the app has registered anew since: that token is another one.
    perform private.retire_push_device(d.garage_id, d.portal_device_id)
       from public.push_devices d
      where error = 'DeviceNotRegistered' and d.garage_id = push.garage_id
        and d.id = push.push_device_id and d.updated_at < push.sent_at;
end $$;

create function private.finish_receipts(id uuid, attempt int, outcome text, reason text,
    result jsonb)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    subject public.push_notifications;
begin
    perform from public.push_notifications p
      where p.id = finish_receipts.id and p.receipt_attempt = finish_receipts.attempt for update;
    if not found then
        return null;
    end if;
    perform private.settle_push(p, r.value ->> 'error')
       from jsonb_each(coalesce(result -> 'receipts', '{}')) r
       join public.push_notifications p on p.ticket_id = r.key
      where p.status = 'sent' and p.receipt is null;
    select * into subject from public.push_notifications p where p.id = finish_receipts.id;
    -- Not known yet: asked again, ever more seldom, until 24 hours have passed.
    if outcome <> 'retry' and subject.status = 'sent' and subject.receipt is null then
        perform pgmq.send('receipts', jsonb_build_object('id', subject.id),
            900 * (1 << least(subject.receipt_attempt - 1, 4)));
    end if;
    return subject.status;
end $$;
comment on function private.finish_receipts is
    'Settles the pushes whose receipts came; {"receipts": {ticket: {"error": code or null}}}';
create index push_notifications_ticket_idx on public.push_notifications (ticket_id);
call private.audit_table('public.push_notifications');
