-- Owners are told by mail when Autexor asks for support, and when it has told their garage of a breach: a notice
-- that waits until somebody looks is a delay (art. 33(2) GDPR). The mail says that there is something to read
-- and where, never what. It is Autexor's own: no setting, opt-out or module of the garage holds it up.

insert into private.message_kinds (kind, content_function, is_about_access, is_ours_alone) values
    ('support_requested', 'support_requested_mail', true, true),
    ('breach_notified', 'breach_notified_mail', true, true);

alter table public.communications
    add column membership_id uuid,
    add column support_request_id uuid,
    add column breach_notice_id uuid,
    add foreign key (garage_id, membership_id) references public.memberships (garage_id, id),
    add foreign key (garage_id, support_request_id) references public.support_requests (garage_id, id),
    add foreign key (garage_id, breach_notice_id) references public.breach_notices (garage_id, id),
    add constraint communications_support_is_told_once unique (garage_id, support_request_id, membership_id),
    add constraint communications_breach_is_told_once unique (garage_id, breach_notice_id, membership_id),
    add constraint communications_owner_is_told_of_one_thing check (
        num_nonnulls(support_request_id, breach_notice_id) = (membership_id is not null)::int),
    drop constraint communications_one_addressee,
    add constraint communications_one_addressee check (
        num_nonnulls(customer_id, invitation_id, membership_id) = (template <> 'provider_test')::int);
comment on table public.communications is
    'controller=garage; retention=garage policy. Messages to customers, to invited members and to owners, as they were sent, and what became of them';
comment on column public.communications.membership_id is 'internal: the owner whom Autexor tells something';
comment on column public.communications.support_request_id is 'internal: what the owner is told of';
comment on column public.communications.breach_notice_id is 'internal: what the owner is told of';
create index communications_membership_idx on public.communications (garage_id, membership_id);
call private.audit_table('public.communications');

create function private.own_address()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select s.notice_address from website.settings s;
$$;
comment on function private.own_address is 'Where answers to Autexor itself go';

create function private.tell_owners(garage_id uuid, template text, support_request_id uuid default null,
    breach_notice_id uuid default null)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.communications (garage_id, membership_id, support_request_id, breach_notice_id,
        template, locale, recipient)
    select g.id, m.id, tell_owners.support_request_id, tell_owners.breach_notice_id, tell_owners.template,
           g.locale, m.email
      from public.memberships m join public.garages g on g.id = m.garage_id
     where m.garage_id = tell_owners.garage_id and m.role = 'owner' and m.deactivated_at is null
     order by m.id
    on conflict do nothing;
$$;
comment on function private.tell_owners is
    'Mails each active owner of a garage, in the garage''s language; who was mailed of this already is not mailed again';

create function private.tg_support_requests__tell_owners()
returns trigger
language plpgsql
security definer -- operators write no communications
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.tell_owners(new.garage_id, 'support_requested', support_request_id => new.id);
    return null;
end $$;
create trigger _500_tell_owners after insert on public.support_requests for each row
    when (num_nonnulls(new.granted_at, new.refused_at, new.ended_at) = 0)
    execute function private.tg_support_requests__tell_owners();

create function private.tg_breach_notices__tell_owners()
returns trigger
language plpgsql
security definer -- operators write no communications
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.tell_owners(new.garage_id, 'breach_notified', breach_notice_id => new.id);
    return null;
end $$;
create trigger _500_tell_owners after insert on public.breach_notices for each row
    execute function private.tg_breach_notices__tell_owners();

create function private.told_owner(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('address', communication.recipient, 'name', m.full_name)
      from public.memberships m
     where m.garage_id = communication.garage_id and m.id = communication.membership_id
       and m.role = 'owner' and m.deactivated_at is null;
$$;
comment on function private.told_owner is
    'Whom a mail to an owner goes to; null when they are no owner any more';

create function private.support_requested_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('recipient', owner, 'context', jsonb_build_object(
               'garage_name', g.trade_name, 'hours', r.hours, 'is_read_only', r.is_read_only),
           'attachment', null)
      from private.told_owner(communication) owner
      join public.garages g on g.id = communication.garage_id
      join public.support_requests r on r.garage_id = g.id and r.id = communication.support_request_id
     where owner is not null and private.support_status(r) = 'asked';
$$;
comment on function private.support_requested_mail is
    'That Autexor asks for support, how long and to do what; null once that was answered, withdrawn or has lapsed';

create function private.breach_notified_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('recipient', owner, 'context', jsonb_build_object(
               'garage_name', g.trade_name, 'is_first', n.version = 1,
               'noticed_at', to_char((n.facts ->> 'noticed_at')::timestamptz at time zone g.time_zone,
                   'YYYY-MM-DD"T"HH24:MI')),
           'attachment', null)
      from private.told_owner(communication) owner
      join public.garages g on g.id = communication.garage_id
      join public.breach_notices n on n.garage_id = g.id and n.id = communication.breach_notice_id
     where owner is not null;
$$;
comment on function private.breach_notified_mail is
    'That a breach concerns the garage, and when Autexor noticed it: nothing of the facts, which are in the notice';
