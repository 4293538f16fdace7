-- Which workers are there, and how much waits for them: for operators and their monitoring, as the role
-- `worker`. It is about the platform, so it names no garage, and no garage reads it.

create table private.worker_heartbeats (
    id uuid primary key,
    host text not null check (host <> '' and char_length(host) <= 255),
    pid int not null,
    version text not null check (version <> '' and char_length(version) <= 50),
    lanes jsonb not null check (jsonb_typeof(lanes) = 'object' and pg_column_size(lanes) < 2000),
    started_at timestamptz not null,
    seen_at timestamptz not null default clock_timestamp()
);
alter table private.worker_heartbeats enable row level security;
alter table private.worker_heartbeats force row level security;
comment on table private.worker_heartbeats is
    'controller=autexor; retention=1 day. One row per worker process, refreshed while it runs';
comment on column private.worker_heartbeats.id is 'internal: chosen by the process';
comment on column private.worker_heartbeats.host is 'internal: of Autexor''s own machines';
comment on column private.worker_heartbeats.pid is 'internal';
comment on column private.worker_heartbeats.version is 'internal';
comment on column private.worker_heartbeats.lanes is 'internal: how many lanes for each queue';
comment on column private.worker_heartbeats.started_at is 'internal';
comment on column private.worker_heartbeats.seen_at is 'internal';

create function private.worker_beat(worker_id uuid, host text, pid int, version text, lanes jsonb,
    seconds_running double precision)
returns void
language plpgsql
volatile
security definer -- a worker may name no table
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into private.worker_heartbeats as h (id, host, pid, version, lanes, started_at)
    values (worker_beat.worker_id, left(worker_beat.host, 255), worker_beat.pid,
        left(worker_beat.version, 50), worker_beat.lanes,
        clock_timestamp() - make_interval(secs => seconds_running))
        on conflict on constraint worker_heartbeats_pkey do update set seen_at = clock_timestamp();
    delete from private.worker_heartbeats h where h.seen_at < clock_timestamp() - interval '1 day';
end $$;
comment on function private.worker_beat is 'A worker says that it runs';

create function private.worker_left(worker_id uuid)
returns void
language sql
volatile
security definer -- a worker may name no table
set search_path = pg_catalog, pg_temp
as $$
    delete from private.worker_heartbeats h where h.id = worker_left.worker_id;
$$;
comment on function private.worker_left is 'A worker says that it has stopped, in order';

create function private.worker_status()
returns table (id uuid, host text, pid int, version text, lanes jsonb, started_at timestamptz,
    seen_at timestamptz, is_alive boolean)
language sql
stable
security definer -- a worker may name no table
set search_path = pg_catalog, pg_temp
as $$
    select h.id, h.host, h.pid, h.version, h.lanes, h.started_at, h.seen_at,
           h.seen_at > clock_timestamp() - interval '1 minute'
      from private.worker_heartbeats h order by h.host, h.started_at;
$$;
comment on function private.worker_status is
    'The processes seen within a day; alive is who was seen within a minute';

create function private.queue_metrics()
returns table (queue text, depth bigint, ready bigint, oldest_seconds double precision,
    in_flight bigint, broken bigint, set_aside bigint)
language plpgsql
stable
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
declare
    under_way text;
begin
    for queue in select q.queue_name from pgmq.meta q order by 1 loop
        execute format(
            'select count(*), count(*) filter (where vt <= clock_timestamp()),'
            ' coalesce(extract(epoch from clock_timestamp() - min(vt) filter (where vt <= clock_timestamp())), 0)'
            ' from pgmq.%I', 'q_' || queue)
           into depth, ready, oldest_seconds;
        under_way := case queue
            when 'render' then $q$public.invoice_documents r on r.status = 'rendering'$q$
            when 'send' then $q$public.communications r on r.status = 'sending'$q$
            when 'push' then $q$public.push_notifications r on r.status = 'sending'$q$ end;
        in_flight := null;
        if under_way is not null then
            execute format('select count(*) from pgmq.%I m join %s'
                ' and r.id = private.message_subject(m.message) where m.vt > clock_timestamp()',
                'q_' || queue, under_way)
               into in_flight;
        end if;
        select count(*) filter (where p.set_aside_at is null), count(p.set_aside_at)
          into broken, set_aside
          from private.poisoned_messages p where p.queue = queue_metrics.queue;
        return next;
    end loop;
end $$;
comment on function private.queue_metrics is
    'Per queue: messages, those that could be claimed now and for how long the first has waited, those in a worker''s hands, those that keep breaking, and those that were set aside';

create function private.poisoned()
returns table (queue text, msg_id bigint, subject_id uuid, failures int, reason text,
    last_failed_at timestamptz, set_aside_at timestamptz)
language sql
stable
security definer -- a worker may name no table
set search_path = pg_catalog, pg_temp
as $$
    select p.queue, p.msg_id, p.subject_id, p.failures, p.reason, p.last_failed_at, p.set_aside_at
      from private.poisoned_messages p order by p.last_failed_at desc limit 100;
$$;
comment on function private.poisoned is 'The newest messages that broke or were set aside, and why';
grant execute on function private.worker_beat, private.worker_left, private.worker_status,
    private.queue_metrics, private.poisoned to worker;
