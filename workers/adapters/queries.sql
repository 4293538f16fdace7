-- name: claim
select msg_id, job
  from private.claim_jobs(queue => %(queue)s, max_jobs => 1, visibility_seconds => %(visibility_seconds)s);

-- name: finish
select private.finish_job(
    queue => %(queue)s, msg_id => %(msg_id)s, subject_id => %(subject_id)s, attempt => %(attempt)s,
    outcome => %(outcome)s, reason => %(reason)s, delay_seconds => %(delay_seconds)s, result => %(result)s) as status;

-- name: housekeep
select private.housekeep() || private.housekeep_queues() as counts;

-- name: set_aside
select private.set_aside_message(queue => %(queue)s, msg_id => %(msg_id)s, reason => %(reason)s) as is_mine;

-- name: beat
select private.worker_beat(
    worker_id => %(worker_id)s, host => %(host)s, pid => %(pid)s, version => %(version)s, lanes => %(lanes)s,
    seconds_running => %(seconds_running)s);

-- name: leave
select private.worker_left(worker_id => %(worker_id)s);

-- name: metrics
select queue, depth, ready, oldest_seconds, in_flight, broken, set_aside from private.queue_metrics();
