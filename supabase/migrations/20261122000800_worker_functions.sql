-- All that a worker may do in the database: claim work, say what became of it, and tidy up.
-- Lock order everywhere: the queue's message first, the domain row second.

create function private.document_job(document_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    document public.invoice_documents;
    hindrance text;
begin
    select * into document from public.invoice_documents d
     where d.id = document_job.document_id and d.status in ('pending', 'rendering') for update;
    if not found then
        return null;
    end if;
    if document.status = 'rendering' then
        perform private.record_attempt('render', document.id, document.attempt, 'retry', 'worker_died', '{}');
    end if;
    hindrance := case
        when not private.has_module(document.garage_id, 'pdf_storage') then 'module_closed'
        when document.attempt >= document.attempt_limit then coalesce(document.last_error, 'worker_died')
    end;
    update public.invoice_documents d
       set status = case when hindrance is null then 'rendering' else 'failed' end,
           attempt = d.attempt + 1, claimed_at = clock_timestamp(),
           last_error = coalesce(hindrance, d.last_error)
     where d.id = document.id
    returning * into document;
    if hindrance is not null then
        perform private.record_attempt('render', document.id, document.attempt, 'give_up', hindrance, '{}');
        if hindrance = 'module_closed' then
            perform private.announce_invoice(document.invoice_id, null);
        end if;
        return null;
    end if;
    return (
        select jsonb_build_object(
            'kind', 'render_invoice', 'subject_id', document.id, 'garage_id', document.garage_id,
            'invoice_id', document.invoice_id, 'attempt', document.attempt,
            'version', document.version,
            'storage_bucket', 'invoices', 'storage_path', document.storage_path,
            'snapshot', i.snapshot,
            'logo_png_base64', translate(encode(l.png, 'base64'), E'\n', ''))
          from public.invoices i
          left join public.garage_logos l
            on l.garage_id = i.garage_id and l.sha256 = i.snapshot #>> '{garage,logo_sha256}'
         where i.id = document.invoice_id);
end $$;

create function private.communication_job(communication_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
    hindrance text;
begin
    select * into communication from public.communications t
     where t.id = communication_job.communication_id and t.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    hindrance := case
        when communication.status = 'sending' then 'worker_died'
        when not private.has_module(communication.garage_id, 'email') then 'module_closed'
    end;
    update public.communications t
       set status = case when hindrance is null then 'sending'
                         when t.status = 'sending' then 'unknown' else 'failed' end,
           attempt = t.attempt + 1,
           claimed_at = case when t.status = 'sending' then t.claimed_at else clock_timestamp() end,
           last_error = coalesce(hindrance, t.last_error)
     where t.id = communication.id
    returning * into communication;
    if hindrance is not null then
        perform private.record_attempt('send', communication.id, communication.attempt - (communication.status = 'unknown')::int,
            case communication.status when 'unknown' then 'unknown' else 'give_up' end, hindrance, '{}');
        return null;
    end if;
    return (
        select jsonb_build_object(
            'kind', 'send_message', 'subject_id', communication.id,
            'garage_id', communication.garage_id,
            'attempt', communication.attempt, 'channel', communication.channel,
            'template', communication.template, 'locale', communication.locale,
            'recipient', jsonb_build_object('address', communication.recipient, 'name',
                c.full_name),
            'sender', jsonb_build_object('address', 'no-reply@autexor.be', 'name', g.trade_name,
                'reply_to', g.email),
            'context', jsonb_build_object(
                'garage_name', g.trade_name, 'customer_name', c.full_name,
                'invoice_number', i.invoice_number,
                'issue_date', i.issue_date, 'due_date', i.due_date,
                'gross_total', i.gross_total::text,
                'structured_communication', i.structured_communication,
                'iban', i.snapshot #>> '{garage,iban}'),
            'attachment', (
                select jsonb_build_object('bucket', 'invoices', 'path', d.storage_path,
                    'filename', i.invoice_number || '.pdf')
                  from public.invoice_documents d where d.id = communication.document_id))
          from public.garages g
          join public.customers c on c.garage_id = g.id and c.id = communication.customer_id
          left join public.invoices i on i.garage_id = g.id and i.id = communication.invoice_id
         where g.id = communication.garage_id);
end $$;

create function private.push_job(push_notification_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    push public.push_notifications;
    hindrance text;
begin
    select * into push from public.push_notifications t
     where t.id = push_job.push_notification_id and t.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    hindrance := case
        when push.status = 'sending' then 'worker_died'
        when not private.has_module(push.garage_id, 'push') then 'module_closed'
    end;
    update public.push_notifications t
       set status = case when hindrance is null then 'sending'
                         when t.status = 'sending' then 'unknown' else 'failed' end,
           attempt = t.attempt + 1,
           claimed_at = case when t.status = 'sending' then t.claimed_at else clock_timestamp() end,
           last_error = coalesce(hindrance, t.last_error)
     where t.id = push.id
    returning * into push;
    if hindrance is not null then
        perform private.record_attempt('push', push.id, push.attempt - (push.status = 'unknown')::int,
            case push.status when 'unknown' then 'unknown' else 'give_up' end, hindrance, '{}');
        return null;
    end if;
    return (
        select jsonb_build_object(
            'kind', 'send_push', 'subject_id', push.id, 'garage_id', push.garage_id,
            'attempt', push.attempt,
            'expo_token', d.expo_token, 'template', push.template, 'locale', push.locale,
            'data', jsonb_build_object('notification_id', push.id, 'kind', push.template))
          from public.push_devices d where d.garage_id = push.garage_id
              and d.id = push.push_device_id);
end $$;

create function private.claim_jobs(queue text, max_jobs int, visibility_seconds int)
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
comment on function private.claim_jobs is
    'Claims work from a queue: raises each row''s attempt and marks it as under way. Commit before doing anything outside';

create function private.finish_document(id uuid, attempt int, outcome text, reason text,
    result jsonb)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.invoice_documents d
       set status = case finish_document.outcome
               when 'done' then 'stored' when 'retry' then 'pending' else 'failed' end,
           last_error = finish_document.reason,
           byte_size = (result ->> 'byte_size')::int, sha256 = result ->> 'sha256',
           page_count = (result ->> 'page_count')::int,
               template_version = result ->> 'template_version',
           stored_at = case when finish_document.outcome = 'done' then clock_timestamp() end
     where d.id = finish_document.id and d.attempt = finish_document.attempt
         and d.status = 'rendering'
    returning d.status;
$$;

create function private.finish_communication(id uuid, attempt int, outcome text, reason text,
    result jsonb)
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
           subject = result ->> 'subject', body_text = result ->> 'body_text',
           body_html = result ->> 'body_html', template_version = result ->> 'template_version',
           provider = result ->> 'provider', provider_message_id = result ->> 'provider_message_id',
           sent_at = case when finish_communication.outcome = 'done' then clock_timestamp() end
     where c.id = finish_communication.id and c.attempt = finish_communication.attempt
         and c.status = 'sending'
    returning c.status;
$$;

create function private.finish_push(id uuid, attempt int, outcome text, reason text, result jsonb)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.push_devices d set retired_at = clock_timestamp(), updated_at = clock_timestamp()
      from public.push_notifications p
     where p.id = finish_push.id and d.garage_id = p.garage_id and d.id = p.push_device_id
       and finish_push.reason = 'DeviceNotRegistered' and p.attempt = finish_push.attempt;
    update public.push_notifications p
       set status = case finish_push.outcome
               when 'done' then 'sent' when 'retry' then 'queued' when 'unknown'
                   then 'unknown' else 'failed' end,
           last_error = finish_push.reason, ticket_id = result ->> 'ticket_id',
           sent_at = case when finish_push.outcome = 'done' then clock_timestamp() end
     where p.id = finish_push.id and p.attempt = finish_push.attempt and p.status = 'sending'
    returning p.status;
$$;

create function private.attempts_left(queue text, subject_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case attempts_left.queue
        when 'render' then (select d.attempt < d.attempt_limit from public.invoice_documents d
            where d.id = subject_id)
        when 'send' then (select c.attempt < c.attempt_limit from public.communications c
            where c.id = subject_id)
        when 'push' then (select p.attempt < p.attempt_limit from public.push_notifications p
            where p.id = subject_id)
    end;
$$;

create function private.finish_job(
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
    end end;
    if status is null then
        perform private.refuse('job_superseded',
            'This job was given to another worker in the meantime',
            'Nothing to do: the other worker records the outcome', 409);
    end if;
    perform private.record_attempt(queue, subject_id, attempt, settled, reason, result);
    return status;
end $$;
comment on function private.finish_job is
    'Records what became of a claimed job. A worker that lost its message meanwhile is refused by the attempt number';

create function private.record_attempt(
    queue text, subject_id uuid, attempt int, outcome text, reason text, result jsonb)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.delivery_attempts (garage_id, document_id, communication_id,
        push_notification_id,
        attempt, outcome, reason, provider, provider_message_id, started_at)
    select s.garage_id, s.document_id, s.communication_id, s.push_notification_id,
        record_attempt.attempt,
           record_attempt.outcome, record_attempt.reason, result ->> 'provider',
           coalesce(result ->> 'provider_message_id', result ->> 'ticket_id'), s.claimed_at
      from (
        select d.garage_id, d.id as document_id, null::uuid as communication_id,
            null::uuid as push_notification_id,
               d.claimed_at from public.invoice_documents d where queue = 'render'
                   and d.id = subject_id
        union all
        select c.garage_id, null, c.id, null, c.claimed_at
          from public.communications c where queue = 'send' and c.id = subject_id
        union all
        select p.garage_id, null, null, p.id, p.claimed_at
          from public.push_notifications p where queue = 'push' and p.id = subject_id) s;
$$;

create function private.housekeep()
returns jsonb
language plpgsql
volatile
security definer -- tidies tables that no role may write
set search_path = pg_catalog, pg_temp
as $$
declare
    counts jsonb := '{}';
    deleted int;
begin
    if not pg_try_advisory_xact_lock(hashtext('private.housekeep')) then
        return counts;
    end if;
    delete from private.wakeups where created_at < now() - interval '1 hour';
    get diagnostics deleted = row_count;
    counts := counts || jsonb_build_object('wakeups', deleted);
    delete from private.rate_limits
     where window_started_at < now() - interval '1 day'
         and coalesce(blocked_until, '-infinity') < now();
    get diagnostics deleted = row_count;
    counts := counts || jsonb_build_object('rate_limits', deleted);
    delete from private.document_grants where expires_at < now() - interval '1 hour';
    get diagnostics deleted = row_count;
    counts := counts || jsonb_build_object('document_grants', deleted);
    delete from private.login_attempts where created_at < now() - interval '90 days';
    get diagnostics deleted = row_count;
    return counts || jsonb_build_object('login_attempts', deleted);
end $$;
comment on function private.housekeep is
    'Deletes what has no further use; how many rows per table. Any worker, any time; one at a time';
grant execute on function private.claim_jobs, private.finish_job, private.housekeep to worker;

create function private.retry_delivery(subject_id uuid)
returns text
language plpgsql
volatile
security definer -- status and attempt limits are columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('deliveries.retry');
begin
    update public.invoice_documents d set status = 'pending', attempt_limit = d.attempt + 5
     where d.garage_id = garage and d.id = retry_delivery.subject_id and d.status = 'failed';
    if found then
        perform private.enqueue('render', subject_id);
        return 'invoice_document';
    end if;
    update public.communications c
       set status = 'queued', attempt_limit = c.attempt + 8,
           recipient = coalesce((select k.email from public.customers k
                                  where k.garage_id = c.garage_id and k.id = c.customer_id), c.recipient)
     where c.garage_id = garage and c.id = retry_delivery.subject_id
         and c.status in ('failed', 'unknown');
    if found then
        perform private.enqueue('send', subject_id);
        return 'communication';
    end if;
    update public.push_notifications p set status = 'queued', attempt_limit = p.attempt + 8
     where p.garage_id = garage and p.id = retry_delivery.subject_id
         and p.status in ('failed', 'unknown');
    if found then
        perform private.enqueue('push', subject_id);
        return 'push_notification';
    end if;
    perform private.refuse('delivery_not_retryable', 'There is nothing to retry here',
        'Only what failed, or whose outcome is unknown, can be retried: see its status', 409);
end $$;
grant execute on function private.retry_delivery to authenticated;

create function public.retry_delivery(subject_id uuid)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.retry_delivery(retry_delivery.subject_id);
end;
comment on function public.retry_delivery is
    'Tries a failed document, e-mail or push again, or one whose outcome is unknown; what kind it was';
grant execute on function public.retry_delivery to authenticated;
