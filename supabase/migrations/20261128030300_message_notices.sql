-- Whoever has the app open reads a message where it arrives. The others are told: their phones after
-- 20 seconds; without a phone that listens, by e-mail after five minutes, once until they have read it.
-- What was read meanwhile is not told any more.

alter table public.push_notifications
    add column conversation_id uuid,
    add foreign key (garage_id, conversation_id) references public.conversations (garage_id, id);
comment on column public.push_notifications.conversation_id is 'internal: where the message is';
create index push_notifications_conversation_idx
    on public.push_notifications (garage_id, conversation_id);

alter table public.communications
    add column conversation_id uuid,
    add foreign key (garage_id, conversation_id) references public.conversations (garage_id, id),
    drop constraint communications_template_check,
    add constraint communications_template_check check (
        template in ('invoice_issued', 'credit_note_issued', 'member_invited',
            'message_received'));
comment on column public.communications.conversation_id is 'internal: where the message is';
create index communications_conversation_idx
    on public.communications (garage_id, conversation_id, created_at desc);

create function private.tg__enqueue_later()
returns trigger
language plpgsql
security definer -- as private.enqueue
set search_path = pg_catalog, pg_temp
as $$
begin
    -- No doorbell: there is nothing to do yet, and workers look by themselves.
    perform pgmq.send(tg_argv[0], jsonb_build_object('id', new.id), tg_argv[1]::int);
    return null;
end $$;
drop trigger _500_enqueue on public.push_notifications;
create trigger _500_enqueue after insert on public.push_notifications
    for each row when (new.template <> 'message_received')
    execute function private.tg__enqueue('push');
create trigger _500_enqueue_later after insert on public.push_notifications
    for each row when (new.template = 'message_received')
    execute function private.tg__enqueue_later('push', '20');
drop trigger _500_enqueue on public.communications;
create trigger _500_enqueue after insert on public.communications
    for each row when (new.template <> 'message_received')
    execute function private.tg__enqueue('send');
create trigger _500_enqueue_later after insert on public.communications
    for each row when (new.template = 'message_received')
    execute function private.tg__enqueue_later('send', '300');

create function private.drop_notices(garage_id uuid, conversation_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    delete from public.push_notifications p
     where p.garage_id = drop_notices.garage_id
       and p.conversation_id = drop_notices.conversation_id
       and p.status = 'queued' and p.attempt = 0;
    delete from public.communications c
     where c.garage_id = drop_notices.garage_id
       and c.conversation_id = drop_notices.conversation_id
       and c.status = 'queued' and c.attempt = 0;
$$;
comment on function private.drop_notices is
    'Forgets what was to be told of a conversation and has not been tried yet';

drop function private.notify_phones(uuid, uuid, text, uuid);
create function private.notify_phones(garage_id uuid, customer_id uuid, template text,
    invoice_id uuid, conversation_id uuid default null)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with pushes as (
        insert into public.push_notifications
            (garage_id, push_device_id, invoice_id, conversation_id, template, locale)
        select p.garage_id, p.id, notify_phones.invoice_id, notify_phones.conversation_id,
               notify_phones.template, c.locale
          from public.push_devices p
          join public.portal_devices d on d.garage_id = p.garage_id and d.id = p.portal_device_id
          join public.portal_accounts a on a.garage_id = d.garage_id and a.id = d.account_id
          join public.customers c on c.garage_id = a.garage_id and c.id = a.customer_id
         where p.garage_id = notify_phones.garage_id and c.id = notify_phones.customer_id
           and p.retired_at is null and p.updated_at > now() - interval '90 days'
           and d.revoked_at is null and a.deactivated_at is null
           and private.has_module(p.garage_id, 'push')
           and private.wants(c.garage_id, c.id, 'push')
        returning 1)
    select count(*)::int from pushes;
$$;
comment on function private.notify_phones is
    'A push to every phone of a customer that still listens: not signed out, nor silent for 90 days; how many';

create or replace function private.tg_messages__notify()
returns trigger
language plpgsql
security definer -- a member may not write push notifications and mails
set search_path = pg_catalog, pg_temp
as $$
declare
    thread public.conversations;
begin
    select * into strict thread from public.conversations c
     where c.garage_id = new.garage_id and c.id = new.conversation_id;
    if private.notify_phones(thread.garage_id, thread.customer_id, 'message_received', null,
        thread.id) > 0 then
        return null;
    end if;
    insert into public.communications (garage_id, customer_id, conversation_id, template, locale,
        recipient)
    select c.garage_id, c.id, thread.id, 'message_received', c.locale, c.email
      from public.customers c
      join public.portal_accounts a on a.garage_id = c.garage_id and a.customer_id = c.id
     where c.garage_id = thread.garage_id and c.id = thread.customer_id and c.email is not null
       and a.deactivated_at is null and private.has_module(c.garage_id, 'portal')
       and private.has_module(c.garage_id, 'email') and private.wants(c.garage_id, c.id, 'email')
       and not exists (select from public.communications told
                        where told.garage_id = thread.garage_id
                          and told.conversation_id = thread.id
                          and told.created_at >= coalesce(
                              (select max(m.read_at) from public.messages m
                                where m.garage_id = thread.garage_id
                                  and m.conversation_id = thread.id and m.sender = 'garage'),
                              '-infinity'));
    return null;
end $$;

create function private.message_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'recipient', jsonb_build_object('address', communication.recipient, 'name', c.full_name),
        'context', jsonb_build_object('garage_name', g.trade_name, 'customer_name', c.full_name),
        'attachment', null)
      from public.garages g
      join public.customers c on c.garage_id = g.id and c.id = communication.customer_id
     where g.id = communication.garage_id;
$$;

create or replace function private.communication_job(communication_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
    is_open boolean;
    mail jsonb;
    hindrance text;
begin
    select * into communication from public.communications t where t.id = communication_id;
    is_open := private.hold_modules(communication.garage_id, array_remove(array[
        case when communication.customer_id is not null then 'email' end,
        case when communication.invoice_id is not null then 'invoicing' end,
        case when communication.conversation_id is not null then 'conversations' end], null));
    select * into communication from public.communications t
     where t.id = communication_job.communication_id and t.status in ('queued', 'sending')
       for update;
    if not found then
        return null;
    end if;
    if communication.status = 'queued' and not is_open then
        update public.communications t set last_error = 'module_closed'
         where t.id = communication.id;
        return null;
    end if;
    mail := case
        when communication.invitation_id is not null then private.invitation_mail(communication)
        when communication.conversation_id is not null then private.message_mail(communication)
        else private.invoice_mail(communication) end;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    hindrance := case when communication.status = 'sending' then 'worker_died'
        when mail is null then 'invitation_ended' end;
    update public.communications t
       set status = case when hindrance is null then 'sending'
                         when t.status = 'sending' then 'unknown' else 'failed' end,
           attempt = t.attempt + 1,
           claimed_at = case when t.status = 'sending' then t.claimed_at else clock_timestamp() end,
           last_error = coalesce(hindrance, t.last_error)
     where t.id = communication.id
    returning * into communication;
    if hindrance is not null then
        perform private.record_attempt('send', communication.id,
            communication.attempt - (communication.status = 'unknown')::int,
            case communication.status when 'unknown' then 'unknown' else 'give_up' end,
            hindrance, '{}');
        return null;
    end if;
    return mail || (
        select jsonb_build_object(
            'kind', 'send_message', 'subject_id', communication.id,
            'garage_id', communication.garage_id,
            'attempt', communication.attempt, 'channel', communication.channel,
            'template', communication.template, 'locale', communication.locale,
            'sender', jsonb_build_object('address', 'no-reply@autexor.be', 'name', g.trade_name,
                'reply_to', g.email))
          from public.garages g where g.id = communication.garage_id);
end $$;
