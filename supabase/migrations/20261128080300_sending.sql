-- A message is claimed with all that is needed to send it: what it says, by whose account, in whose words.
-- What may not go is given up in its row, what has to wait goes back into the queue, untouched.

alter table public.communications
    add column provider_account_id uuid,
    add column work_order_id uuid,
    add column wording_version int,
    add column segments int,
    add foreign key (garage_id, provider_account_id)
        references public.provider_accounts (garage_id, id),
    add foreign key (garage_id, work_order_id) references public.work_orders (garage_id, id),
    drop constraint communications_one_addressee,
    add constraint communications_one_addressee check (
        num_nonnulls(customer_id, invitation_id) = (template <> 'provider_test')::int),
    drop constraint communications_channel_check,
    add constraint communications_channel check (channel in ('email', 'sms', 'whatsapp')),
    drop constraint communications_status_check,
    add constraint communications_status check (
        status in ('queued', 'sending', 'unknown', 'sent', 'delivered', 'read', 'failed'));
comment on table public.communications is
    'controller=garage; retention=garage policy. Messages to customers and to invited members, as they were sent, and what became of them';
comment on column public.communications.provider_account_id is
    'internal: by which account it was sent; null is Autexor''s own';
comment on column public.communications.work_order_id is 'internal: what it is about';
comment on column public.communications.wording_version is
    'internal: version of the garage''s own words; null is the words that ship';
comment on column public.communications.segments is 'internal: so many texts the provider charges';
create index communications_provider_account_idx
    on public.communications (garage_id, provider_account_id);
create index communications_work_order_idx on public.communications (garage_id, work_order_id);
call private.audit_table('public.communications');

create function private.provider_test_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'recipient', jsonb_build_object('address', communication.recipient, 'name', g.trade_name),
        'context', jsonb_build_object('garage_name', g.trade_name), 'attachment', null)
      from public.garages g where g.id = communication.garage_id;
$$;

create function private.payment_reminder_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_set(mail, '{context}', (mail -> 'context') || jsonb_build_object(
               'open_amount', open.amount::text,
               'days_overdue', greatest(private.today_at(i.garage_id) - i.due_date, 0)))
      from private.invoice_mail(communication) mail
      join public.invoices i
        on i.garage_id = communication.garage_id and i.id = communication.invoice_id
     cross join lateral (select i.gross_total - private.credited_total(i.garage_id, i.id)
                                - private.paid_total(i.garage_id, i.id)) open (amount)
     where open.amount > 0;
$$;
comment on function private.payment_reminder_mail is
    'What a reminder says; null once the invoice is paid';

create function private.work_ready_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'recipient', jsonb_build_object('address', communication.recipient, 'name', c.full_name),
        'context', jsonb_build_object('garage_name', g.trade_name, 'customer_name', c.full_name,
            'work_order_number', w.reference, 'vehicle', v.make || ' ' || v.model,
            'plate', private.plate_on(v.garage_id, v.id, private.today_at(v.garage_id))),
        'attachment', null)
      from public.garages g
      join public.customers c on c.garage_id = g.id and c.id = communication.customer_id
      join public.work_orders w on w.garage_id = g.id and w.id = communication.work_order_id
      join public.vehicles v on v.garage_id = g.id and v.id = w.vehicle_id
     where g.id = communication.garage_id and w.status in ('ready', 'invoiced');
$$;
comment on function private.work_ready_mail is
    'What a customer is told of finished work; null when it is not finished after all';

create function private.content_of(communication public.communications,
    kind private.message_kinds)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    content jsonb;
begin
    execute format('select private.%I($1)', kind.content_function) into content
        using communication;
    -- A text carries no file.
    return case when communication.channel = 'email' or content is null then content
        else jsonb_set(content, '{attachment}', 'null') end;
end $$;

create function private.is_window_open(communication public.communications)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if communication.customer_id is not null then
        return private.has_open_window(communication.garage_id, communication.customer_id);
    end if;
    return exists (select from public.inbound_messages i
                    where i.garage_id = communication.garage_id and i.channel = 'whatsapp'
                      and i.sender_address = communication.recipient
                      and i.created_at > now() - interval '24 hours');
end $$;
comment on function private.is_window_open is
    'Did its addressee write by WhatsApp within 24 hours, so that free text may answer?';

-- Why a message may never go; null when it may.
create function private.hindrance_to(communication public.communications,
    kind private.message_kinds, account public.provider_accounts, wording jsonb)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when communication.channel <> 'email' and account.id is null then 'no_provider_account'
        when not kind.is_ours_alone and private.is_suppressed(communication.garage_id,
            communication.channel, communication.recipient) then 'suppressed'
        when communication.customer_id is not null
            and not (kind.is_about_access and kind.kind <> 'portal_invited')
            and not private.may_contact(communication.garage_id, communication.customer_id)
            then 'restricted'
        when not kind.is_about_access and not private.wants(communication.garage_id,
            communication.customer_id, communication.channel) then 'opted_out'
        when communication.channel = 'whatsapp' and wording ->> 'content_sid' is null
            and not private.is_window_open(communication) then 'whatsapp_window_closed'
        when communication.provider_account_id is not null and communication.attempt = 0
            and communication.provider_account_id is distinct from account.id
            then 'account_replaced' end;
$$;

create function private.give_up_communication(communication public.communications, reason text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    is_under_way boolean := communication.status = 'sending';
begin
    update public.communications t
       set status = case when is_under_way then 'unknown' else 'failed' end,
           attempt = t.attempt + 1, last_error = give_up_communication.reason,
           claimed_at = coalesce(t.claimed_at, clock_timestamp())
     where t.id = communication.id;
    perform private.record_attempt('send', communication.id,
        communication.attempt + (not is_under_way)::int,
        case when is_under_way then 'unknown' else 'give_up' end, reason, '{}');
end $$;

create or replace function private.communication_job(communication_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
    kind private.message_kinds;
    account public.provider_accounts;
    is_open boolean;
    content jsonb;
    wording jsonb;
    hindrance text;
    wait record;
begin
    select * into communication from public.communications t where t.id = communication_id;
    kind := private.message_kind(communication.template);
    is_open := private.hold_modules(communication.garage_id, kind.modules
        || case when not kind.is_about_access then array[communication.channel] else '{}' end);
    select * into communication from public.communications t
     where t.id = communication_job.communication_id and t.status in ('queued', 'sending')
       for update;
    if not found then
        return null;
    elsif communication.status = 'sending' then
        perform private.give_up_communication(communication, 'worker_died');
        return null;
    elsif not is_open then
        update public.communications t set last_error = 'module_closed'
         where t.id = communication.id;
        return null;
    end if;
    content := private.content_of(communication, kind);
    -- An invitation to work for the garage needs no provider of the garage's, nor does what Autexor says.
    if communication.invitation_id is null and not kind.is_ours_alone then
        account := private.account_in_use(communication.garage_id, communication.channel);
    end if;
    wording := private.wording_for(communication.garage_id, kind.kind, communication.channel,
        communication.locale);
    hindrance := case when content is null then 'no_longer_wanted'
        else private.hindrance_to(communication, kind, account, wording) end;
    if hindrance is not null then
        perform private.give_up_communication(communication, hindrance);
        return null;
    end if;
    select * into wait from private.wait_before_sending(communication, kind.is_about_access);
    if wait.seconds is not null then
        update public.communications t set last_error = wait.reason
         where t.id = communication.id and wait.reason is not null
           and t.last_error is distinct from wait.reason;
        return jsonb_build_object('postpone', wait.seconds);
    end if;
    update public.communications t
       set status = 'sending', attempt = t.attempt + 1, claimed_at = clock_timestamp(),
           provider_account_id = account.id
     where t.id = communication.id
    returning * into communication;
    return content || (
        select jsonb_build_object(
            'kind', 'send_message', 'subject_id', communication.id,
            'garage_id', communication.garage_id,
            'attempt', communication.attempt, 'channel', communication.channel,
            'template', communication.template, 'locale', communication.locale,
            'sender', jsonb_build_object(
                'address', case when communication.channel = 'email'
                    then coalesce(account.sender_address, 'no-reply@autexor.be')
                    else account.sender_address end,
                'name', case when kind.is_ours_alone then 'Autexor'
                    else coalesce(account.sender_name, g.trade_name) end,
                'reply_to', case when kind.is_ours_alone then private.own_address()
                    else g.email end),
            'account', private.account_with_key(account), 'wording', wording,
            'has_open_window', communication.channel = 'whatsapp'
                and private.is_window_open(communication),
            'opt_out_token', case when communication.channel = 'email'
                and not kind.is_about_access then private.opt_out_token(communication.id) end)
          from public.garages g where g.id = communication.garage_id);
end $$;

create or replace function private.push_job(push_notification_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    push public.push_notifications;
    kind private.message_kinds;
    device public.push_devices;
    customer uuid;
    hindrance text;
    is_open boolean;
    quiet_end timestamptz;
begin
    select * into push from public.push_notifications t where t.id = push_notification_id;
    kind := private.message_kind(push.template);
    is_open := private.hold_modules(push.garage_id, kind.modules || array['push']);
    select * into push from public.push_notifications t
     where t.id = push_job.push_notification_id and t.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    if push.status = 'sending' then
        update public.push_notifications t
           set status = 'unknown', attempt = t.attempt + 1, last_error = 'worker_died'
         where t.id = push.id;
        perform private.record_attempt('push', push.id, push.attempt, 'unknown',
            'worker_died', '{}');
        return null;
    elsif not is_open then
        update public.push_notifications t set last_error = 'module_closed' where t.id = push.id;
        return null;
    end if;
    quiet_end := private.quiet_until(private.settings_of(push.garage_id, 'push'), clock_timestamp());
    if quiet_end is not null then
        update public.push_notifications t set last_error = 'quiet_hours' where t.id = push.id;
        return jsonb_build_object('postpone',
            greatest(ceil(extract(epoch from quiet_end - clock_timestamp()))::int, 1));
    end if;
    select d.* into device from public.push_devices d
     where d.garage_id = push.garage_id and d.id = push.push_device_id;
    select a.customer_id into customer
      from public.portal_devices d
      join public.portal_accounts a on a.garage_id = d.garage_id and a.id = d.account_id
     where d.garage_id = device.garage_id and d.id = device.portal_device_id;
    -- A phone that signed out may be in other hands.
    hindrance := case when device.retired_at is not null then 'device_retired'
        when not private.may_contact(push.garage_id, customer) then 'restricted' end;
    update public.push_notifications t
       set status = case when hindrance is null then 'sending' else 'failed' end,
           last_error = coalesce(hindrance, t.last_error),
           attempt = t.attempt + 1, claimed_at = clock_timestamp()
     where t.id = push.id
    returning * into push;
    if hindrance is not null then
        perform private.record_attempt('push', push.id, push.attempt, 'give_up', hindrance, '{}');
        return null;
    end if;
    return jsonb_build_object(
        'kind', 'send_push', 'subject_id', push.id, 'garage_id', push.garage_id,
        'attempt', push.attempt,
        'expo_token', device.expo_token, 'template', push.template, 'locale', push.locale,
        'data', jsonb_build_object('notification_id', push.id, 'kind', push.template),
        'details', private.push_details(push),
        'wording', private.wording_for(push.garage_id, push.template, 'push', push.locale));
end $$;

create function private.job_of(queue text, subject_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return case queue
        when 'render' then private.document_job(subject_id)
        when 'send' then private.communication_job(subject_id)
        when 'push' then private.push_job(subject_id) end;
end $$;
comment on function private.job_of is
    'What a queue''s message asks for: a job; {"postpone": seconds}; or null, nothing any more';

create or replace function private.claim_jobs(queue text, max_jobs int, visibility_seconds int)
returns table (msg_id bigint, job jsonb)
language plpgsql
volatile
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
declare
    message record;
    looked int := 0;
    has_read boolean;
    has_claimed boolean := false;
begin
    -- What is settled or has to wait is passed by; look on until there is work, or nothing left.
    loop
        has_read := false;
        for message in select * from pgmq.read(claim_jobs.queue, visibility_seconds, max_jobs) loop
            has_read := true;
            looked := looked + 1;
            msg_id := message.msg_id;
            job := private.job_of(claim_jobs.queue, (message.message ->> 'id')::uuid);
            if job is null then
                perform pgmq.archive(claim_jobs.queue, message.msg_id);
            elsif job ? 'postpone' then
                -- Spread, so that they do not all come back at once.
                perform pgmq.set_vt(claim_jobs.queue, message.msg_id,
                    (job ->> 'postpone')::int + looked / 10);
            else
                has_claimed := true;
                return next;
            end if;
        end loop;
        -- Not too long: what was looked at is locked until the end.
        exit when has_claimed or not has_read or looked >= 100;
    end loop;
end $$;

create or replace function private.finish_communication(id uuid, attempt int, outcome text,
    reason text, result jsonb)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
begin
    update public.communications c
       set status = case finish_communication.outcome
               when 'done' then 'sent' when 'retry' then 'queued' when 'unknown'
                   then 'unknown' else 'failed' end,
           last_error = finish_communication.reason,
           subject = result ->> 'subject',
           body_text = case when k.keeps_text then result ->> 'body_text' end,
           body_html = case when k.keeps_text then result ->> 'body_html' end,
           template_version = result ->> 'template_version',
           wording_version = (result ->> 'wording_version')::int,
           segments = (result ->> 'segments')::int,
           provider = result ->> 'provider', provider_message_id = result ->> 'provider_message_id',
           sent_at = case when finish_communication.outcome = 'done' then clock_timestamp() end
      from private.message_kinds k
     where c.id = finish_communication.id and c.attempt = finish_communication.attempt
       and c.status = 'sending' and k.kind = c.template
    returning c.* into communication;
    return communication.status;
end $$;

create or replace function private.take_up_work(garage_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with waiting as (
        update public.invoice_documents d set last_error = null
         where d.garage_id = take_up_work.garage_id and d.status = 'pending'
           and d.last_error = 'module_closed' returning d.id)
    select private.enqueue('render', w.id) from waiting w;
    with waiting as (
        update public.communications c set last_error = null
         where c.garage_id = take_up_work.garage_id and c.status = 'queued'
           and c.last_error = 'module_closed' returning c.*)
    select private.enqueue_communication(w) from waiting w;
    with waiting as (
        update public.push_notifications p set last_error = null
         where p.garage_id = take_up_work.garage_id and p.status = 'queued'
           and p.last_error = 'module_closed' returning p.id)
    select private.enqueue('push', w.id) from waiting w;
$$;

create or replace function private.retry_delivery(subject_id uuid)
returns text
language plpgsql
volatile
security definer -- status and attempt limits are columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('deliveries.retry');
    communication public.communications;
begin
    update public.invoice_documents d
       set status = 'pending', attempt_limit = d.attempt + 5, last_error = null
     where d.garage_id = garage and d.id = retry_delivery.subject_id and d.status = 'failed';
    if found then
        perform private.enqueue('render', subject_id);
        return 'invoice_document';
    end if;
    -- Not what had a token in it: that is forgotten, and whoever asked for it asks again.
    update public.communications c
       set status = 'queued', attempt_limit = c.attempt + 8, last_error = null,
           recipient = coalesce((select private.address_of(k, c.channel) from public.customers k
                                  where k.garage_id = c.garage_id and k.id = c.customer_id),
               c.recipient)
      from private.message_kinds kind
     where c.garage_id = garage and c.id = retry_delivery.subject_id
       and c.status in ('failed', 'unknown') and kind.kind = c.template and kind.keeps_text
    returning c.* into communication;
    if found then
        perform private.enqueue_communication(communication);
        return 'communication';
    end if;
    update public.push_notifications p
       set status = 'queued', attempt_limit = p.attempt + 8, last_error = null
     where p.garage_id = garage and p.id = retry_delivery.subject_id
         and p.status in ('failed', 'unknown');
    if found then
        perform private.enqueue('push', subject_id);
        return 'push_notification';
    end if;
    perform private.refuse('delivery_not_retryable', 'There is nothing to retry here',
        'Only what failed or is unknown can be retried; an invitation is sent again instead', 409);
end $$;

-- What became of a test stands on the account, however and whenever it was settled.
create function private.tg_communications__note_test()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.provider_accounts a
       set test_status = case when new.status in ('sent', 'delivered', 'read') then 'ok'
               else 'failed' end,
           test_reason = new.last_error, tested_at = clock_timestamp()
     where a.garage_id = new.garage_id and a.id = new.provider_account_id;
    return null;
end $$;
create trigger _500_note_test after update of status on public.communications
    for each row
    when (new.template = 'provider_test' and new.status not in ('queued', 'sending')
        and new.status <> old.status)
    execute function private.tg_communications__note_test();
