-- The website of Autexor itself: a schema of its own, because no garage has a part in it. Visitors come as
-- anon and may call a few functions; staff of Autexor read what came of it. Here: its settings, whose
-- request it is, and the versions of the privacy policy that everything else points at.

create schema website;
comment on schema website is
    'What autexor.be and the staff of Autexor may name: visitors call functions, operators read and handle';
-- The role portal is a member of anon and so may name this, too: what is for visitors alone says so itself.
grant usage on schema website to anon, authenticated;
alter default privileges for role postgres in schema website
    revoke all on tables from anon, authenticated, service_role;

create table website.settings (
    is_only boolean primary key default true check (is_only),
    client_address_header text not null default 'cf-connecting-ip'
        check (client_address_header ~ '^[a-z0-9-]{1,60}$'),
    client_address_hops int not null default 1 check (client_address_hops between 1 and 10),
    notice_address text not null default 'info@autexor.be' check (private.is_email(notice_address)),
    request_days int not null default 180 check (request_days between 1 and 730),
    page_view_days int not null default 30 check (page_view_days between 1 and 90),
    consent_months int not null default 12 check (consent_months between 1 and 24),
    proof_months int not null default 36 check (proof_months between 1 and 60),
    client_error_days int not null default 90 check (client_error_days between 1 and 365),
    constraint settings_proof_outlives_consent check (proof_months >= consent_months)
);
alter table website.settings enable row level security;
alter table website.settings force row level security;
comment on table website.settings is
    'controller=autexor; retention=none. One row: which header tells a visitor''s address, who is told of requests, how long things are kept';
comment on column website.settings.is_only is 'internal';
comment on column website.settings.client_address_header is
    'internal: the header that the outermost proxy of ours writes, whatever the caller sent';
comment on column website.settings.client_address_hops is
    'internal: which address in it counts, from the right: 1 is what that proxy itself saw';
comment on column website.settings.notice_address is 'internal: who at Autexor is told of a request';
comment on column website.settings.request_days is 'internal: a request goes so long after it was closed';
comment on column website.settings.page_view_days is 'internal: page views are kept so long';
comment on column website.settings.consent_months is 'internal: a consent holds so long';
comment on column website.settings.proof_months is
    'internal: what was consented to, and which rights were exercised, can be shown so long';
comment on column website.settings.client_error_days is
    'internal: an error of an app is kept so long after it was last seen';
insert into website.settings default values;

create function private.network_of(address text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    plain inet;
begin
    plain := host(btrim(address)::inet)::inet;
    -- One line of a provider holds a /64 of IPv6 addresses; IPv4 in IPv6 clothes is IPv4.
    return case
        when family(plain) = 4 then network(plain)::text
        when plain <<= '::ffff:0:0/96'
            then network('0.0.0.0'::inet + (plain - '::ffff:0:0'::inet))::text
        else network(set_masklen(plain, 64))::text end;
exception when data_exception then
    return null;
end $$;
comment on function private.network_of is
    'The network that limits count by: an IPv4 address, or the /64 of an IPv6 one; null for anything else';

create or replace function private.address_key(client_ip text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select private.limit_key('login address', private.network_of(client_ip));
$$;

create function private.header(name text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return current_setting('request.headers', true)::jsonb ->> header.name;
exception when others then
    return null;
end $$;
comment on function private.header is 'A header of the request; null without one. Never raises';

create function private.client_network()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    settings website.settings;
    hops text[];
begin
    select * into settings from website.settings;
    -- From the right: whoever calls can write anything in front of what our own proxy appends.
    hops := string_to_array(private.header(settings.client_address_header), ',');
    return coalesce(private.network_of(hops[cardinality(hops) + 1 - settings.client_address_hops]),
        'unknown');
end $$;
comment on function private.client_network is
    'The caller''s network as the proxy that we trust tells it; "unknown", one and the same for all, without. Never raises';

create function private.is_too_often(what text, whose text, max_hits int, window_length interval)
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(private.take(private.limit_key(is_too_often.what, is_too_often.whose),
        is_too_often.max_hits, is_too_often.window_length, is_too_often.window_length), 0) > 0;
$$;
comment on function private.is_too_often is
    'Counts one try of somebody at something; true when that is one too many';

create function private.require_visitor()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Customers inherit what anon may do: they are no visitors.
    if current_setting('role', true) is distinct from 'anon' then
        perform private.refuse('visitors_only', 'This is for visitors of the website',
            'Call it without being signed in', 403);
    end if;
end $$;
comment on function private.require_visitor is 'Refuses whoever is signed in, as whatever';

create table website.policy_versions (
    version text not null check (version ~ '^[0-9a-z][0-9a-z.-]{0,39}$'),
    locale text not null check (locale in ('nl', 'en')),
    published_on date not null,
    sha256 text not null check (sha256 = private.sha256_hex(body)),
    body text not null check (length(body) between 1 and 100000),
    published_by uuid references private.operators (user_id),
    created_at timestamptz not null default now(),
    primary key (version, locale)
);
alter table website.policy_versions enable row level security;
alter table website.policy_versions force row level security;
comment on table website.policy_versions is
    'controller=autexor; retention=none. The privacy policy as it was published, in two languages; never changed afterwards';
comment on column website.policy_versions.version is 'public';
comment on column website.policy_versions.locale is 'public';
comment on column website.policy_versions.published_on is
    'public: in force from this day on (at Brussels) until a later one is';
comment on column website.policy_versions.sha256 is 'public: of the text, in UTF-8';
comment on column website.policy_versions.body is 'public';
comment on column website.policy_versions.published_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column website.policy_versions.created_at is 'internal';
create index policy_versions_published_on_idx on website.policy_versions (published_on);
create index policy_versions_published_by_idx on website.policy_versions (published_by);

create function private.tg_policy_versions__freeze()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.refuse('policy_published', 'A published policy does not change',
        'Publish a new version', 409);
    return null;
end $$;
create trigger _900_freeze before update or delete or truncate on website.policy_versions
    for each statement execute function private.tg_policy_versions__freeze();
alter table website.policy_versions enable always trigger _900_freeze;

create function private.policy_in_force(at timestamptz default now())
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select p.version from website.policy_versions p
     where p.published_on <= (policy_in_force.at at time zone 'Europe/Brussels')::date
     order by p.published_on desc, p.created_at desc limit 1;
$$;
comment on function private.policy_in_force is 'The version of the privacy policy that holds; null before the first';

create function private.require_policy()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    version text := private.policy_in_force();
begin
    if version is null then
        perform private.refuse('policy_missing', 'No privacy policy has been published yet',
            'An operator publishes it first', 503);
    end if;
    return version;
end $$;

create function private.read_policy(locale text, version text)
returns table (version text, locale text, published_on date, sha256 text, body text)
language sql
stable
security definer -- visitors read no table
set search_path = pg_catalog, pg_temp
as $$
    select p.version, p.locale, p.published_on, p.sha256, p.body
      from website.policy_versions p
     where p.version = coalesce(read_policy.version, private.policy_in_force())
       and p.locale = case read_policy.locale when 'nl' then 'nl' else 'en' end
       and p.published_on <= (now() at time zone 'Europe/Brussels')::date;
$$;
grant execute on function private.read_policy to anon, authenticated;

create function website.privacy_policy(locale text default 'nl', version text default null)
returns table (version text, locale text, published_on date, sha256 text, body text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select p.version, p.locale, p.published_on, p.sha256, p.body
      from private.read_policy(privacy_policy.locale, privacy_policy.version) p;
end;
comment on function website.privacy_policy is
    'The privacy policy in force, or an earlier version of it, in Dutch or English; no row when there is none';
grant execute on function website.privacy_policy to anon, authenticated;

create function private.publish_policy(version text, published_on date, body_nl text, body_en text)
returns jsonb
language plpgsql
volatile
security definer -- no role writes this table
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
begin
    if publish_policy.version !~ '^[0-9a-z][0-9a-z.-]{0,39}$' or publish_policy.version is null then
        perform private.refuse('policy_version_invalid', 'This is no name of a version',
            'Take the date, as in 2026-02-23');
    elsif not coalesce(length(btrim(body_nl)) between 1 and 100000
        and length(btrim(body_en)) between 1 and 100000, false) then
        perform private.refuse('policy_text_missing', 'A policy has a Dutch and an English text',
            'Give both, of at most 100,000 characters');
    elsif publish_policy.published_on is null
        or publish_policy.published_on < (now() at time zone 'Europe/Brussels')::date then
        perform private.refuse('policy_date_past', 'A policy is published today or later',
            'Give a date that is not past');
    end if;
    insert into website.policy_versions (version, locale, published_on, sha256, body, published_by)
    select publish_policy.version, t.locale, publish_policy.published_on,
           private.sha256_hex(t.body), t.body, operator
      from (values ('nl', body_nl), ('en', body_en)) as t (locale, body)
    on conflict do nothing;
    if not found then
        perform private.refuse('policy_version_taken', 'This version was published already',
            'Choose another name', 409);
    end if;
    return jsonb_build_object('version', publish_policy.version,
        'published_on', publish_policy.published_on);
end $$;
grant execute on function private.publish_policy to authenticated;

create function website.publish_policy(version text, published_on date, body_nl text, body_en text)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.publish_policy(publish_policy.version, publish_policy.published_on,
        publish_policy.body_nl, publish_policy.body_en);
end;
comment on function website.publish_policy is
    'Operators: publishes a version of the privacy policy in both languages, in force from a day on; it never changes again';
grant execute on function website.publish_policy to authenticated;
