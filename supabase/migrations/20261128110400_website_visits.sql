-- What a visit leaves behind: which page, when, from what kind of browser, and a hash that tells visits of
-- one day apart until that day's salt is gone. Anything that knows a visitor again needs their consent.

create table website.day_salts (
    day date primary key,
    salt text not null default encode(sha256(uuid_send(gen_random_uuid())
        || uuid_send(gen_random_uuid())), 'hex')
);
alter table website.day_salts enable row level security;
alter table website.day_salts force row level security;
comment on table website.day_salts is
    'controller=autexor; retention=1 day. What addresses are hashed with; without it nobody can tell whose a hash was';
comment on column website.day_salts.day is 'internal';
comment on column website.day_salts.salt is 'secret';

create table website.consents (
    id bigint primary key generated always as identity,
    visitor_id uuid not null,
    purpose text not null check (purpose in ('statistics', 'marketing')),
    is_given boolean not null,
    policy_version text not null,
    policy_locale text not null,
    created_at timestamptz not null default now(),
    foreign key (policy_version, policy_locale)
        references website.policy_versions (version, locale)
);
alter table website.consents enable row level security;
alter table website.consents force row level security;
comment on table website.consents is
    'controller=autexor; retention=proof_months of the settings. What a browser consented to and withdrew, line by line; the last line counts';
comment on column website.consents.id is 'internal';
comment on column website.consents.visitor_id is
    'personal(usage; subject=visitor; on_erasure=keep:consent): random, made in the browser, known to nobody else';
comment on column website.consents.purpose is 'internal';
comment on column website.consents.is_given is 'internal: false withdraws';
comment on column website.consents.policy_version is 'internal: what it was read in';
comment on column website.consents.policy_locale is 'internal';
comment on column website.consents.created_at is 'internal';
create index consents_visitor_idx on website.consents (visitor_id, purpose, id desc);
create index consents_policy_idx on website.consents (policy_version, policy_locale);
create index consents_created_at_idx on website.consents (created_at);
-- Only what is older than the settings keep is deleted, by the purge; no role may.
create trigger _900_append_only before update or truncate on website.consents
    for each statement execute function private.tg__append_only();
alter table website.consents enable always trigger _900_append_only;

create table website.page_views (
    id bigint primary key generated always as identity,
    path text not null check (length(path) between 1 and 100),
    visitor_day_sha256 text not null,
    browser text not null,
    is_mobile boolean not null,
    visitor_id uuid,
    referrer_host text check (length(referrer_host) <= 100),
    viewed_at timestamptz not null default now(),
    constraint page_views_referrer_by_consent check (referrer_host is null or visitor_id is not null)
);
alter table website.page_views enable row level security;
alter table website.page_views force row level security;
comment on table website.page_views is
    'controller=autexor; retention=page_view_days of the settings. Which page was asked for; of nobody, but for those who consented to statistics';
comment on column website.page_views.id is 'internal';
comment on column website.page_views.path is 'internal: without query, fragment and long numbers';
comment on column website.page_views.visitor_day_sha256 is
    'internal: the network under a salt that is thrown away after its day';
comment on column website.page_views.browser is 'internal: a family, never the whole user agent';
comment on column website.page_views.is_mobile is 'internal';
comment on column website.page_views.visitor_id is
    'personal(usage; subject=visitor; on_erasure=erase): only while a consent to statistics lives';
comment on column website.page_views.referrer_host is
    'personal(usage; subject=visitor; on_erasure=erase): only while a consent to statistics lives';
comment on column website.page_views.viewed_at is 'internal';
create index page_views_viewed_at_idx on website.page_views (viewed_at);
create index page_views_visitor_idx on website.page_views (visitor_id) where visitor_id is not null;

create function private.page_path(path text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when plain ~ '^/[A-Za-z0-9/_.~-]{0,99}$'
               then regexp_replace(plain, '[0-9]{5,}', '#', 'g') end
      from (select substring(page_path.path from '^[^?#]*')) as given (plain);
$$;
comment on function private.page_path is
    'A path without query and fragment, long numbers taken out; null when it is none of a page of ours';

create function private.browser_family(user_agent text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when user_agent is null then 'unknown'
        when user_agent ~* '(bot|crawl|spider|slurp|curl|wget|python|headless)' then 'machine'
        when user_agent ~ 'Edg(e|A|iOS)?/' then 'edge'
        when user_agent ~ '(OPR|Opera)/' then 'opera'
        when user_agent ~ 'SamsungBrowser/' then 'samsung'
        when user_agent ~ '(Firefox|FxiOS)/' then 'firefox'
        when user_agent ~ '(Chrome|CriOS)/' then 'chrome'
        when user_agent ~ 'Safari/' then 'safari'
        else 'other' end;
$$;

create function private.day_salt(day date)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into website.day_salts (day) values (day_salt.day) on conflict do nothing;
    select s.salt from website.day_salts s where s.day = day_salt.day;
$$;

create function private.has_consent(visitor_id uuid, purpose text, at timestamptz default now())
returns boolean
language sql
stable
security definer -- visitors read no table
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((
        select c.is_given
               and c.created_at + make_interval(months => s.consent_months) > has_consent.at
          from website.consents c cross join website.settings s
         where c.visitor_id = has_consent.visitor_id and c.purpose = has_consent.purpose
         order by c.id desc limit 1), false);
$$;
comment on function private.has_consent is
    'Whether a visitor''s last word on a purpose was yes, and not too long ago';
grant execute on function private.has_consent to anon;

create function website.has_consent(visitor_id uuid, purpose text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select private.has_consent(has_consent.visitor_id, has_consent.purpose);
end;
comment on function website.has_consent is
    'Visitors: whether a consent to statistics or marketing lives for this random id; without one the feature stays off';
grant execute on function website.has_consent to anon;

create function private.check_consent(visitor_id uuid, purpose text, locale text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_visitor();
    -- RFC 9562: a random UUID says so itself; a chosen one could be guessed by others.
    if not coalesce(substr(visitor_id::text, 15, 1) = '4'
        and substr(visitor_id::text, 20, 1) in ('8', '9', 'a', 'b'), false) then
        perform private.refuse('visitor_id_not_random', 'A visitor''s id is a random UUID',
            'Make one with crypto.randomUUID()');
    elsif not coalesce(purpose in ('statistics', 'marketing'), false) then
        perform private.refuse('consent_purpose_unknown', 'Nothing here asks consent for that',
            'Send statistics or marketing');
    elsif not coalesce(locale in ('nl', 'fr', 'en'), false) then
        perform private.refuse('request_locale_unknown', 'This language is not spoken here',
            'Send nl, fr or en');
    end if;
end $$;

create function private.give_consent(visitor_id uuid, purpose text, policy_version text, locale text)
returns jsonb
language plpgsql
volatile
security definer -- visitors write no table
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.check_consent(visitor_id, purpose, locale);
    if private.is_too_often('website consent', private.client_network(), 60, interval '1 hour')
        or private.is_too_often('website consents', 'all', 6000, interval '1 hour') then
        perform private.refuse('too_many_requests', 'Too many requests at once',
            'Try again in an hour, or write to info@autexor.be', 429);
    elsif give_consent.policy_version is distinct from private.require_policy() then
        perform private.refuse('policy_not_in_force', 'This is not the privacy policy that holds today',
            'Show the one in force, and ask again', 409);
    end if;
    -- Said again it is the same, unless the policy is another one.
    if not private.has_consent(visitor_id, purpose) or give_consent.policy_version is distinct from (
        select c.policy_version from website.consents c
         where c.visitor_id = give_consent.visitor_id and c.purpose = give_consent.purpose
         order by c.id desc limit 1) then
        insert into website.consents (visitor_id, purpose, is_given, policy_version, policy_locale)
        values (give_consent.visitor_id, give_consent.purpose, true, give_consent.policy_version,
            case give_consent.locale when 'nl' then 'nl' else 'en' end);
    end if;
    return jsonb_build_object('purpose', purpose, 'is_given', true);
end $$;

create function private.withdraw_consent(visitor_id uuid, purpose text)
returns jsonb
language plpgsql
volatile
security definer -- visitors write no table
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.check_consent(visitor_id, purpose, 'en');
    -- Withdrawing is as easy as giving: never counted, and nothing to do when nothing was given.
    insert into website.consents (visitor_id, purpose, is_given, policy_version, policy_locale)
    select l.visitor_id, l.purpose, false, l.policy_version, l.policy_locale
      from (select c.* from website.consents c
             where c.visitor_id = withdraw_consent.visitor_id
               and c.purpose = withdraw_consent.purpose
             order by c.id desc limit 1) l
     where l.is_given;
    if found and purpose = 'statistics' then
        update website.page_views v set visitor_id = null, referrer_host = null
         where v.visitor_id = withdraw_consent.visitor_id;
    end if;
    return jsonb_build_object('purpose', purpose, 'is_given', false);
end $$;
grant execute on function private.give_consent, private.withdraw_consent to anon;

create function website.give_consent(visitor_id uuid, purpose text, policy_version text,
    locale text default 'nl')
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.give_consent(give_consent.visitor_id, give_consent.purpose,
        give_consent.policy_version, give_consent.locale);
end;
comment on function website.give_consent is
    'Visitors: consents to statistics or marketing, for a random id made in the browser, under the privacy policy in force';

create function website.withdraw_consent(visitor_id uuid, purpose text)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.withdraw_consent(withdraw_consent.visitor_id, withdraw_consent.purpose);
end;
comment on function website.withdraw_consent is
    'Visitors: withdraws a consent; what was known of the visitor through it is forgotten';
grant execute on function website.give_consent, website.withdraw_consent to anon;

create function private.record_page_view(path text, visitor_id uuid, referrer text)
returns void
language plpgsql
volatile
security definer -- visitors write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    network text := private.client_network();
    agent text := private.header('user-agent');
    page text := private.page_path(path);
    has_consent boolean := private.has_consent(visitor_id, 'statistics');
begin
    perform private.require_visitor();
    if page is null then
        perform private.refuse('page_path_invalid', 'This is no path of a page',
            'Send the path alone, without address and query');
    elsif private.is_too_often('page view', network, 300, interval '10 minutes')
        or private.is_too_often('page views', 'all', 30000, interval '10 minutes') then
        return; -- not kept, and nobody needs to know
    end if;
    insert into website.page_views (path, visitor_day_sha256, browser, is_mobile, visitor_id,
        referrer_host)
    values (page, private.sha256_hex(private.day_salt((now() at time zone 'Europe/Brussels')::date)
            || network),
        private.browser_family(agent), coalesce(agent ~ '(Mobi|Android|iPhone|iPad)', false),
        case when has_consent then record_page_view.visitor_id end,
        case when has_consent then substring(lower(referrer)
            from '^https?://([a-z0-9.-]{1,100})([:/?#]|$)') end);
end $$;
grant execute on function private.record_page_view to anon;

create function website.record_page_view(path text, visitor_id uuid default null,
    referrer text default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.record_page_view(record_page_view.path, record_page_view.visitor_id,
        record_page_view.referrer);
end;
comment on function website.record_page_view is
    'Visitors: a page was asked for. visitor_id and the referrer''s host are kept only while a consent to statistics lives';
grant execute on function website.record_page_view to anon;
