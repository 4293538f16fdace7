-- TEMPORARY: stands in for what sending by a garage's own accounts brings (provider_accounts, channels,
-- who dispatches which queue). The merge deletes this file; nothing but tests fills the table meanwhile.

create table public.provider_accounts (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    channel text not null check (channel in ('email', 'sms', 'whatsapp')),
    provider text not null check (provider in ('sendgrid', 'smtp', 'twilio')),
    sender_address text not null,
    account_sid text,
    webhook_public_key text,
    secret_id uuid,
    secret_tail text not null,
    is_active boolean not null default true,
    unique (garage_id, id),
    constraint provider_accounts_in_use_has_key check (is_active = (secret_id is not null))
);
alter table public.provider_accounts enable row level security;
alter table public.provider_accounts force row level security;
comment on table public.provider_accounts is
    'controller=garage; retention=contract. The garage''s own accounts with senders of mails and texts';
comment on column public.provider_accounts.id is 'internal';
comment on column public.provider_accounts.garage_id is 'internal';
comment on column public.provider_accounts.channel is 'internal';
comment on column public.provider_accounts.provider is 'internal';
comment on column public.provider_accounts.sender_address is 'internal';
comment on column public.provider_accounts.account_sid is 'internal';
comment on column public.provider_accounts.webhook_public_key is 'internal';
comment on column public.provider_accounts.secret_id is 'secret';
comment on column public.provider_accounts.secret_tail is 'internal';
comment on column public.provider_accounts.is_active is 'internal';
create index provider_accounts_garage_idx on public.provider_accounts (garage_id);
call private.audit_table('public.provider_accounts');
create policy tenant_floor on public.provider_accounts as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.provider_accounts is
    'The first lock: no row of another garage, whatever else a policy says';

alter table public.communications
    add column provider_account_id uuid,
    add foreign key (garage_id, provider_account_id)
        references public.provider_accounts (garage_id, id),
    drop constraint communications_channel_check,
    add constraint communications_channel check (channel in ('email', 'sms', 'whatsapp')),
    drop constraint communications_status_check,
    add constraint communications_status check (
        status in ('queued', 'sending', 'unknown', 'sent', 'delivered', 'read', 'failed'));
comment on column public.communications.provider_account_id is
    'internal: by which account it was sent; null is Autexor''s own';
create index communications_provider_account_idx
    on public.communications (garage_id, provider_account_id);
call private.audit_table('public.communications');

-- One line differs: who is suppressed.
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
        when private.is_suppressed(communication.garage_id, communication.channel,
            communication.recipient) then 'suppressed'
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
            communication.attempt - (communication.status <> 'failed')::int,
            case communication.status when 'failed' then 'give_up' else 'unknown' end,
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

-- Two lines differ: the queue of receipts.
create or replace function private.claim_jobs(queue text, max_jobs int, visibility_seconds int)
returns table (msg_id bigint, job jsonb)
language plpgsql
volatile
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
declare
    message record;
    has_read boolean;
    has_claimed boolean := false;
begin
    -- What is settled already is archived in passing; look on until there is work, or nothing left.
    loop
        has_read := false;
        for message in select * from pgmq.read(claim_jobs.queue, visibility_seconds, max_jobs) loop
            has_read := true;
            msg_id := message.msg_id;
            job := case claim_jobs.queue
                when 'render' then private.document_job((message.message ->> 'id')::uuid)
                when 'send' then private.communication_job((message.message ->> 'id')::uuid)
                when 'push' then private.push_job((message.message ->> 'id')::uuid)
                when 'receipts' then private.receipts_job((message.message ->> 'id')::uuid)
            end;
            if job is null then
                perform pgmq.archive(claim_jobs.queue, message.msg_id);
            else
                has_claimed := true;
                return next;
            end if;
        end loop;
        exit when has_claimed or not has_read;
    end loop;
end $$;

create or replace function private.finish_job(
    queue text, msg_id bigint, subject_id uuid, attempt int, outcome text,
    reason text default null, delay_seconds int default 0, result jsonb default '{}')
returns text
language plpgsql
volatile
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
declare
    settled text := case when outcome = 'retry' and not private.attempts_left(queue, subject_id)
                         then 'give_up' else outcome end;
    is_mine boolean;
    status text;
begin
    if settled = 'retry' then
        select count(*) > 0 into is_mine from pgmq.set_vt(queue, msg_id, delay_seconds);
    else
        is_mine := pgmq.archive(queue, msg_id);
    end if;
    status := case when is_mine then case queue
        when 'render' then private.finish_document(subject_id, attempt, settled, reason, result)
        when 'send' then private.finish_communication(subject_id, attempt, settled, reason, result)
        when 'push' then private.finish_push(subject_id, attempt, settled, reason, result)
        when 'receipts' then private.finish_receipts(subject_id, attempt, settled, reason, result)
    end end;
    if status is null then
        perform private.refuse('job_superseded',
            'This job was given to another worker in the meantime',
            'Nothing to do: the other worker records the outcome', 409);
    end if;
    perform private.record_attempt(queue, subject_id, attempt, settled, reason, result);
    return status;
end $$;
