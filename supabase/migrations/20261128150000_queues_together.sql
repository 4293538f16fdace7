-- The queues and the hourly housekeeping, each with all it serves. A queue of its own needs a line each in
-- job_of, attempts_left and finish_job, and, when its attempts are kept, in record_attempt.

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
        when 'receipts' then private.receipts_job(subject_id)
        when 'website' then private.website_job(subject_id)
        when 'erase' then private.removal_job(subject_id) end;
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
        when 'website' then private.website_attempts_left(subject_id)
        when 'erase' then (select f.attempt < f.attempt_limit from private.file_removals f
            where f.id = subject_id)
        when 'receipts' then true
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
        when 'receipts' then private.finish_receipts(subject_id, attempt, settled, reason, result)
        when 'website' then private.finish_website_mail(subject_id, attempt, settled, reason, result)
        when 'erase' then private.finish_removal(subject_id, attempt, settled, reason)
    end end;
    if status is null then
        perform private.refuse('job_superseded',
            'This job was given to another worker in the meantime',
            'Nothing to do: the other worker records the outcome', 409);
    end if;
    perform private.record_attempt(queue, subject_id, attempt, settled, reason, result);
    return status;
end $$;

create or replace function private.record_attempt(
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
    select private.record_website_attempt(subject_id, record_attempt.attempt,
               record_attempt.outcome, record_attempt.reason, result)
     where queue = 'website';
$$;

create function private.housekeep_one(task text)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    retained int;
begin
    if task = 'retention' then
        retained := private.apply_due_retention(now());
    end if;
    return case task
        when 'retention' then jsonb_build_object('retention', retained, 'retention_failed', (
            select count(*) from public.retention_runs r
             where r.created_at = now() and r.failure is not null))
        when 'removals' then private.retry_removals()
        when 'history' then private.keep_history(now())
        when 'breaches' then private.purge_breaches(now())
        when 'website' then private.purge_website(now())
        when 'telemetry' then private.purge_telemetry(now()) end;
end $$;
comment on function private.housekeep_one is
    'One task of the hourly housekeeping, and what it counted';

create or replace function private.housekeep()
returns jsonb
language plpgsql
volatile
security definer -- tidies tables that no role may write
set search_path = pg_catalog, pg_temp
as $$
declare
    counts jsonb := '{}';
    deleted int;
    task text;
    failed text[] := '{}';
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
    -- Retention comes by once a day, and a spent secret does not stay that long.
    delete from private.document_grants where expires_at < now() - interval '1 hour';
    get diagnostics deleted = row_count;
    counts := counts || jsonb_build_object('document_grants', deleted);
    -- Retention last: what is left of the statement's time is its own.
    foreach task in array array['removals', 'history', 'breaches', 'website', 'telemetry', 'retention'] loop
        begin
            counts := counts || private.housekeep_one(task);
        exception when query_canceled or others then -- out of time, too
            failed := failed || task; -- the others are done all the same, and this one in an hour
            raise warning 'housekeeping of % failed with %', task, sqlstate;
        end;
    end loop;
    return case when cardinality(failed) = 0 then counts
        else counts || jsonb_build_object('failed', failed) end;
end $$;
