-- One message must not hold up the others. What cannot be read is set aside at once; what breaks while a
-- job is made of it is shown again later and later, and set aside after five times. Set aside, the message
-- is archived, the reason is in `private.poisoned_messages`, and its row has failed: a person may retry it.

create table private.poisoned_messages (
    queue text not null,
    msg_id bigint not null,
    subject_id uuid,
    failures int not null default 1,
    reason text not null check (reason ~ '^[A-Za-z0-9_ .]{1,200}$'),
    first_failed_at timestamptz not null default clock_timestamp(),
    last_failed_at timestamptz not null default clock_timestamp(),
    set_aside_at timestamptz,
    primary key (queue, msg_id)
);
alter table private.poisoned_messages enable row level security;
alter table private.poisoned_messages force row level security;
comment on table private.poisoned_messages is
    'controller=autexor; retention=90 days. Messages of the work queues that no worker could handle, and why';
comment on column private.poisoned_messages.queue is 'internal';
comment on column private.poisoned_messages.msg_id is 'internal';
comment on column private.poisoned_messages.subject_id is
    'internal: the row it was about, null when the message does not say';
comment on column private.poisoned_messages.failures is 'internal';
comment on column private.poisoned_messages.reason is 'internal: kind of error, never content';
comment on column private.poisoned_messages.first_failed_at is 'internal';
comment on column private.poisoned_messages.last_failed_at is 'internal';
comment on column private.poisoned_messages.set_aside_at is
    'internal: null while it is still being tried';

create function private.message_subject(message jsonb)
returns uuid
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(message) = 'object' and message ->> 'id' ~*
            '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
        then (message ->> 'id')::uuid end;
$$;

create function private.fail_subject(queue text, subject_id uuid, reason text, has_begun boolean)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    number int;
    outcome text;
begin
    -- What was found under way may have gone out: unknown, and never sent again by itself.
    case fail_subject.queue
        when 'render' then
            update public.invoice_documents d
               set status = 'failed', last_error = fail_subject.reason,
                   attempt = d.attempt + (d.status = 'pending')::int,
                   claimed_at = coalesce(d.claimed_at, clock_timestamp())
             where d.id = fail_subject.subject_id and d.status in ('pending', 'rendering')
            returning d.attempt, 'give_up' into number, outcome;
        when 'send' then
            update public.communications c
               set status = case when c.status = 'sending' and has_begun then 'unknown'
                                 else 'failed' end,
                   last_error = fail_subject.reason,
                   attempt = c.attempt + (c.status = 'queued')::int,
                   claimed_at = coalesce(c.claimed_at, clock_timestamp())
             where c.id = fail_subject.subject_id and c.status in ('queued', 'sending')
            returning c.attempt, case c.status when 'unknown' then 'unknown' else 'give_up' end
                into number, outcome;
        when 'push' then
            update public.push_notifications p
               set status = case when p.status = 'sending' and has_begun then 'unknown'
                                 else 'failed' end,
                   last_error = fail_subject.reason,
                   attempt = p.attempt + (p.status = 'queued')::int,
                   claimed_at = coalesce(p.claimed_at, clock_timestamp())
             where p.id = fail_subject.subject_id and p.status in ('queued', 'sending')
            returning p.attempt, case p.status when 'unknown' then 'unknown' else 'give_up' end
                into number, outcome;
        when 'check' then
            perform private.fail_check(fail_subject.subject_id, fail_subject.reason);
        when 'website' then
            update website.mails m
               set status = case when m.status = 'sending' and has_begun then 'unknown'
                                 else 'failed' end,
                   last_error = fail_subject.reason,
                   attempt = m.attempt + (m.status = 'queued')::int,
                   claimed_at = coalesce(m.claimed_at, clock_timestamp())
             where m.id = fail_subject.subject_id and m.status in ('queued', 'sending')
            returning m.attempt, case m.status when 'unknown' then 'unknown' else 'give_up' end
                into number, outcome;
        when 'erase' then
            update private.file_removals f set status = 'removing', attempt = f.attempt + 1
             where f.id = fail_subject.subject_id and f.status in ('queued', 'removing');
            perform private.finish_removal(f.id, f.attempt, 'give_up', fail_subject.reason)
               from private.file_removals f
              where f.id = fail_subject.subject_id and f.status = 'removing';
        else
            -- A receipt that nobody can ask for leaves its push as it is: sent.
            null;
    end case;
    if number is not null then
        perform private.record_attempt(fail_subject.queue, fail_subject.subject_id, number, outcome,
            fail_subject.reason, '{}');
    end if;
end $$;

create function private.set_aside(queue text, msg_id bigint, message jsonb, reason text,
    has_begun boolean)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    subject uuid := private.message_subject(message);
begin
    if not pgmq.archive(set_aside.queue, set_aside.msg_id) then
        return false;
    end if;
    insert into private.poisoned_messages as p (queue, msg_id, subject_id, reason, set_aside_at)
    values (set_aside.queue, set_aside.msg_id, subject, set_aside.reason, clock_timestamp())
        on conflict on constraint poisoned_messages_pkey do update
       set reason = excluded.reason, last_failed_at = clock_timestamp(),
           set_aside_at = clock_timestamp();
    begin
        perform private.fail_subject(set_aside.queue, subject, set_aside.reason, has_begun);
    exception when others then
        -- A row so broken that it cannot even fail is left to whoever reads this table.
        update private.poisoned_messages p
           set reason = set_aside.reason || ' row_not_failed ' || sqlstate
         where p.queue = set_aside.queue and p.msg_id = set_aside.msg_id;
    end;
    return true;
end $$;

create function private.message_broke(queue text, msg_id bigint, message jsonb, reason text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    count int;
    is_our_mistake boolean;
begin
    -- A deadlock, a lost lock, a full disk: the message has no part in it.
    if message_broke.reason ~ '^(40|53|55|57|58)' then
        perform pgmq.set_vt(message_broke.queue, message_broke.msg_id, 5);
        return;
    end if;
    -- Nor in a function or a right that is missing: a mistake of ours, told of and tried until it is mended.
    is_our_mistake := message_broke.reason ~ '^(0A|25|28|3F|42|XX)';
    insert into private.poisoned_messages as p (queue, msg_id, subject_id, reason)
    values (message_broke.queue, message_broke.msg_id, private.message_subject(message),
        'broke ' || message_broke.reason)
        on conflict on constraint poisoned_messages_pkey do update
       set failures = p.failures + 1, reason = excluded.reason, last_failed_at = clock_timestamp()
    returning p.failures into count;
    if count >= 5 and not is_our_mistake then
        perform private.set_aside(message_broke.queue, message_broke.msg_id, message,
            'broke ' || message_broke.reason, true);
    else
        perform pgmq.set_vt(message_broke.queue, message_broke.msg_id, (5 * 2 ^ least(count, 6))::int);
    end if;
end $$;

create function private.take_message(queue text, msg_id bigint, message jsonb)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    subject uuid := private.message_subject(message);
    job jsonb;
begin
    if subject is null then
        perform private.set_aside(take_message.queue, take_message.msg_id, message,
            'unreadable_message', false);
        return null;
    end if;
    begin
        job := private.job_of(take_message.queue, subject);
    exception when others then
        perform private.message_broke(take_message.queue, take_message.msg_id, message, sqlstate);
        return null;
    end;
    delete from private.poisoned_messages p
     where p.queue = take_message.queue and p.msg_id = take_message.msg_id;
    if job is null then
        perform pgmq.archive(take_message.queue, take_message.msg_id);
    end if;
    return job;
end $$;

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
            job := private.take_message(claim_jobs.queue, message.msg_id, message.message);
            if job ? 'postpone' then
                -- Spread, so that they do not all come back at once.
                perform pgmq.set_vt(claim_jobs.queue, message.msg_id,
                    (job ->> 'postpone')::int + looked / 10);
            elsif job is not null then
                has_claimed := true;
                return next;
            end if;
        end loop;
        -- Not too long: what was looked at is locked until the end.
        exit when has_claimed or not has_read or looked >= 100;
    end loop;
end $$;

create function private.set_aside_message(queue text, msg_id bigint, reason text)
returns boolean
language plpgsql
volatile
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
declare
    content jsonb;
begin
    execute format('select message from pgmq.%I where msg_id = $1', 'q_' || set_aside_message.queue)
       into content using set_aside_message.msg_id;
    return private.set_aside(set_aside_message.queue, set_aside_message.msg_id, content,
        coalesce(substring(set_aside_message.reason from '^[A-Za-z0-9_ .]{1,200}$'), 'unreadable_job'),
        false);
end $$;
comment on function private.set_aside_message is
    'A worker cannot make anything of a job it was given: nothing went out. False when it holds it no longer';

create function private.housekeep_queues()
returns jsonb
language plpgsql
volatile
security definer -- tidies tables that no role may write
set search_path = pg_catalog, pg_temp
as $$
declare
    counts jsonb := '{}';
    deleted int;
    total int := 0;
    name text;
begin
    if not pg_try_advisory_xact_lock(hashtext('private.housekeep_queues')) then
        return counts;
    end if;
    delete from private.poisoned_messages p where p.last_failed_at < now() - interval '90 days';
    get diagnostics deleted = row_count;
    counts := counts || jsonb_build_object('poisoned_messages', deleted);
    -- What a message said is on its row: the archive is for a look at what went wrong lately.
    for name in select q.queue_name from pgmq.meta q loop
        execute format('delete from pgmq.%I where archived_at < now() - interval ''30 days''', 'a_' || name);
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    return counts || jsonb_build_object('archived_messages', total);
end $$;
comment on function private.housekeep_queues is
    'Deletes messages that were archived 30 days ago or set aside 90 days ago; any worker, any time';
grant execute on function private.set_aside_message, private.housekeep_queues to worker;
