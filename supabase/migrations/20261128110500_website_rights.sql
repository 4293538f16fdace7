-- Whoever wrote to the website may ask what is kept of them, and that it goes: by their e-mail address,
-- answered by Autexor itself. And what has no further use goes by itself.

create table website.rights_actions (
    id uuid primary key default gen_random_uuid(),
    action text not null check (action in ('export', 'erase')),
    email_sha256 text not null,
    counts jsonb not null,
    operator_id uuid not null references private.operators (user_id),
    created_at timestamptz not null default now()
);
alter table website.rights_actions enable row level security;
alter table website.rights_actions force row level security;
comment on table website.rights_actions is
    'controller=autexor; retention=proof_months of the settings. That somebody''s data was handed out or erased, without the data';
comment on column website.rights_actions.id is 'internal';
comment on column website.rights_actions.action is 'internal';
comment on column website.rights_actions.email_sha256 is
    'personal(contact; subject=visitor; on_erasure=keep:evidence): a hash, by which a known address is found again';
comment on column website.rights_actions.counts is 'internal: rows by table';
comment on column website.rights_actions.operator_id is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column website.rights_actions.created_at is 'internal';
create index rights_actions_created_at_idx on website.rights_actions (created_at);
create index rights_actions_operator_idx on website.rights_actions (operator_id);
create trigger _900_append_only before update or truncate on website.rights_actions
    for each statement execute function private.tg__append_only();
alter table website.rights_actions enable always trigger _900_append_only;

create function private.website_requests_of(email text)
returns setof website.requests
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select r.* from website.requests r
     where lower(r.email) = lower(btrim(website_requests_of.email)) order by r.received_at;
$$;

create function private.website_counts_of(email text)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with mine as (select r.id from private.website_requests_of(website_counts_of.email) r)
    select jsonb_build_object(
        'requests', (select count(*) from mine),
        'request_notes', (select count(*) from website.request_notes n
                           where n.request_id in (select id from mine)),
        'mails', (select count(*) from website.mails m
                   where m.request_id in (select id from mine)),
        'mail_attempts', (select count(*) from website.mail_attempts a
                            join website.mails m on m.id = a.mail_id
                           where m.request_id in (select id from mine)));
$$;

create function private.export_visitor(email text)
returns jsonb
language plpgsql
volatile
security definer -- writes what no role may
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
begin
    insert into website.rights_actions (action, email_sha256, counts, operator_id)
    values ('export', private.sha256_hex(lower(btrim(export_visitor.email))),
        private.website_counts_of(export_visitor.email), operator);
    return jsonb_build_object(
        'controller', 'Autexor Group BV', 'email', lower(btrim(export_visitor.email)),
        'exported_at', now(),
        'not_by_address', 'Page views, consents and errors of apps are not kept by e-mail address',
        'requests', coalesce((
            select jsonb_agg(to_jsonb(r) - 'content_sha256' - 'handled_by' || jsonb_build_object(
                'notes', (select coalesce(jsonb_agg(jsonb_build_object('status', n.status,
                              'body', n.body, 'created_at', n.created_at) order by n.created_at), '[]')
                            from website.request_notes n where n.request_id = r.id),
                'mails', (select coalesce(jsonb_agg(jsonb_build_object('kind', m.kind,
                              'recipient', m.recipient, 'status', m.status, 'sent_at', m.sent_at)
                              order by m.created_at), '[]')
                            from website.mails m
                           where m.request_id = r.id and m.kind = 'website_acknowledgement'))
                order by r.received_at)
              from private.website_requests_of(export_visitor.email) r), '[]'));
end $$;

create function private.erase_visitor(email text, is_dry_run boolean)
returns jsonb
language plpgsql
volatile
security definer -- deletes what no role may
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
    plan jsonb;
begin
    -- Whoever writes meanwhile comes before or after, never between plan and deed.
    perform from website.requests r
      where r.id in (select o.id from private.website_requests_of(erase_visitor.email) o)
      order by r.id for update;
    plan := private.website_counts_of(erase_visitor.email);
    if is_dry_run is distinct from false then
        return jsonb_build_object('is_done', false, 'erase', plan);
    end if;
    delete from website.requests r
     where r.id in (select o.id from private.website_requests_of(erase_visitor.email) o);
    insert into website.rights_actions (action, email_sha256, counts, operator_id)
    values ('erase', private.sha256_hex(lower(btrim(erase_visitor.email))), plan, operator);
    return jsonb_build_object('is_done', true, 'erase', plan);
end $$;
grant execute on function private.export_visitor, private.erase_visitor to authenticated;

create function website.export_visitor(email text)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.export_visitor(export_visitor.email);
end;
comment on function website.export_visitor is
    'Operators: all that the website keeps under an e-mail address, as JSON; that it was handed out is recorded';

create function website.erase_visitor(email text, is_dry_run boolean default true)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.erase_visitor(erase_visitor.email, erase_visitor.is_dry_run);
end;
comment on function website.erase_visitor is
    'Operators: erases all that the website keeps under an e-mail address; by default only says what that would be';
grant execute on function website.export_visitor, website.erase_visitor to authenticated;

create function private.purge_website(at timestamptz default now())
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with kept as (
        select purge_website.at - make_interval(days => s.request_days) as requests,
               purge_website.at - make_interval(days => s.page_view_days) as page_views,
               purge_website.at - make_interval(months => s.proof_months) as proofs
          from website.settings s
    ), gone_requests as (
        delete from website.requests r using kept where r.closed_at < kept.requests returning 1
    ), gone_page_views as (
        delete from website.page_views v using kept where v.viewed_at < kept.page_views returning 1
    ), gone_salts as (
        delete from website.day_salts d
         where d.day < (purge_website.at at time zone 'Europe/Brussels')::date returning 1
    ), gone_consents as (
        delete from website.consents c using kept
         where c.created_at < kept.proofs returning 1
    ), gone_actions as (
        delete from website.rights_actions a using kept where a.created_at < kept.proofs returning 1
    )
    select jsonb_build_object(
        'website_requests', (select count(*) from gone_requests),
        'website_page_views', (select count(*) from gone_page_views),
        'website_day_salts', (select count(*) from gone_salts),
        'website_consents', (select count(*) from gone_consents),
        'website_rights_actions', (select count(*) from gone_actions));
$$;
comment on function private.purge_website is
    'Deletes what the website keeps for longer than its settings say, as of a moment; how many rows per table';
