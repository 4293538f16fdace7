-- The queue of receipts among the others.

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
        when 'check' then private.check_job(subject_id)
        when 'receipts' then private.receipts_job(subject_id) end;
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
        when 'check' then private.finish_check(subject_id, attempt, settled, reason, result)
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
