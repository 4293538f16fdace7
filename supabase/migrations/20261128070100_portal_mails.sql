-- Mails about a customer's access: links and codes that work once, and notices of what changed. They
-- are communications like any other, but their text is not kept, and the token is in the mail alone.

alter table public.communications
    drop constraint communications_template_check,
    add constraint communications_template_check check (
        template in ('invoice_issued', 'credit_note_issued', 'member_invited', 'message_received',
            'portal_invited', 'portal_password_reset', 'portal_device_code',
            'portal_email_change', 'portal_notice')),
    add constraint communications_portal_keeps_no_text check (
        template not like 'portal%' or num_nonnulls(body_text, body_html) = 0);

create table private.portal_mails (
    garage_id uuid not null,
    communication_id uuid not null,
    token text,
    event text check (event in ('password_changed', 'pin_changed', 'email_change_asked',
        'email_changed', 'device_added', 'account_closed')),
    expires_at timestamptz,
    primary key (garage_id, communication_id),
    foreign key (garage_id, communication_id) references public.communications (garage_id, id),
    constraint portal_mails_token_or_event check (num_nonnulls(token, event) = 1)
);
alter table private.portal_mails enable row level security;
alter table private.portal_mails force row level security;
comment on table private.portal_mails is
    'controller=garage; retention=as the mail. What a mail about a customer''s access says; a token is gone once the mail left or was given up';
comment on column private.portal_mails.garage_id is 'internal';
comment on column private.portal_mails.communication_id is 'internal';
comment on column private.portal_mails.token is 'secret: a link''s token, or a code to type in';
comment on column private.portal_mails.event is 'internal: what a notice is about';
comment on column private.portal_mails.expires_at is 'internal: until when the token holds';

create function private.tg_communications__forget_portal_token()
returns trigger
language plpgsql
security definer -- the worker may not touch tokens
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from private.portal_mails m
     where m.garage_id = new.garage_id and m.communication_id = new.id and m.token is not null;
    return null;
end $$;
create trigger _410_forget_portal_token after update of status on public.communications
    for each row
    when (new.template like 'portal%' and new.status not in ('queued', 'sending'))
    execute function private.tg_communications__forget_portal_token();

create function private.mail_about_access(customer public.customers, recipient text, template text,
    token text default null, event text default null, expires_at timestamptz default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with mail as (
        insert into public.communications (garage_id, customer_id, template, locale, recipient)
        values (customer.garage_id, customer.id, mail_about_access.template, customer.locale,
            mail_about_access.recipient)
        returning garage_id, id)
    insert into private.portal_mails (garage_id, communication_id, token, event, expires_at)
    select mail.garage_id, mail.id, mail_about_access.token, mail_about_access.event,
           mail_about_access.expires_at
      from mail;
$$;

create function private.notify_of_change(account public.portal_accounts, event text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.mail_about_access(c, account.login, 'portal_notice',
               event => notify_of_change.event)
      from public.customers c
     where c.garage_id = account.garage_id and c.id = account.customer_id;
$$;
comment on function private.notify_of_change is
    'Tells a customer, at the address the account has now, what was changed about their access';

create function private.portal_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'recipient', jsonb_build_object('address', communication.recipient, 'name', c.full_name),
        'context', jsonb_build_object(
            'garage_id', g.id, 'garage_name', g.trade_name, 'customer_name', c.full_name,
            'token', m.token, 'event', m.event,
            'at', to_char(coalesce(m.expires_at, communication.created_at)
                at time zone g.time_zone, 'YYYY-MM-DD"T"HH24:MI')),
        'attachment', null)
      from private.portal_mails m
      join public.garages g on g.id = m.garage_id
      join public.customers c on c.garage_id = g.id and c.id = communication.customer_id
     where m.garage_id = communication.garage_id and m.communication_id = communication.id
       and (m.expires_at is null or m.expires_at > now());
$$;
comment on function private.portal_mail is
    'What a mail about a customer''s access needs; null once its token was replaced, used or late';

create or replace function private.communication_job(communication_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
    is_about_access boolean;
    is_open boolean;
    mail jsonb;
    hindrance text;
begin
    select * into communication from public.communications t where t.id = communication_id;
    is_about_access := communication.invitation_id is not null
        or communication.template like 'portal%';
    is_open := private.hold_modules(communication.garage_id, array_remove(array[
        case when not is_about_access then 'email' end,
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
    mail := case when communication.template like 'portal%' then private.portal_mail(communication)
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

create or replace function private.finish_communication(id uuid, attempt int, outcome text,
    reason text, result jsonb)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.communications c
       set status = case finish_communication.outcome
               when 'done' then 'sent' when 'retry' then 'queued' when 'unknown'
                   then 'unknown' else 'failed' end,
           last_error = finish_communication.reason,
           subject = result ->> 'subject',
           body_text = case when c.invitation_id is null and c.template not like 'portal%'
               then result ->> 'body_text' end,
           body_html = case when c.invitation_id is null and c.template not like 'portal%'
               then result ->> 'body_html' end,
           template_version = result ->> 'template_version',
           provider = result ->> 'provider', provider_message_id = result ->> 'provider_message_id',
           sent_at = case when finish_communication.outcome = 'done' then clock_timestamp() end
     where c.id = finish_communication.id and c.attempt = finish_communication.attempt
         and c.status = 'sending'
    returning c.status;
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
           recipient = coalesce((select k.email from public.customers k
                                  where k.garage_id = c.garage_id and k.id = c.customer_id),
               c.recipient)
     where c.garage_id = garage and c.id = retry_delivery.subject_id
         and c.status in ('failed', 'unknown') and c.invitation_id is null
         and c.template not like 'portal%';
    if found then
        perform private.enqueue('send', subject_id);
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
