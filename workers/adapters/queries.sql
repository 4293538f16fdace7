-- name: claim
select msg_id, job
  from private.claim_jobs(queue => %(queue)s, max_jobs => 1, visibility_seconds => %(visibility_seconds)s);

-- name: finish
select private.finish_job(
    queue => %(queue)s, msg_id => %(msg_id)s, subject_id => %(subject_id)s, attempt => %(attempt)s,
    outcome => %(outcome)s, reason => %(reason)s, delay_seconds => %(delay_seconds)s, result => %(result)s) as status;

-- name: housekeep
select private.housekeep() as counts;
