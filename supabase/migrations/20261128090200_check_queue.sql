-- The queue "check" among the others, pushes in the garage's own words, and what went wrong with them.

create or replace function private.job_of(queue text, subject_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return case queue
        when 'render' then private.document_job(subject_id)
        when 'send' then private.communication_job(subject_id)
        when 'push' then private.push_job(subject_id)
        when 'check' then private.check_job(subject_id) end;
end $$;

create or replace function private.attempts_left(queue text, subject_id uuid)
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
        when 'check' then (select t.attempt < t.attempt_limit from public.message_templates t
            where t.id = subject_id)
    end;
$$;

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
        when 'check' then private.finish_check(subject_id, attempt, settled, reason, result)
    end end;
    if status is null then
        perform private.refuse('job_superseded',
            'This job was given to another worker in the meantime',
            'Nothing to do: the other worker records the outcome', 409);
    end if;
    perform private.record_attempt(queue, subject_id, attempt, settled, reason, result);
    return status;
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
    update public.provider_accounts a
       set test_status = case when communication.status = 'sent' then 'ok' else 'failed' end,
           test_reason = communication.last_error, tested_at = clock_timestamp()
     where communication.template = 'provider_test' and communication.status <> 'queued'
       and a.garage_id = communication.garage_id and a.id = communication.provider_account_id;
    perform private.note_wording_problem(communication.garage_id, communication.template,
        communication.channel, communication.locale, result ->> 'wording_problem');
    return communication.status;
end $$;
