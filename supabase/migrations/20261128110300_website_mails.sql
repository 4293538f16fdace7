-- The website's mails go out as every mail does: a queue of their own, claimed and recorded by the same
-- dispatchers, which get one branch each. What became of each attempt is told beside the mail.

select pgmq.create('website');

create table website.mail_attempts (
    id uuid primary key default gen_random_uuid(),
    mail_id uuid not null references website.mails (id) on delete cascade,
    attempt int not null,
    outcome text not null check (outcome in ('done', 'retry', 'give_up', 'unknown')),
    reason text,
    provider text,
    provider_message_id text,
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp()
);
alter table website.mail_attempts enable row level security;
alter table website.mail_attempts force row level security;
comment on table website.mail_attempts is
    'controller=autexor; retention=as the mail. One row for every attempt to send a mail of the website';
comment on column website.mail_attempts.id is 'internal';
comment on column website.mail_attempts.mail_id is 'internal';
comment on column website.mail_attempts.attempt is 'internal';
comment on column website.mail_attempts.outcome is 'internal';
comment on column website.mail_attempts.reason is 'internal: kind of error, never content';
comment on column website.mail_attempts.provider is 'internal';
comment on column website.mail_attempts.provider_message_id is 'internal';
comment on column website.mail_attempts.started_at is 'internal';
comment on column website.mail_attempts.finished_at is 'internal';
create index mail_attempts_mail_idx on website.mail_attempts (mail_id, attempt);

create trigger _500_enqueue after insert on website.mails
    for each row execute function private.tg__enqueue('website');

create function private.website_job(mail_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    mail website.mails;
    was_sending boolean;
begin
    select * into mail from website.mails m
     where m.id = website_job.mail_id and m.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    was_sending := mail.status = 'sending';
    update website.mails m
       set status = case when was_sending then 'unknown' else 'sending' end,
           attempt = m.attempt + 1,
           claimed_at = case when was_sending then m.claimed_at else clock_timestamp() end,
           last_error = case when was_sending then 'worker_died' else m.last_error end
     where m.id = mail.id
    returning * into mail;
    if was_sending then
        perform private.record_website_attempt(mail.id, mail.attempt - 1, 'unknown', 'worker_died',
            '{}');
        return null;
    end if;
    return (
        select jsonb_build_object(
            'kind', 'send_message', 'subject_id', mail.id, 'garage_id', null,
            'attempt', mail.attempt, 'channel', 'email', 'template', mail.kind,
            'locale', mail.locale, 'attachment', null,
            'recipient', jsonb_build_object('address', mail.recipient, 'name', mail.recipient),
            'sender', jsonb_build_object('address', 'no-reply@autexor.be', 'name', 'Autexor',
                'reply_to', s.notice_address),
            -- Nothing a visitor typed: whoever gets this mail may be somebody else.
            'context', jsonb_build_object('request_id', r.id, 'request_kind', r.kind,
                'received_at', to_char(r.received_at at time zone 'Europe/Brussels',
                    'YYYY-MM-DD"T"HH24:MI')))
          from website.requests r cross join website.settings s where r.id = mail.request_id);
end $$;

create function private.finish_website_mail(id uuid, attempt int, outcome text, reason text,
    result jsonb)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update website.mails m
       set status = case finish_website_mail.outcome
               when 'done' then 'sent' when 'retry' then 'queued' when 'unknown'
                   then 'unknown' else 'failed' end,
           last_error = finish_website_mail.reason,
           template_version = result ->> 'template_version',
           provider = result ->> 'provider', provider_message_id = result ->> 'provider_message_id',
           sent_at = case when finish_website_mail.outcome = 'done' then clock_timestamp() end
     where m.id = finish_website_mail.id and m.attempt = finish_website_mail.attempt
         and m.status = 'sending'
    returning m.status;
$$;

create function private.website_attempts_left(mail_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select m.attempt < m.attempt_limit from website.mails m
     where m.id = website_attempts_left.mail_id;
$$;

create function private.record_website_attempt(mail_id uuid, attempt int, outcome text,
    reason text, result jsonb)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into website.mail_attempts (mail_id, attempt, outcome, reason, provider,
        provider_message_id, started_at)
    select m.id, record_website_attempt.attempt, record_website_attempt.outcome,
           record_website_attempt.reason, result ->> 'provider', result ->> 'provider_message_id',
           m.claimed_at
      from website.mails m where m.id = record_website_attempt.mail_id;
$$;

create function private.retry_website_mail(mail_id uuid)
returns void
language plpgsql
volatile
security definer -- no role writes this table
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_operator();
    update website.mails m
       set status = 'queued', attempt_limit = m.attempt + 8, last_error = null
     where m.id = retry_website_mail.mail_id and m.status in ('failed', 'unknown');
    if not found then
        perform private.refuse('mail_not_retryable', 'There is no such mail to retry',
            'Only what failed or is unknown can be retried: see the request', 409);
    end if;
    perform private.enqueue('website', mail_id);
end $$;
grant execute on function private.retry_website_mail to authenticated;

create function website.retry_mail(mail_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.retry_website_mail(retry_mail.mail_id);
end;
comment on function website.retry_mail is
    'Operators: tries a mail about a request again that failed, or whose outcome is unknown';
grant execute on function website.retry_mail to authenticated;
