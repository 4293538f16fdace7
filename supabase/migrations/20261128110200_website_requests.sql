-- What a visitor asks: a contact, a demo, or something about their data. Visitors hand it in by one
-- function and see nothing again; operators follow it up until it is closed.

create table website.requests (
    id uuid primary key default gen_random_uuid(),
    kind text not null check (kind in ('contact', 'demo', 'privacy')),
    legal_basis text not null,
    full_name text not null check (length(full_name) between 1 and 120),
    email text not null check (private.is_email(email)),
    phone text check (length(phone) between 6 and 30),
    message text check (length(message) between 1 and 4000),
    locale text not null check (locale in ('nl', 'fr', 'en')),
    policy_version text not null,
    policy_locale text not null,
    content_sha256 text not null,
    repeats int not null default 0,
    status text not null default 'new' check (status in ('new', 'in_follow_up', 'closed')),
    outcome text check (outcome in ('answered', 'not_needed', 'spam')),
    handled_by uuid references private.operators (user_id),
    received_at timestamptz not null default now(),
    followed_up_at timestamptz,
    closed_at timestamptz,
    foreign key (policy_version, policy_locale)
        references website.policy_versions (version, locale),
    constraint requests_basis_of_kind check (legal_basis = case kind
        when 'contact' then 'legitimate_interests' when 'demo' then 'precontractual_steps'
        else 'legal_obligation' end),
    constraint requests_closed_says_how
        check ((status = 'closed') = (closed_at is not null and outcome is not null)),
    constraint requests_handled_by_somebody check (status = 'new' or handled_by is not null)
);
alter table website.requests enable row level security;
alter table website.requests force row level security;
comment on table website.requests is
    'controller=autexor; retention=request_days of the settings after closing. What visitors of the website ask';
comment on column website.requests.id is 'internal';
comment on column website.requests.kind is 'internal';
comment on column website.requests.legal_basis is
    'internal: GDPR art. 6 (1): b for a demo (steps before a contract), f for a contact, c for a request about one''s data';
comment on column website.requests.full_name is 'personal(name; subject=visitor; on_erasure=erase)';
comment on column website.requests.email is 'personal(contact; subject=visitor; on_erasure=erase)';
comment on column website.requests.phone is
    'personal(contact; subject=visitor; on_erasure=erase): as it was typed';
comment on column website.requests.message is
    'personal(content; subject=visitor; on_erasure=erase)';
comment on column website.requests.locale is 'internal: what to answer in';
comment on column website.requests.policy_version is 'internal: in force when it was sent';
comment on column website.requests.policy_locale is 'internal: the language it was shown in';
comment on column website.requests.content_sha256 is
    'personal(content; subject=visitor; on_erasure=erase): what tells that it was sent again';
comment on column website.requests.repeats is 'internal: how often it was sent again';
comment on column website.requests.status is 'internal';
comment on column website.requests.outcome is 'internal';
comment on column website.requests.handled_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column website.requests.received_at is 'internal';
comment on column website.requests.followed_up_at is 'internal';
comment on column website.requests.closed_at is 'internal';
create index requests_received_at_idx on website.requests (received_at desc);
create index requests_email_idx on website.requests (lower(email));
create index requests_content_idx on website.requests (content_sha256, received_at desc);
create index requests_closed_at_idx on website.requests (closed_at);
create index requests_handled_by_idx on website.requests (handled_by);
create index requests_policy_idx on website.requests (policy_version, policy_locale);

create table website.request_notes (
    id uuid primary key default gen_random_uuid(),
    request_id uuid not null references website.requests (id) on delete cascade,
    author_id uuid not null references private.operators (user_id),
    status text not null check (status in ('in_follow_up', 'closed')),
    body text check (length(body) between 1 and 4000),
    created_at timestamptz not null default now()
);
alter table website.request_notes enable row level security;
alter table website.request_notes force row level security;
comment on table website.request_notes is
    'controller=autexor; retention=as the request. How a request was followed up, step by step';
comment on column website.request_notes.id is 'internal';
comment on column website.request_notes.request_id is 'internal';
comment on column website.request_notes.author_id is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column website.request_notes.status is 'internal: what the request was from then on';
comment on column website.request_notes.body is
    'personal(content; subject=visitor; on_erasure=erase)';
comment on column website.request_notes.created_at is 'internal';
create index request_notes_request_idx on website.request_notes (request_id, created_at);
create index request_notes_author_idx on website.request_notes (author_id);

create table website.mails (
    id uuid primary key default gen_random_uuid(),
    request_id uuid not null references website.requests (id) on delete cascade,
    kind text not null check (kind in ('website_notice', 'website_acknowledgement')),
    locale text not null check (locale in ('nl', 'fr', 'en')),
    recipient text not null check (private.is_email(recipient)),
    mailbox_sha256 text not null,
    template_version text,
    status text not null default 'queued'
        check (status in ('queued', 'sending', 'sent', 'unknown', 'failed')),
    attempt int not null default 0,
    attempt_limit int not null default 8,
    last_error text,
    provider text,
    provider_message_id text,
    claimed_at timestamptz,
    sent_at timestamptz,
    created_at timestamptz not null default now()
);
alter table website.mails enable row level security;
alter table website.mails force row level security;
comment on table website.mails is
    'controller=autexor; retention=as the request. Mails about requests: one to Autexor, one to the sender; both say fixed words only';
comment on column website.mails.id is 'internal';
comment on column website.mails.request_id is 'internal';
comment on column website.mails.kind is 'internal: the template';
comment on column website.mails.locale is 'internal';
comment on column website.mails.recipient is 'personal(contact; subject=visitor; on_erasure=erase)';
comment on column website.mails.mailbox_sha256 is
    'personal(contact; subject=visitor; on_erasure=erase): one mailbox, however its address is written';
comment on column website.mails.template_version is 'internal';
comment on column website.mails.status is 'internal';
comment on column website.mails.attempt is 'internal: raised by each claim, never reset';
comment on column website.mails.attempt_limit is 'internal: raised when a person retries';
comment on column website.mails.last_error is 'internal';
comment on column website.mails.provider is 'internal';
comment on column website.mails.provider_message_id is 'internal';
comment on column website.mails.claimed_at is 'internal';
comment on column website.mails.sent_at is 'internal';
comment on column website.mails.created_at is 'internal';
create index mails_request_idx on website.mails (request_id);
create index mails_mailbox_idx on website.mails (mailbox_sha256, created_at desc);

create function private.mailbox_sha256(email text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- Tags after a plus, and Google's dots, make a thousand addresses of one mailbox.
    select private.sha256_hex(
               case when domain in ('gmail.com', 'googlemail.com') then replace(local, '.', '')
                    else local end || '@' || domain)
      from (select split_part(split_part(lower(btrim(email)), '@', 1), '+', 1),
                   split_part(lower(btrim(email)), '@', 2)) as parts (local, domain);
$$;
comment on function private.mailbox_sha256 is
    'One hash for all the ways to write the address of a mailbox';

create function private.is_clean_text(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- No control characters, those that steer a terminal among them, and none that turn text around.
    select value !~ '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]';
$$;

create function private.check_request(request website.requests)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not coalesce(request.kind in ('contact', 'demo', 'privacy'), false) then
        perform private.refuse('request_kind_unknown', 'A request is a contact, demo or privacy request',
            'Send one of these words');
    elsif not coalesce(request.locale in ('nl', 'fr', 'en'), false) then
        perform private.refuse('request_locale_unknown', 'This language is not spoken here',
            'Send nl, fr or en');
    elsif not private.is_clean_text(concat(request.full_name, request.email, request.phone,
        request.message)) then
        perform private.refuse_control_character();
    elsif not coalesce(length(request.full_name) between 1 and 120
        and request.full_name !~ '[\r\n\t<>]', false) then
        perform private.refuse('request_name_invalid', 'The name is missing, too long or not a name',
            'Fill it in, in at most 120 characters');
    elsif not coalesce(private.is_email(request.email), false) then
        perform private.refuse('request_email_invalid', 'This is not an e-mail address',
            'Fill in the address to answer to');
    elsif not coalesce(request.phone ~ '^[+0-9][0-9 ()./-]{5,29}$', true) then
        perform private.refuse('request_phone_invalid', 'This is not a phone number',
            'Fill in digits only, or leave it empty');
    elsif length(request.message) > 4000 then
        perform private.refuse('request_message_too_long', 'The message is too long',
            'Shorten it to 4,000 characters');
    elsif request.message is null and request.kind <> 'demo' then
        perform private.refuse('request_message_missing', 'There is no message',
            'Write what it is about');
    end if;
end $$;

create function private.count_request(network text, mailbox text default null)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The last one is for whoever has many addresses: it is the sum of everybody's.
    if (case when mailbox is null
            then private.is_too_often('website request address', network, 10, interval '1 hour')
            else private.is_too_often('website request mailbox', mailbox, 3, interval '1 hour')
                or private.is_too_often('website requests', 'all', 300, interval '1 hour') end) then
        perform private.refuse('too_many_requests', 'Too many requests at once',
            'Try again in an hour, or write to info@autexor.be', 429);
    end if;
end $$;
comment on function private.count_request is
    'Counts a request of an address, and then of a mailbox and of everybody; refuses one too many';

create function private.send_request_mails(request website.requests)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into website.mails (request_id, kind, locale, recipient, mailbox_sha256)
    select request.id, 'website_notice', 'nl', s.notice_address,
           private.mailbox_sha256(s.notice_address)
      from website.settings s
    union all
    -- Whoever types somebody else's address cannot have them mailed more than once a day.
    select request.id, 'website_acknowledgement', request.locale, request.email,
           private.mailbox_sha256(request.email)
     where not exists (
           select from website.mails m
            where m.mailbox_sha256 = private.mailbox_sha256(request.email)
              and m.kind = 'website_acknowledgement' and m.created_at > now() - interval '1 day');
$$;

create function private.submit_request(kind text, full_name text, email text, message text,
    phone text, locale text, homepage text)
returns jsonb
language plpgsql
volatile
security definer -- visitors write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    received constant jsonb := '{"is_received": true}';
    request website.requests;
begin
    perform private.require_visitor();
    perform private.count_request(private.client_network());
    if btrim(coalesce(homepage, '')) <> '' then
        return received; -- a field that people do not see: this was a machine
    end if;
    request.kind := submit_request.kind;
    request.full_name := nullif(btrim(submit_request.full_name), '');
    request.email := lower(btrim(submit_request.email));
    request.phone := nullif(btrim(submit_request.phone), '');
    request.message := nullif(btrim(submit_request.message, E' \t\r\n'), '');
    request.locale := submit_request.locale;
    perform private.check_request(request);
    -- From here on requests of one mailbox come one after the other: its counter is locked.
    perform private.count_request(null, private.mailbox_sha256(request.email));
    request.content_sha256 := private.sha256_hex(
        jsonb_build_array(request.kind, request.email, request.message)::text);
    update website.requests r set repeats = r.repeats + 1
     where r.id = (select o.id from website.requests o
                    where o.content_sha256 = request.content_sha256
                      and o.received_at > now() - interval '1 day'
                    order by o.received_at desc limit 1);
    if found then
        return received;
    end if;
    request.policy_version := private.require_policy();
    insert into website.requests as r (kind, legal_basis, full_name, email, phone, message, locale,
        policy_version, policy_locale, content_sha256)
    values (request.kind, case request.kind when 'contact' then 'legitimate_interests'
            when 'demo' then 'precontractual_steps' else 'legal_obligation' end,
        request.full_name, request.email, request.phone, request.message, request.locale,
        request.policy_version, case request.locale when 'nl' then 'nl' else 'en' end,
        request.content_sha256)
    returning * into request;
    perform private.send_request_mails(request);
    return received;
end $$;
grant execute on function private.submit_request to anon;

create function website.submit_request(kind text, full_name text, email text,
    message text default null, phone text default null, locale text default 'nl',
    homepage text default null)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.submit_request(submit_request.kind, submit_request.full_name,
        submit_request.email, submit_request.message, submit_request.phone, submit_request.locale,
        submit_request.homepage);
end;
comment on function website.submit_request is
    'Visitors: hands in a contact, demo or privacy request. homepage stays empty: show that field to machines only';
grant execute on function website.submit_request to anon;

create function private.move_request(request_id uuid, status text, outcome text, note text)
returns website.requests
language plpgsql
volatile
security definer -- no role writes this table
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
    request website.requests;
    body text := nullif(btrim(note, E' \t\r\n'), '');
begin
    select * into request from website.requests r where r.id = move_request.request_id for update;
    if not found then
        perform private.refuse('request_not_found', 'There is no such request',
            'It may have been erased: look at the list', 404);
    elsif request.status = 'closed' or (request.status = move_request.status and body is null) then
        perform private.refuse('request_moved_on', format('This request is %s already',
            replace(request.status, '_', ' ')), 'Look at it again', 409);
    elsif move_request.status = 'closed'
        and not coalesce(move_request.outcome in ('answered', 'not_needed', 'spam'), false) then
        perform private.refuse('request_outcome_unknown', 'How did it end?',
            'Say answered, not_needed or spam');
    elsif length(body) > 4000 or not private.is_clean_text(coalesce(body, '')) then
        perform private.refuse('request_note_invalid', 'This note is too long or holds odd characters',
            'Shorten it to 4,000 characters of plain text');
    end if;
    update website.requests r
       set status = move_request.status, handled_by = operator, outcome = move_request.outcome,
           followed_up_at = coalesce(r.followed_up_at, now()),
           closed_at = case move_request.status when 'closed' then now() end
     where r.id = request.id
    returning * into request;
    insert into website.request_notes (request_id, author_id, status, body)
    values (request.id, operator, request.status, body);
    return request;
end $$;
grant execute on function private.move_request to authenticated;

create function website.follow_up(request_id uuid, note text default null)
returns website.requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.move_request(follow_up.request_id, 'in_follow_up', null, follow_up.note) r;
end;
comment on function website.follow_up is
    'Operators: takes a request up, or adds a note to one that is';

create function website.close_request(request_id uuid, outcome text, note text default null)
returns website.requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.move_request(close_request.request_id, 'closed', close_request.outcome,
        close_request.note) r;
end;
comment on function website.close_request is
    'Operators: closes a request as answered, not_needed or spam; from then on its days are counted';
grant execute on function website.follow_up, website.close_request to authenticated;
