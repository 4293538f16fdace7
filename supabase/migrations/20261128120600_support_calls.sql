-- The calls of both sides of support: operators ask, open and end; owners grant, refuse and end. And the one
-- question before an export: has the garage instructed it?

create function private.find_garages(query text)
returns table (id uuid, trade_name text, city text, enterprise_number text)
language plpgsql
stable
security definer -- operators are at no garage and read none of its tables
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_operator();
    return query
    select g.id, g.trade_name, g.city, g.enterprise_number from public.garages g
     where strpos(lower(concat_ws(' ', g.trade_name, g.legal_name, g.city, g.enterprise_number)),
         lower(find_garages.query)) > 0
     order by g.trade_name, g.id limit 20;
end $$;

create function private.request_support(garage_id uuid, reason text, hours int, is_read_only boolean)
returns public.support_requests
language plpgsql
volatile
security definer -- operators write no table of a garage
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
    request public.support_requests;
begin
    if not exists (select from public.garages g where g.id = request_support.garage_id) then
        perform private.refuse('garage_not_found', 'There is no such garage', 'Look it up by name', 404);
    elsif coalesce(length(trim(reason)), 0) not between 10 and 2000 then
        perform private.refuse('reason_missing', 'Support needs a reason of 10 to 2000 characters',
            'Say what the garage asked for, or what you want to look into');
    elsif coalesce(hours, 0) not between 1 and 8 then
        perform private.refuse('hours_invalid', 'Support lasts 1 to 8 hours', 'Ask again when they are over');
    end if;
    -- One that nobody answered for a week makes room for another.
    update public.support_requests r set ended_at = clock_timestamp(), ended_by = operator
     where r.garage_id = request_support.garage_id and r.operator_id = operator
       and private.support_status(r) = 'lapsed';
    insert into public.support_requests (garage_id, operator_id, operator_email, reason, hours, is_read_only)
    select request_support.garage_id, operator, u.email, trim(request_support.reason),
           request_support.hours, coalesce(request_support.is_read_only, true)
      from auth.users u where u.id = operator
    on conflict do nothing
    returning * into request;
    if request.id is null then
        perform private.refuse('support_asked_already', 'You have asked this garage already',
            'Wait for its answer, or withdraw the request', 409);
    end if;
    return request;
end $$;

create function private.own_support_request(support_request_id uuid)
returns public.support_requests
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
    request public.support_requests;
begin
    select r.* into request from public.support_requests r
     where r.id = own_support_request.support_request_id and r.operator_id = operator for update;
    if not found then
        perform private.refuse('support_not_found', 'You have no such request for support',
            'See `autexor support list`', 404);
    end if;
    return request;
end $$;

create function private.open_support(support_request_id uuid)
returns public.support_requests
language plpgsql
volatile
security definer -- operators write no table of a garage
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.support_requests := private.own_support_request(support_request_id);
begin
    if private.support_status(request) <> 'live' then
        perform private.refuse('support_not_live', 'The garage has not granted this, or no longer',
            'Ask for support again', 403);
    end if;
    update public.support_requests r set opened_at = clock_timestamp()
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    perform private.log_access(request.garage_id, 'support_opened', 'support:' || request.id, request.id,
        private.sign_in_id(), null, null);
    return request;
end $$;

create function private.require_undecided(support_request_id uuid)
returns public.support_requests
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('support.grant');
    request public.support_requests;
begin
    select r.* into request from public.support_requests r
     where r.garage_id = garage and r.id = require_undecided.support_request_id for update;
    if not found then
        perform private.refuse('support_not_found', 'There is no such request for support',
            'See `autexor support list`', 404);
    elsif private.support_status(request) <> 'asked' then
        perform private.refuse('support_decided', 'This request is not open any more',
            'Let the operator ask again', 409);
    elsif request.operator_id = (private.signed_in_user()).id then
        perform private.refuse('own_support_request', 'Nobody decides on their own request',
            'Let another owner of the garage decide', 403);
    end if;
    return request;
end $$;

create function private.instruct(garage_id uuid, kind text, body text)
returns uuid
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    given uuid;
begin
    if coalesce(length(trim(body)), 0) not between 10 and 2000 then
        perform private.refuse('instruction_missing',
            'This needs an instruction of 10 to 2000 characters',
            'Say in your own words what Autexor is to do');
    end if;
    insert into public.instructions (garage_id, kind, body, given_by)
    values (instruct.garage_id, instruct.kind, trim(instruct.body), (private.signed_in_user()).id)
    returning id into given;
    return given;
end $$;

create function private.grant_support(support_request_id uuid, instruction text, hours int,
    is_read_only boolean, export_instruction text)
returns public.support_requests
language plpgsql
volatile
security definer -- nobody writes grants by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.support_requests := private.require_undecided(support_request_id);
    reads_only boolean := request.is_read_only or coalesce(grant_support.is_read_only, true);
    long int := coalesce(grant_support.hours, request.hours);
    said uuid;
    said_of_exports uuid;
begin
    if long not between 1 and 8 then
        perform private.refuse('hours_invalid', 'Support lasts 1 to 8 hours', 'Ask again when they are over');
    end if;
    said := private.instruct(request.garage_id, 'support', instruction);
    if export_instruction is not null then
        said_of_exports := private.instruct(request.garage_id, 'export', export_instruction);
    end if;
    update public.support_requests r
       set granted_at = now(), decided_by = (private.signed_in_user()).id, hours = long,
           is_read_only = reads_only, instruction_id = said, export_instruction_id = said_of_exports,
           expires_at = now() + make_interval(hours => long),
           permissions = array(select s.permission from private.support_permissions s
                                where not (s.is_write and reads_only) order by s.permission)
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    return request;
end $$;

create function private.refuse_support(support_request_id uuid)
returns public.support_requests
language plpgsql
volatile
security definer -- nobody writes grants by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.support_requests := private.require_undecided(support_request_id);
begin
    update public.support_requests r
       set refused_at = now(), decided_by = (private.signed_in_user()).id
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    return request;
end $$;

create function private.end_support(support_request_id uuid)
returns public.support_requests
language plpgsql
volatile
security definer -- nobody writes grants by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.operator_id();
    garage uuid;
    request public.support_requests;
begin
    select r.* into request from public.support_requests r
     where r.id = end_support.support_request_id and r.operator_id = operator for update;
    if not found then
        garage := private.require('support.grant');
        select r.* into request from public.support_requests r
         where r.garage_id = garage and r.id = end_support.support_request_id for update;
    end if;
    if request.id is null then
        perform private.refuse('support_not_found', 'There is no such request for support',
            'See `autexor support list`', 404);
    elsif private.support_status(request) not in ('live', 'asked', 'lapsed') then
        perform private.refuse('support_over', 'This support is over already', 'There is nothing to end', 409);
    end if;
    update public.support_requests r
       set ended_at = clock_timestamp(), ended_by = (private.signed_in_user()).id
     where r.garage_id = request.garage_id and r.id = request.id
    returning * into request;
    if request.granted_at is not null then
        perform private.log_access(request.garage_id, 'support_ended', private.actor(), request.id,
            private.sign_in_id(), null, null);
    end if;
    return request;
end $$;

create function private.my_support_requests()
returns table (id uuid, garage_id uuid, trade_name text, status text, reason text, hours int,
    is_read_only boolean, may_export boolean, requested_at timestamptz, expires_at timestamptz,
    opened_at timestamptz)
language plpgsql
stable
security definer -- operators read no table of a garage; these rows are their own
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
begin
    return query
    select r.id, r.garage_id, g.trade_name, private.support_status(r), r.reason, r.hours, r.is_read_only,
           r.export_instruction_id is not null, r.requested_at, r.expires_at, r.opened_at
      from public.support_requests r join public.garages g on g.id = r.garage_id
     where r.operator_id = operator order by r.requested_at desc, r.id;
end $$;

create function private.require_export_instruction(garage_id uuid)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- A member of the garage instructs by doing it: the access log keeps that.
    if private.actor() like 'staff:%' then
        return;
    end if;
    if not exists (
        select from public.support_requests r
         where r.garage_id = require_export_instruction.garage_id
           and private.actor() = 'support:' || r.id and private.support_status(r) = 'live'
           and r.export_instruction_id is not null) then
        perform private.refuse('export_not_instructed',
            'Autexor exports data of a garage only when the garage has instructed it',
            'Let an owner grant the support with an instruction for the export', 403);
    end if;
end $$;
comment on function private.require_export_instruction is
    'Refuses an export by anybody of Autexor that the garage has not instructed; ask it first in every export';

create function private.record_export(garage_id uuid, subject_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_export_instruction(record_export.garage_id);
    perform private.log_access(record_export.garage_id, 'export_made', private.actor(),
        record_export.subject_id, private.sign_in_id(), null, null);
end $$;
comment on function private.record_export is
    'Writes to the access log that data about this person (null: of the whole garage) was exported; refuses it without an instruction. For functions that export';

grant execute on function private.find_garages, private.request_support, private.open_support,
    private.grant_support, private.refuse_support, private.end_support, private.my_support_requests
    to authenticated;

create function public.find_garages(query text)
returns table (id uuid, trade_name text, city text, enterprise_number text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select g.id, g.trade_name, g.city, g.enterprise_number from private.find_garages(find_garages.query) g;
end;
comment on function public.find_garages is 'For operators of Autexor: garages by name, city or number';

create function public.request_support(garage_id uuid, reason text, hours int default 2,
    is_read_only boolean default true)
returns public.support_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.request_support(request_support.garage_id, request_support.reason,
        request_support.hours, request_support.is_read_only) r;
end;
comment on function public.request_support is
    'For operators of Autexor: asks a garage for access, with a reason, for 1 to 8 hours';

create function public.open_support(support_request_id uuid)
returns public.support_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.open_support(open_support.support_request_id) r;
end;
comment on function public.open_support is
    'For operators of Autexor: the next token (refresh the session) is for this garage, until the grant ends; switch_garage goes back';

create function public.grant_support(support_request_id uuid, instruction text, hours int default null,
    is_read_only boolean default true, export_instruction text default null)
returns public.support_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.grant_support(grant_support.support_request_id, grant_support.instruction,
        grant_support.hours, grant_support.is_read_only, grant_support.export_instruction) r;
end;
comment on function public.grant_support is
    'Lets Autexor in, on a recorded instruction: reading only unless said otherwise, exports only by an instruction of their own';

create function public.refuse_support(support_request_id uuid)
returns public.support_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.refuse_support(refuse_support.support_request_id) r;
end;
comment on function public.refuse_support is 'Does not let Autexor in';

create function public.end_support(support_request_id uuid)
returns public.support_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.end_support(end_support.support_request_id) r;
end;
comment on function public.end_support is
    'Ends support at once, by the garage or by the operator; withdraws a request that waits';

create function public.my_support_requests()
returns table (id uuid, garage_id uuid, trade_name text, status text, reason text, hours int,
    is_read_only boolean, may_export boolean, requested_at timestamptz, expires_at timestamptz,
    opened_at timestamptz)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select r.id, r.garage_id, r.trade_name, r.status, r.reason, r.hours, r.is_read_only, r.may_export,
           r.requested_at, r.expires_at, r.opened_at
      from private.my_support_requests() r;
end;
comment on function public.my_support_requests is 'For operators of Autexor: what you asked, and what became of it';

grant execute on function public.find_garages, public.request_support, public.open_support,
    public.grant_support, public.refuse_support, public.end_support, public.my_support_requests
    to authenticated;
