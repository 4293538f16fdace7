-- What persons ask for under the GDPR: received by the garage, answered within a month, the identity
-- checked first, and evidence kept of what was done without keeping the data.

create table public.rights_requests (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    kind text not null,
    status text not null default 'received',
    received_at timestamptz not null default now(),
    received_by uuid,
    details text,
    object_to text,
    due_on date not null,
    extended_at timestamptz,
    extended_by uuid,
    extension_reason text,
    verified_at timestamptz,
    verified_by uuid,
    verified_how text,
    finished_at timestamptz,
    finished_by uuid,
    refusal_reason text,
    evidence jsonb not null default '{}',
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint rights_requests_customer_fkey foreign key (garage_id, customer_id)
        references public.customers (garage_id, id),
    constraint rights_requests_received_by_fkey foreign key (garage_id, received_by)
        references public.memberships (garage_id, id),
    constraint rights_requests_extended_by_fkey foreign key (garage_id, extended_by)
        references public.memberships (garage_id, id),
    constraint rights_requests_verified_by_fkey foreign key (garage_id, verified_by)
        references public.memberships (garage_id, id),
    constraint rights_requests_finished_by_fkey foreign key (garage_id, finished_by)
        references public.memberships (garage_id, id),
    constraint rights_requests_kind check (kind in ('access', 'rectification', 'erasure',
        'restriction', 'objection', 'portability')),
    constraint rights_requests_status check (status in ('received', 'verified', 'executing', 'done',
        'refused')),
    constraint rights_requests_object_to check (
        (kind = 'objection') = (object_to is not null)
        and object_to in ('email', 'sms', 'whatsapp', 'push', 'all')),
    constraint rights_requests_verified_how check (verified_how in ('id_card', 'in_person',
        'portal_sign_in', 'called_back', 'known_address', 'other')),
    constraint rights_requests_details check (length(details) between 1 and 2000),
    constraint rights_requests_reasons check (
        length(extension_reason) between 3 and 1000 and length(refusal_reason) between 3 and 1000),
    constraint rights_requests_moments check (
        (extension_reason is null or extended_at is not null)
        and (verified_at is null) = (verified_how is null)
        and (status in ('done', 'refused')) = (finished_at is not null)
        and (refusal_reason is null or status = 'refused')
        and (status in ('received', 'refused') or verified_at is not null))
);
alter table public.rights_requests enable row level security;
alter table public.rights_requests force row level security;
comment on table public.rights_requests is
    'controller=garage; retention=garage policy. What a person asked for under art. 15 to 21 GDPR, until when it is to be answered, and the evidence of what was done';
comment on column public.rights_requests.id is 'internal';
comment on column public.rights_requests.garage_id is 'internal';
comment on column public.rights_requests.customer_id is 'internal';
comment on column public.rights_requests.kind is 'internal';
comment on column public.rights_requests.status is
    'internal: received > verified > executing > done, or refused';
comment on column public.rights_requests.received_at is 'internal';
comment on column public.rights_requests.received_by is 'internal: a membership';
comment on column public.rights_requests.details is
    'personal(content; subject=customer; on_erasure=erase): what the person said';
comment on column public.rights_requests.object_to is
    'internal: the channel that an objection is to';
comment on column public.rights_requests.due_on is
    'internal: last day to answer, in the garage''s time zone';
comment on column public.rights_requests.extended_at is 'internal: once, by two months';
comment on column public.rights_requests.extended_by is 'internal: a membership';
comment on column public.rights_requests.extension_reason is
    'personal(content; subject=customer; on_erasure=keep:rights): told to the person';
comment on column public.rights_requests.verified_at is 'internal: when the identity was checked';
comment on column public.rights_requests.verified_by is 'internal: a membership';
comment on column public.rights_requests.verified_how is
    'internal: how; never a copy of what was shown';
comment on column public.rights_requests.finished_at is 'internal';
comment on column public.rights_requests.finished_by is 'internal: a membership';
comment on column public.rights_requests.refusal_reason is
    'personal(content; subject=customer; on_erasure=keep:rights): told to the person';
comment on column public.rights_requests.evidence is
    'internal: counts and hashes of what was done, never the data';
comment on column public.rights_requests.created_at is 'internal';
create index rights_requests_due_idx on public.rights_requests (garage_id, due_on, id);
create index rights_requests_customer_idx on public.rights_requests (garage_id, customer_id);
create index rights_requests_received_by_idx on public.rights_requests (garage_id, received_by);
create index rights_requests_extended_by_idx on public.rights_requests (garage_id, extended_by);
create index rights_requests_verified_by_idx on public.rights_requests (garage_id, verified_by);
create index rights_requests_finished_by_idx on public.rights_requests (garage_id, finished_by);
comment on constraint rights_requests_kind on public.rights_requests is
    'rights_kind_unknown: There is no such right | Use access, rectification, erasure, restriction, objection or portability';
comment on constraint rights_requests_object_to on public.rights_requests is
    'objection_unclear: An objection is to a channel, and only an objection is | Use email, sms, whatsapp, push or all';
comment on constraint rights_requests_verified_how on public.rights_requests is
    'verification_unknown: This way to check an identity is not known | Use id_card, in_person, portal_sign_in, called_back, known_address or other';
comment on constraint rights_requests_details on public.rights_requests is
    'note_too_long: What the person said has 1 to 2000 characters | Shorten it';
comment on constraint rights_requests_reasons on public.rights_requests is
    'reason_invalid: A reason has 3 to 1000 characters | Write what the person is told';

create function private.due_on(received_on date, is_extended boolean)
returns date
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select (received_on + case when is_extended then interval '3 months' else interval '1 month' end)::date;
$$;
comment on function private.due_on is
    'Art. 12.3 GDPR: within one month, extendable by two further months. The same day of the later month, or its last one (Regulation 1182/71 art. 3); that weekends would give more time is not used';

create function private.my_membership()
returns uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.staff_garage_id();
begin
    -- Without one the token may hold anything.
    if garage is null then
        return null;
    end if;
    return (select m.id from public.memberships m
             where m.garage_id = garage and m.user_id = auth.uid());
end $$;

create function private.rights_request(request_id uuid, permission text, statuses text[],
    kinds text[] default null)
returns public.rights_requests
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require(permission);
    request public.rights_requests;
begin
    select * into request from public.rights_requests r
     where r.garage_id = garage and r.id = request_id for update;
    if not found then
        perform private.refuse('rights_request_not_found', 'This request does not exist',
            'Look it up with `autexor rights list`', 404);
    elsif request.kind <> all (kinds) then
        perform private.refuse('rights_kind_wrong', format('This is a request for %s', request.kind),
            format('This is done for %s only', array_to_string(kinds, ', ')), 409);
    elsif request.status = 'received' and 'received' <> all (statuses) then
        perform private.refuse('identity_not_verified',
            'Nobody has checked yet that it is this person who asks',
            'Check the identity and record how: `autexor rights verify-identity`', 409);
    elsif request.status <> all (statuses) then
        perform private.refuse('rights_request_settled', format('This request is %s', request.status),
            'Receive a new request if the person asks again', 409);
    end if;
    return request;
end $$;
comment on function private.rights_request is
    'A request of the caller''s garage in one of these statuses, locked; else refuses in words';

create function private.receive_rights_request(customer_id uuid, kind text, details text,
    object_to text, received_at timestamptz)
returns public.rights_requests
language plpgsql
volatile
security definer -- the deadline and who received it are not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('rights.write');
    moment timestamptz := coalesce(receive_rights_request.received_at, now());
    request public.rights_requests;
    person uuid;
begin
    select coalesce(c.merged_into_id, c.id) into person from public.customers c
     where c.garage_id = garage and c.id = receive_rights_request.customer_id;
    if person is null then
        perform private.refuse('customer_not_found', 'This customer does not exist in this garage',
            'Choose a customer of your own garage', 404);
    elsif moment > now() or moment < now() - interval '1 year' then
        perform private.refuse('received_at_invalid',
            'A request was received in the past, at most a year ago', 'Correct the date');
    end if;
    insert into public.rights_requests (garage_id, customer_id, kind, details, object_to, received_at,
        received_by, due_on)
    select garage, person, receive_rights_request.kind,
           nullif(btrim(receive_rights_request.details), ''), receive_rights_request.object_to, moment,
           private.my_membership(),
           private.due_on((moment at time zone g.time_zone)::date, false)
      from public.garages g where g.id = garage
    returning * into request;
    return request;
end $$;

create function private.verify_rights_identity(request_id uuid, how text)
returns public.rights_requests
language plpgsql
volatile
security definer -- who checked, and when, is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.write',
        array['received']);
begin
    update public.rights_requests r
       set status = 'verified', verified_at = now(), verified_by = private.my_membership(),
           verified_how = coalesce(how, '')
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    return request;
end $$;

create function private.extend_rights_request(request_id uuid, reason text)
returns public.rights_requests
language plpgsql
volatile
security definer -- the deadline is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.write',
        array['received', 'verified']);
begin
    if request.extended_at is not null then
        perform private.refuse('already_extended', 'This deadline was extended once already',
            'Answer the request', 409);
    elsif request.due_on < private.today_at(request.garage_id) then
        perform private.refuse('deadline_passed', 'The deadline has passed',
            'A deadline is extended, and the person told why, before it passes: answer now', 409);
    end if;
    update public.rights_requests r
       set extended_at = now(), extended_by = private.my_membership(),
           extension_reason = coalesce(btrim(reason), ''),
           due_on = private.due_on((r.received_at at time zone g.time_zone)::date, true)
      from public.garages g
     where g.id = r.garage_id and r.garage_id = request.garage_id and r.id = request.id
    returning r.* into request;
    return request;
end $$;

create function private.finish_rights_request(request public.rights_requests, evidence jsonb)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.rights_requests r
       set status = 'done', finished_at = now(),
           finished_by = coalesce(private.my_membership(), r.finished_by),
           evidence = r.evidence || finish_rights_request.evidence
     where r.garage_id = request.garage_id and r.id = request.id
    returning r.*;
$$;

create function private.refuse_rights_request(request_id uuid, reason text)
returns public.rights_requests
language plpgsql
volatile
security definer -- who refused, and when, is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.write',
        array['received', 'verified']);
begin
    update public.rights_requests r
       set status = 'refused', finished_at = now(), finished_by = private.my_membership(),
           refusal_reason = coalesce(btrim(reason), '')
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    return request;
end $$;

create function private.execute_objection(request_id uuid)
returns public.rights_requests
language plpgsql
volatile
security definer -- writes evidence, which is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.execute',
        array['verified'], array['objection']);
    customers uuid[] := private.customer_ids(request.garage_id, request.customer_id);
    channels text[] := case when request.object_to = 'all' then array['email', 'sms', 'whatsapp', 'push']
        else array[request.object_to] end;
begin
    insert into public.customer_opt_outs (garage_id, customer_id, channel)
    select request.garage_id, s.id, c.channel from unnest(customers) s (id), unnest(channels) c (channel)
    on conflict do nothing;
    -- What waits already does not go out either; mails a customer asked for about the own access do.
    update public.communications c set status = 'failed', last_error = 'objected'
     where c.garage_id = request.garage_id and c.customer_id = any (customers)
       and c.channel = any (channels) and c.status = 'queued' and c.template not like 'portal%';
    if 'push' = any (channels) then
        update public.push_notifications p set status = 'failed', last_error = 'objected'
         where p.garage_id = request.garage_id and p.status = 'queued' and p.push_device_id in (
            select d.id from public.push_devices d
              join public.portal_devices o on o.garage_id = d.garage_id and o.id = d.portal_device_id
              join public.portal_accounts a on a.garage_id = o.garage_id and a.id = o.account_id
             where a.garage_id = request.garage_id and a.customer_id = any (customers));
    end if;
    return private.finish_rights_request(request, jsonb_build_object('stopped', to_jsonb(channels)));
end $$;

create function public.receive_rights_request(customer_id uuid, kind text, details text default null,
    object_to text default null, received_at timestamptz default null)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.receive_rights_request(receive_rights_request.customer_id,
        receive_rights_request.kind, receive_rights_request.details, receive_rights_request.object_to,
        receive_rights_request.received_at) r;
end;
comment on function public.receive_rights_request is
    'A customer uses a right (access, rectification, erasure, restriction, objection, portability): to be answered within a month';

create function public.verify_rights_identity(request_id uuid, how text)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.verify_rights_identity(verify_rights_identity.request_id,
        verify_rights_identity.how) r;
end;
comment on function public.verify_rights_identity is
    'Records that, how, when and by whom it was checked that the person who asks is the customer';

create function public.extend_rights_request(request_id uuid, reason text)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.extend_rights_request(extend_rights_request.request_id,
        extend_rights_request.reason) r;
end;
comment on function public.extend_rights_request is
    'Two months more, once, with the reason that the person is told';

create function public.refuse_rights_request(request_id uuid, reason text)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.refuse_rights_request(refuse_rights_request.request_id,
        refuse_rights_request.reason) r;
end;
comment on function public.refuse_rights_request is
    'Does not do what was asked, with the reason that the person is told';

create function public.execute_objection(request_id uuid)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.execute_objection(execute_objection.request_id) r;
end;
comment on function public.execute_objection is
    'Stops writing to a customer on the channel objected to, what waits already included';
grant execute on function private.receive_rights_request, private.verify_rights_identity,
    private.extend_rights_request, private.refuse_rights_request,
    private.execute_objection, public.receive_rights_request, public.verify_rights_identity,
    public.extend_rights_request, public.refuse_rights_request, public.execute_objection to authenticated;
