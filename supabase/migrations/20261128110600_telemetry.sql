-- Errors of our apps, as the apps report them: cleaned of secrets and of people before anything is kept,
-- counted by kind, and gone after a while. A garage sees those of its own people and customers, Autexor all.

insert into private.permissions (permission, module) values ('telemetry.read', null);
insert into private.role_permissions (role, permission)
values ('owner', 'telemetry.read'), ('manager', 'telemetry.read');

create table audit.client_errors (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    app text not null check (app in ('dms', 'portal')),
    group_sha256 text not null,
    message text not null check (length(message) <= 1000),
    stack text check (length(stack) <= 4000),
    url text check (length(url) <= 300),
    release text check (length(release) <= 60),
    user_agent text check (length(user_agent) <= 200),
    occurrences int not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    unique (garage_id, group_sha256)
);
alter table audit.client_errors enable row level security;
alter table audit.client_errors force row level security;
comment on table audit.client_errors is
    'controller=garage; retention=client_error_days of the settings after it was last seen. Errors of the garage''s software and of its customers'' portal, one row a kind';
comment on column audit.client_errors.id is 'internal';
comment on column audit.client_errors.garage_id is 'internal';
comment on column audit.client_errors.app is 'internal';
comment on column audit.client_errors.group_sha256 is
    'internal: what makes it the same error: app, message and place, without numbers';
comment on column audit.client_errors.message is
    'internal: scrubbed of secrets, addresses and numbers';
comment on column audit.client_errors.stack is 'internal: scrubbed likewise';
comment on column audit.client_errors.url is 'internal: without query and fragment, scrubbed likewise';
comment on column audit.client_errors.release is 'internal: of the app, when it was last seen';
comment on column audit.client_errors.user_agent is 'internal: when it was last seen';
comment on column audit.client_errors.occurrences is 'internal';
comment on column audit.client_errors.first_seen_at is 'internal';
comment on column audit.client_errors.last_seen_at is 'internal';
create index client_errors_garage_idx on audit.client_errors (garage_id, last_seen_at desc);
create index client_errors_last_seen_at_idx on audit.client_errors (last_seen_at);

create view public.client_errors with (security_invoker = on) as
    select id, garage_id, app, message, stack, url, release, user_agent, occurrences, first_seen_at,
           last_seen_at
      from audit.client_errors;
comment on view public.client_errors is
    'Errors that the garage''s software and its customers'' portal reported, one row a kind; for members with telemetry.read';

create table website.client_errors (
    id uuid primary key default gen_random_uuid(),
    app text not null check (app in ('dms', 'website')),
    group_sha256 text not null unique,
    message text not null check (length(message) <= 1000),
    stack text check (length(stack) <= 4000),
    url text check (length(url) <= 300),
    release text check (length(release) <= 60),
    user_agent text check (length(user_agent) <= 200),
    occurrences int not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now()
);
alter table website.client_errors enable row level security;
alter table website.client_errors force row level security;
comment on table website.client_errors is
    'controller=autexor; retention=client_error_days of the settings after it was last seen. Errors at no garage: of the website, and of people who work for none';
comment on column website.client_errors.id is 'internal';
comment on column website.client_errors.app is 'internal';
comment on column website.client_errors.group_sha256 is
    'internal: what makes it the same error: app, message and place, without numbers';
comment on column website.client_errors.message is
    'internal: scrubbed of secrets, addresses and numbers';
comment on column website.client_errors.stack is 'internal: scrubbed likewise';
comment on column website.client_errors.url is
    'internal: without query and fragment, scrubbed likewise';
comment on column website.client_errors.release is 'internal: of the app, when it was last seen';
comment on column website.client_errors.user_agent is 'internal: when it was last seen';
comment on column website.client_errors.occurrences is 'internal';
comment on column website.client_errors.first_seen_at is 'internal';
comment on column website.client_errors.last_seen_at is 'internal';
create index website_client_errors_last_seen_at_idx on website.client_errors (last_seen_at);

create function private.scrub(report text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    rule text[];
    clean text := report;
begin
    -- In this order: what is recognised by its surroundings first, then by its own shape, digits last.
    foreach rule slice 1 in array array[
        ['(\w[\w+.-]*://)[^\s/@"''<>]*@', '\1', 'gi'],
        ['(\w[\w+.-]*://[^\s?#"''<>()]*)[?#][^\s"''<>()]*', '\1', 'gi'],
        ['(bearer|basic|dpop)\s+[A-Za-z0-9._~+/=-]{6,}', '\1 [token]', 'gi'],
        ['eyJ[A-Za-z0-9_-]{6,}(\.[A-Za-z0-9_-]*)*', '[token]', 'gi'],
        ['Expo(nent)?PushToken\[[^\]\s]*\]?', '[token]', 'gi'],
        ['\m(sb|sbp|sk|pk|rk|ghp|gho|github_pat|whsec|xox[a-z])_[A-Za-z0-9_-]{8,}', '[key]', 'gi'],
        ['\mSG\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+)?', '[key]', 'gi'],
        ['\mAKIA[A-Z0-9]{12,}', '[key]', 'gi'],
        ['\$argon2[a-z]*\$[^\s"'']+', '[hash]', 'gi'],
        ['((pass(word|wd|code)?|wachtwoord|pin(code)?|secret|tokens?|api[_-]?key|authorization|cookie|otp|code)["'']?\s*[:=]\s*["'']?)[^\s"'',;&}\]]+', '\1[secret]', 'gi'],
        ['[A-Za-z0-9._%+''-]+(@|%40)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+', '[email]', 'gi'],
        ['\m[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\M', '[id]', 'gi'],
        ['\m[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]{31,}\M', '[token]', 'gi'],
        ['\m[0-9a-f]{32,}\M', '[hash]', 'gi'],
        ['\m[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,4})?\M', '[iban]', 'g'],
        ['\m(?=[A-HJ-NPR-Z0-9]*[0-9])[A-HJ-NPR-Z0-9]{17}\M', '[vin]', 'g'],
        ['\m[1-9]-[A-Z]{3}-[0-9]{3}\M', '[plate]', 'g'],
        ['\+?[0-9]([ ./()-]{0,2}[0-9]){7,}', '[number]', 'gi']
    ] loop
        clean := regexp_replace(clean, rule[1], rule[2], rule[3]);
    end loop;
    return clean;
end $$;
comment on function private.scrub is
    'A text without what may be a secret or a person: tokens, keys, passwords, addresses, queries, ids, accounts, long numbers';

create function private.scrub_url(url text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select private.scrub(substring(btrim(scrub_url.url) from '^[^?#]*'));
$$;

create function private.error_group(app text, message text, stack text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    -- The first lines of a stack say where; numbers in it change with every build.
    select private.sha256_hex(jsonb_build_array(error_group.app,
        regexp_replace(error_group.message, '[0-9]+', '#', 'g'),
        regexp_replace(array_to_string((string_to_array(error_group.stack, E'\n'))[:4], E'\n'),
            '[0-9]+', '#', 'g'))::text);
$$;

create function private.reporter()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(current_setting('request.jwt.claims', true)::jsonb ->> 'sub',
        private.client_network());
exception when others then
    return private.client_network();
end $$;
comment on function private.reporter is
    'Who reports, for counting: the person signed in, else their network. Never raises';

create function private.keep_error(report website.client_errors, garage_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if garage_id is null then
        insert into website.client_errors as e (app, group_sha256, message, stack, url, release,
            user_agent)
        values (report.app, report.group_sha256, report.message, report.stack, report.url,
            report.release, report.user_agent)
        on conflict (group_sha256) do update
            set occurrences = e.occurrences + 1, last_seen_at = now(), url = excluded.url,
                release = excluded.release, user_agent = excluded.user_agent;
    else
        insert into audit.client_errors as e (garage_id, app, group_sha256, message, stack, url,
            release, user_agent)
        values (keep_error.garage_id, report.app, report.group_sha256, report.message, report.stack,
            report.url, report.release, report.user_agent)
        on conflict on constraint client_errors_garage_id_group_sha256_key do update
            set occurrences = e.occurrences + 1, last_seen_at = now(), url = excluded.url,
                release = excluded.release, user_agent = excluded.user_agent;
    end if;
end $$;

create function private.is_new_error(group_sha256 text, garage_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case when is_new_error.garage_id is null
        then not exists (select from website.client_errors e
                          where e.group_sha256 = is_new_error.group_sha256)
        else not exists (select from audit.client_errors e
                          where e.garage_id = is_new_error.garage_id
                            and e.group_sha256 = is_new_error.group_sha256) end;
$$;

create function private.report_error(message text, stack text, url text, release text)
returns void
language plpgsql
volatile
security definer -- nobody writes these tables
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.garage_id();
    role text := current_setting('role', true);
    report website.client_errors;
begin
    if role = 'portal' and garage is null then
        perform private.refuse('session_ended', 'Your session has ended', 'Sign in again', 401);
    elsif octet_length(concat(message, stack, url, report_error.release)) > 32768 then
        perform private.refuse('error_report_too_large', 'An error report has at most 32 KiB',
            'Cut the stack', 413);
    elsif btrim(coalesce(message, '')) = '' then
        perform private.refuse('error_message_missing', 'An error report says what happened',
            'Send the error''s message');
    elsif private.is_too_often('client error', private.reporter(), 30, interval '5 minutes')
        or (role = 'anon' and private.is_too_often('client error', 'visitors', 600, interval '1 hour'))
    then
        perform private.refuse('too_many_reports', 'Too many error reports at once',
            'Report the first ones only, and go on later', 429);
    end if;
    -- Scrubbed whole and cut afterwards: half a secret would not be recognised.
    report.app := case role when 'portal' then 'portal' when 'authenticated' then 'dms' else 'website' end;
    report.message := left(private.scrub(message), 1000);
    report.stack := left(private.scrub(stack), 4000);
    report.url := left(private.scrub_url(url), 300);
    report.release := left(private.scrub(report_error.release), 60);
    report.user_agent := left(private.scrub(left(private.header('user-agent'), 1000)), 200);
    report.group_sha256 := private.error_group(report.app, report.message, report.stack);
    -- A flood of ever new words fills nothing: so many kinds a day are kept of a garage.
    if private.is_new_error(report.group_sha256, garage) and private.is_too_often('client error kinds',
        coalesce(garage::text, report.app), 200, interval '1 day') then
        return;
    end if;
    perform private.keep_error(report, garage);
end $$;
grant execute on function private.report_error to anon, authenticated, portal;

create function public.report_error(message text, stack text default null, url text default null,
    release text default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.report_error(report_error.message, report_error.stack, report_error.url,
        report_error.release);
end;
comment on function public.report_error is
    'Reports an error of the garage''s software. Secrets, people and the query of the address are taken out before it is kept';
grant execute on function public.report_error to authenticated;

create function portal.report_error(message text, stack text default null, url text default null,
    release text default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.report_error(report_error.message, report_error.stack, report_error.url,
        report_error.release);
end;
comment on function portal.report_error is
    'Reports an error of the app. Secrets, people and the query of the address are taken out before it is kept';
grant execute on function portal.report_error to portal;

create function website.report_error(message text, stack text default null, url text default null,
    release text default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.report_error(report_error.message, report_error.stack, report_error.url,
        report_error.release);
end;
comment on function website.report_error is
    'Visitors: reports an error of the website. Secrets, people and the query of the address are taken out before it is kept';
grant execute on function website.report_error to anon;

create function private.all_client_errors()
returns table (id uuid, garage_id uuid, garage text, app text, message text, stack text, url text,
    release text, user_agent text, occurrences int, first_seen_at timestamptz, last_seen_at timestamptz)
language plpgsql
stable
security definer -- of every garage, which no policy shows anybody
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_operator();
    return query
    select e.id, e.garage_id, g.trade_name, e.app, e.message, e.stack, e.url, e.release, e.user_agent,
           e.occurrences, e.first_seen_at, e.last_seen_at
      from audit.client_errors e join public.garages g on g.id = e.garage_id
    union all
    select w.id, null, null, w.app, w.message, w.stack, w.url, w.release, w.user_agent,
           w.occurrences, w.first_seen_at, w.last_seen_at
      from website.client_errors w
     order by 12 desc;
end $$;
grant execute on function private.all_client_errors to authenticated;

create function website.all_client_errors()
returns table (id uuid, garage_id uuid, garage text, app text, message text, stack text, url text,
    release text, user_agent text, occurrences int, first_seen_at timestamptz, last_seen_at timestamptz)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select e.id, e.garage_id, e.garage, e.app, e.message, e.stack, e.url, e.release, e.user_agent,
           e.occurrences, e.first_seen_at, e.last_seen_at
      from private.all_client_errors() e;
end;
comment on function website.all_client_errors is
    'Operators: errors that the apps of all garages and the website reported, last seen first';
grant execute on function website.all_client_errors to authenticated;

create function private.purge_telemetry(at timestamptz default now())
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with kept as (
        select purge_telemetry.at - make_interval(days => s.client_error_days) as since
          from website.settings s
    ), gone as (
        delete from audit.client_errors e using kept where e.last_seen_at < kept.since returning 1
    ), gone_of_nobody as (
        delete from website.client_errors e using kept where e.last_seen_at < kept.since returning 1
    )
    select jsonb_build_object('client_errors',
        (select count(*) from gone) + (select count(*) from gone_of_nobody));
$$;
comment on function private.purge_telemetry is
    'Deletes errors of apps that were not seen for longer than the settings say, as of a moment; how many';
