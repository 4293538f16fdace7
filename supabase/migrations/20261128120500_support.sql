-- Support access: an operator of Autexor asks, with a reason; an owner of the garage grants it with a recorded
-- instruction, for some hours, or refuses. It may read unless more is granted, never people, settings or
-- secrets, and exports only by an instruction of its own. It ends by itself, or by either side.

insert into private.permissions (permission, module) values ('support.grant', null);
insert into private.role_permissions (role, permission) values ('owner', 'support.grant');

create table private.support_permissions (
    permission text primary key references private.permissions (permission),
    is_write boolean not null
);
alter table private.support_permissions enable row level security;
alter table private.support_permissions force row level security;
comment on table private.support_permissions is
    'controller=autexor; retention=none. All that support may ever be granted; what is not listed stays closed';
comment on column private.support_permissions.permission is 'public';
comment on column private.support_permissions.is_write is
    'public: not in a grant that only reads';
insert into private.support_permissions (permission, is_write)
select unnest(array['garage.read', 'members.read', 'customers.read', 'vehicles.read', 'work_orders.read',
           'invoices.read', 'documents.read', 'deliveries.read', 'portal_accounts.read',
           'conversations.read', 'audit.read']), false
union all
select unnest(array['customers.write', 'vehicles.write', 'work_orders.write', 'invoices.write',
           'deliveries.retry']), true;

create table public.instructions (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    kind text not null constraint instructions_kind_check check (kind in ('support', 'export')),
    body text not null constraint instructions_body_length check (length(body) between 10 and 2000),
    given_by uuid not null,
    given_at timestamptz not null default now(),
    unique (garage_id, id)
);
alter table public.instructions enable row level security;
alter table public.instructions force row level security;
comment on table public.instructions is
    'controller=garage; retention=10 years. What a garage told Autexor, its processor, to do (art. 28(3)(a) GDPR); never changed';
comment on column public.instructions.id is 'internal';
comment on column public.instructions.garage_id is 'internal';
comment on column public.instructions.kind is 'internal';
comment on column public.instructions.body is
    'personal(content; subject=staff; on_erasure=keep:audit): in the words of the garage';
comment on column public.instructions.given_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column public.instructions.given_at is 'internal';
create index instructions_garage_idx on public.instructions (garage_id, given_at desc);
create trigger _900_append_only before update or delete or truncate on public.instructions
    for each statement execute function private.tg__append_only();
alter table public.instructions enable always trigger _900_append_only;

create table public.support_requests (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    operator_id uuid not null references private.operators (user_id),
    operator_email text not null,
    reason text not null constraint support_requests_reason_length check (length(reason) between 10 and 2000),
    hours int not null constraint support_requests_hours_range check (hours between 1 and 8),
    is_read_only boolean not null default true,
    requested_at timestamptz not null default now(),
    granted_at timestamptz,
    refused_at timestamptz,
    decided_by uuid,
    permissions text[] not null default '{}',
    instruction_id uuid,
    export_instruction_id uuid,
    expires_at timestamptz,
    opened_at timestamptz,
    ended_at timestamptz,
    ended_by uuid,
    unique (garage_id, id),
    foreign key (garage_id, instruction_id) references public.instructions (garage_id, id),
    foreign key (garage_id, export_instruction_id) references public.instructions (garage_id, id),
    constraint support_requests_decided_once check (granted_at is null or refused_at is null),
    constraint support_requests_granted_by_instruction check (
        (granted_at is null) = (instruction_id is null) and (granted_at is null) = (expires_at is null)),
    constraint support_requests_within_hours check (expires_at <= granted_at + interval '8 hours'),
    constraint support_requests_not_by_oneself check (decided_by <> operator_id),
    constraint support_requests_opened_when_granted check (opened_at is null or granted_at is not null)
);
alter table public.support_requests enable row level security;
alter table public.support_requests force row level security;
comment on table public.support_requests is
    'controller=garage; retention=10 years. Support of Autexor in the garage: asked, granted or refused, and over; see support_grants';
comment on column public.support_requests.id is 'internal';
comment on column public.support_requests.garage_id is 'internal';
comment on column public.support_requests.operator_id is
    'personal(account; subject=staff; on_erasure=keep:audit): of Autexor';
comment on column public.support_requests.operator_email is
    'personal(contact; subject=staff; on_erasure=keep:audit): of Autexor';
comment on column public.support_requests.reason is
    'personal(content; subject=staff; on_erasure=keep:audit)';
comment on column public.support_requests.hours is 'internal: asked, or granted';
comment on column public.support_requests.is_read_only is 'internal: asked, or granted';
comment on column public.support_requests.requested_at is 'internal';
comment on column public.support_requests.granted_at is 'internal';
comment on column public.support_requests.refused_at is 'internal';
comment on column public.support_requests.decided_by is
    'personal(account; subject=staff; on_erasure=keep:audit): who granted or refused';
comment on column public.support_requests.permissions is 'internal: exactly what it opens';
comment on column public.support_requests.instruction_id is 'internal: what the garage said';
comment on column public.support_requests.export_instruction_id is
    'internal: without it, support exports nothing';
comment on column public.support_requests.expires_at is 'internal: it ends by itself';
comment on column public.support_requests.opened_at is
    'internal: of several places the one opened last is the one that the next token is for';
comment on column public.support_requests.ended_at is 'internal';
comment on column public.support_requests.ended_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
create index support_requests_garage_idx on public.support_requests (garage_id, requested_at desc);
create index support_requests_operator_idx on public.support_requests (operator_id);
create index support_requests_instruction_idx on public.support_requests (garage_id, instruction_id);
create index support_requests_export_idx on public.support_requests (garage_id, export_instruction_id);
create unique index support_requests_one_open on public.support_requests (garage_id, operator_id)
    where granted_at is null and refused_at is null and ended_at is null;

create function private.tg_support_requests__freeze()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- What has been kept long enough goes.
    if tg_op = 'DELETE' and (private.erasure_under_way()).xid is not null then
        return old;
    end if;
    if tg_op <> 'UPDATE' or old.refused_at is not null or old.ended_at is not null
        or (old.id, old.garage_id, old.operator_id, old.reason, old.requested_at)
            is distinct from (new.id, new.garage_id, new.operator_id, new.reason, new.requested_at)
        or (old.granted_at is not null and (old.granted_at, old.hours, old.is_read_only, old.permissions,
                old.decided_by, old.instruction_id, old.export_instruction_id, old.expires_at)
            is distinct from (new.granted_at, new.hours, new.is_read_only, new.permissions,
                new.decided_by, new.instruction_id, new.export_instruction_id, new.expires_at)) then
        perform private.refuse('support_is_frozen', 'What was decided about support stays as it was',
            'End it, and ask again', 409);
    end if;
    return new;
end $$;
create trigger _900_freeze before update or delete on public.support_requests
    for each row execute function private.tg_support_requests__freeze();
create trigger _900_freeze_truncate before truncate on public.support_requests
    for each statement execute function private.tg_support_requests__freeze();
alter table public.support_requests enable always trigger _900_freeze;
alter table public.support_requests enable always trigger _900_freeze_truncate;

create function private.support_status(request public.support_requests)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case when request.refused_at is not null then 'refused'
        when request.ended_at is not null and request.granted_at is null then 'withdrawn'
        when request.ended_at is not null then 'ended'
        when request.granted_at is null
            then case when request.requested_at < statement_timestamp() - interval '7 days' then 'lapsed'
                 else 'asked' end
        when request.expires_at <= statement_timestamp() then 'expired' else 'live' end;
$$;
comment on function private.support_status is
    'asked, lapsed (nobody answered for a week), refused, withdrawn, live, expired or ended';
grant execute on function private.support_status to authenticated;

create view public.support_grants with (security_invoker = on) as
    select r.id, r.garage_id, private.support_status(r) as status,
           private.support_status(r) = 'live' as is_live, r.operator_id, r.operator_email, r.reason, r.hours,
           r.is_read_only, r.export_instruction_id is not null as may_export, r.permissions,
           r.requested_at, r.granted_at, r.expires_at, r.refused_at, r.decided_by, r.opened_at,
           r.ended_at, r.ended_by, i.body as instruction
      from public.support_requests r
      left join public.instructions i on i.garage_id = r.garage_id and i.id = r.instruction_id;
comment on view public.support_grants is
    'Support of Autexor in the garage; while is_live, somebody of Autexor may look, and every screen says so';

-- Total, like all that policies ask: whatever the token holds, the answer is a garage or null.
create function private.support_garage_id(permission text)
returns uuid
language plpgsql -- a cached plan: policies ask this in every statement of support
stable
security definer -- reads grants and operators past their own policies
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'authenticated' then
        return null;
    end if;
    return (
        select r.garage_id
          from public.support_requests r
          join private.operators o on o.user_id = r.operator_id and o.revoked_at is null
         where r.id = (claims ->> 'support_grant')::uuid
           and r.garage_id = (claims ->> 'garage_id')::uuid
           and r.operator_id = (claims ->> 'sub')::uuid
           and r.granted_at is not null and r.ended_at is null
           and r.expires_at > statement_timestamp()
           and exists (select from auth.sessions s
                        where s.id = (claims ->> 'session_id')::uuid and s.user_id = r.operator_id)
           and (support_garage_id.permission is null
                or support_garage_id.permission = any (r.permissions) and exists (
                    select from private.permissions p
                     where p.permission = support_garage_id.permission
                       and (p.module is null or private.has_module(r.garage_id, p.module))))
    );
exception when others then
    return null;
end $$;
comment on function private.support_garage_id is
    'The garage of a live support grant whose operator asks, if it opens this permission (null: if it is live); else null. Never raises';

create or replace function private.staff_garage_id()
returns uuid
language plpgsql
stable
security definer -- reads memberships past their own policies, which ask this function
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'authenticated' then
        return null;
    elsif claims ? 'support_grant' then
        -- A token for support is never one of a member, even for who is both.
        return private.support_garage_id(null);
    end if;
    return (
        select m.garage_id from public.memberships m
         where m.garage_id = (claims ->> 'garage_id')::uuid
           and m.user_id = (claims ->> 'sub')::uuid
           and m.deactivated_at is null
           and exists (select from auth.sessions s
                        where s.id = (claims ->> 'session_id')::uuid and s.user_id = m.user_id)
    );
exception when others then
    return null;
end $$;
comment on function private.staff_garage_id is
    'The garage named in a staff token, if membership (or support grant) and sign-in still hold; else null. Never raises';

create or replace function private.garage_id_for(permission text)
returns uuid
language plpgsql
stable
security definer -- reads memberships past their own policies, which ask this function
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'authenticated' then
        return null;
    elsif claims ? 'support_grant' then
        return private.support_garage_id(coalesce(garage_id_for.permission, ''));
    end if;
    return (
        select m.garage_id
          from public.memberships m
          join private.permissions p on p.permission = garage_id_for.permission
          left join public.membership_permissions own
            on own.garage_id = m.garage_id and own.membership_id = m.id
                and own.permission = p.permission
          left join private.role_permissions bundle
            on bundle.role = m.role and bundle.permission = p.permission
         where m.garage_id = (claims ->> 'garage_id')::uuid
           and m.user_id = (claims ->> 'sub')::uuid
           and m.deactivated_at is null
           and exists (select from auth.sessions s
                        where s.id = (claims ->> 'session_id')::uuid and s.user_id = m.user_id)
           and coalesce(own.is_granted, bundle.permission is not null)
           and (p.module is null or private.has_module(m.garage_id, p.module))
    );
exception when others then
    return null;
end $$;
comment on function private.garage_id_for is
    'The active garage of a member who holds this permission there, or of a live support grant that opens it, its module being on; else null. Never raises';

create or replace function private.my_garages()
returns table (id uuid, trade_name text, role public.member_role, is_active boolean)
language sql
stable
security definer -- looks past the active garage, at the caller's own memberships and support alone
set search_path = pg_catalog, pg_temp
as $$
    select g.id, g.trade_name, m.role, g.id is not distinct from private.staff_garage_id()
        and private.support_garage_id(null) is null
      from public.memberships m join public.garages g on g.id = m.garage_id
     where m.user_id = (private.signed_in_user()).id and m.deactivated_at is null
    union all
    select g.id, g.trade_name, null, true from public.garages g
     where g.id = private.support_garage_id(null)
     order by 2, 1;
$$;
comment on function public.my_garages is
    'The garages you work for; switch_garage makes another one the active one. For support, the garage it is open in, without a role';

create or replace function private.custom_access_token_hook(event jsonb)
returns jsonb
language plpgsql
volatile
security definer -- Supabase Auth's role reads none of our tables, and writes no log
set search_path = pg_catalog, pg_temp
as $$
declare
    person uuid := event ->> 'user_id';
    member public.memberships;
    support public.support_requests;
begin
    select m.* into member from public.memberships m
     where m.user_id = person and m.deactivated_at is null
     order by m.selected_at desc, m.id limit 1;
    select r.* into support
      from public.support_requests r
      join private.operators o on o.user_id = r.operator_id and o.revoked_at is null
     where r.operator_id = person and r.opened_at is not null and r.ended_at is null
       and r.expires_at > now()
     order by r.opened_at desc limit 1;
    -- Whatever they chose last: the garage they work for, or the one they support.
    if support.opened_at > coalesce(member.selected_at, '-infinity') then
        return jsonb_set(jsonb_set(event, '{claims,garage_id}', to_jsonb(support.garage_id)),
            '{claims,support_grant}', to_jsonb(support.id));
    end if;
    if member.id is not null and event ->> 'authentication_method' <> 'token_refresh' then
        begin
            perform private.log_access(member.garage_id, 'staff_login', 'staff:' || person, null,
                (event #>> '{claims,session_id}')::uuid, null, null);
        exception when others then
            -- Nobody is kept out because a log could not be written; the database's own log says so.
            raise warning 'staff_login was not logged: %', sqlerrm;
        end;
    end if;
    return jsonb_set(event, '{claims,garage_id}', coalesce(to_jsonb(member.garage_id), 'null'));
end $$;
comment on function private.custom_access_token_hook is
    'Puts the active garage into a staff token as the flat claim garage_id, and for an operator the open support grant as support_grant; every statement checks both again. Logs members who sign in';
