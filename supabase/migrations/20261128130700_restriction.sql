-- Restriction of processing (art. 18 GDPR): the person's rows are frozen and hidden, no message goes out,
-- and who of the staff must look opens them for a short while, with a reason that stays on record.

create table public.customer_restrictions (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    request_id uuid not null,
    restricted_by uuid,
    restricted_at timestamptz not null default now(),
    lifted_by uuid,
    lifted_at timestamptz,
    lift_reason text,
    unique (garage_id, id),
    constraint customer_restrictions_customer_fkey foreign key (garage_id, customer_id)
        references public.customers (garage_id, id),
    constraint customer_restrictions_request_fkey foreign key (garage_id, request_id)
        references public.rights_requests (garage_id, id),
    constraint customer_restrictions_restricted_by_fkey foreign key (garage_id, restricted_by)
        references public.memberships (garage_id, id),
    constraint customer_restrictions_lifted_by_fkey foreign key (garage_id, lifted_by)
        references public.memberships (garage_id, id),
    constraint customer_restrictions_lifted check (lift_reason is null or lifted_at is not null),
    constraint customer_restrictions_lift_reason check (length(lift_reason) between 3 and 500)
);
alter table public.customer_restrictions enable row level security;
alter table public.customer_restrictions force row level security;
comment on table public.customer_restrictions is
    'controller=garage; retention=garage policy. Customers whose data is frozen while something about it is settled';
comment on column public.customer_restrictions.id is 'internal';
comment on column public.customer_restrictions.garage_id is 'internal';
comment on column public.customer_restrictions.customer_id is 'internal';
comment on column public.customer_restrictions.request_id is 'internal';
comment on column public.customer_restrictions.restricted_by is 'internal: a membership';
comment on column public.customer_restrictions.restricted_at is 'internal';
comment on column public.customer_restrictions.lifted_by is 'internal: a membership';
comment on column public.customer_restrictions.lifted_at is 'internal';
comment on column public.customer_restrictions.lift_reason is
    'personal(content; subject=customer; on_erasure=erase): told to the person beforehand';
create index customer_restrictions_customer_idx
    on public.customer_restrictions (garage_id, customer_id);
create index customer_restrictions_live_idx
    on public.customer_restrictions (garage_id, customer_id) where lifted_at is null;
create index customer_restrictions_request_idx
    on public.customer_restrictions (garage_id, request_id);
create index customer_restrictions_restricted_by_idx
    on public.customer_restrictions (garage_id, restricted_by);
create index customer_restrictions_lifted_by_idx
    on public.customer_restrictions (garage_id, lifted_by);
comment on constraint customer_restrictions_lift_reason on public.customer_restrictions is
    'reason_invalid: A reason has 3 to 500 characters | Write what the person is told';

create table public.restriction_openings (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    membership_id uuid not null,
    reason text,
    opened_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '15 minutes',
    unique (garage_id, id),
    constraint restriction_openings_customer_fkey foreign key (garage_id, customer_id)
        references public.customers (garage_id, id),
    constraint restriction_openings_membership_fkey foreign key (garage_id, membership_id)
        references public.memberships (garage_id, id),
    constraint restriction_openings_reason check (length(reason) between 10 and 500)
);
alter table public.restriction_openings enable row level security;
alter table public.restriction_openings force row level security;
comment on table public.restriction_openings is
    'controller=garage; retention=garage policy. Who of the staff looked at a restricted customer, until when, and why';
comment on column public.restriction_openings.id is 'internal';
comment on column public.restriction_openings.garage_id is 'internal';
comment on column public.restriction_openings.customer_id is 'internal';
comment on column public.restriction_openings.membership_id is 'internal';
comment on column public.restriction_openings.reason is
    'personal(content; subject=customer; on_erasure=erase)';
comment on column public.restriction_openings.opened_at is 'internal';
comment on column public.restriction_openings.expires_at is 'internal';
create index restriction_openings_customer_idx
    on public.restriction_openings (garage_id, customer_id);
create index restriction_openings_membership_idx
    on public.restriction_openings (garage_id, membership_id, expires_at);
comment on constraint restriction_openings_reason on public.restriction_openings is
    'reason_invalid: A reason has 10 to 500 characters | Write why you must look now';

create or replace function private.held_customers(garage_id uuid)
returns uuid[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(array_agg(distinct s.id), '{}')
      from (
        select h.customer_id from public.legal_holds h
         where h.garage_id = held_customers.garage_id and h.lifted_at is null
        union
        select r.customer_id from public.customer_restrictions r
         where r.garage_id = held_customers.garage_id and r.lifted_at is null
        union
        select q.customer_id from public.rights_requests q
         where q.garage_id = held_customers.garage_id and q.status in ('received', 'verified')) held
     cross join lateral unnest(private.customer_ids(held_customers.garage_id, held.customer_id)) s (id);
$$;

create or replace function private.may_contact(garage_id uuid, customer_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from public.customer_restrictions r
         where r.garage_id = may_contact.garage_id and r.lifted_at is null
           and r.customer_id = any (private.customer_ids(may_contact.garage_id, may_contact.customer_id)));
$$;
comment on function private.may_contact is
    'May this customer be written to at all? Not while their data is restricted';

create function private.restricted_ids(garage_id uuid, target text, but_opened_by uuid)
returns uuid[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    hidden uuid[] := array(
        select s.id from public.customer_restrictions r
         cross join lateral unnest(private.customer_ids(r.garage_id, r.customer_id)) s (id)
         where r.garage_id = restricted_ids.garage_id and r.lifted_at is null
           and not exists (
               select from public.restriction_openings o
                where o.garage_id = r.garage_id and o.customer_id = r.customer_id
                  and o.membership_id = but_opened_by and o.expires_at > now()));
    found uuid[];
begin
    if cardinality(hidden) = 0 or target = 'public.customers' then
        return hidden;
    end if;
    execute format('select array(select r.id from %s r where %s)', target::regclass,
        private.subject_condition(target::regclass)) into found using garage_id, hidden;
    return found;
end $$;
comment on function private.restricted_ids is
    'Ids of a table''s rows that are about restricted customers, aside from those that a member has opened';

create function private.hidden_ids(target text)
returns uuid[]
language plpgsql
stable
security definer -- asks past the policies that ask this
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.staff_garage_id();
begin
    -- Nearly every garage, nearly always: nothing is restricted, and this is all it costs.
    if not exists (select from public.customer_restrictions r
                    where r.garage_id = garage and r.lifted_at is null) then
        return '{}';
    end if;
    return private.restricted_ids(garage, target, private.my_membership());
end $$;
comment on function private.hidden_ids is
    'Ids of rows that the caller may not see because their person''s data is restricted. Never raises';
grant execute on function private.hidden_ids to authenticated;

create function private.hidden_files(is_to_change boolean)
returns text[]
language plpgsql
stable
security definer -- asked by Storage's policies, past those of the tables that name the files
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.staff_garage_id();
    holder record;
    found text[];
    hidden text[] := '{}';
begin
    if not exists (select from public.customer_restrictions r
                    where r.garage_id = garage and r.lifted_at is null) then
        return hidden;
    end if;
    for holder in
        select a.attrelid::regclass as relation, private.file_bucket(a.attrelid) as bucket
          from pg_attribute a
         where a.attname = 'storage_path' and private.file_bucket(a.attrelid) is not null
           and private.subject_condition(a.attrelid) is not null
    loop
        execute format('select array(select %L || r.storage_path from %s r where r.id = any ($1) '
            'and r.storage_path is not null)', holder.bucket || '/', holder.relation) into found
            using private.restricted_ids(garage, holder.relation::text,
                case when not is_to_change then private.my_membership() end);
        hidden := hidden || found;
    end loop;
    return hidden;
end $$;
comment on function private.hidden_files is
    'Bucket and path of files that the caller may not see, or not change, because their person''s data is restricted. Never raises';
grant execute on function private.hidden_files to authenticated;

-- By which column a table's rows are told to be about somebody: its key to the customer, to what leads
-- there, or its own id.
create function private.restriction_key(target regclass, out key name, out parent text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select k.key, k.parent
      from (
        select 1 as place, 'id'::name as key, target::text as parent
         where target = 'public.customers'::regclass
        union all
        select 2, p.near[array_position(p.far, 'id')], p.parent::text
          from private.parents(target) p where p.parent = 'public.customers'::regclass
        union all
        select 3, p.near[array_position(p.far, 'id')], p.parent::text
          from private.parents(target) p
         where p.is_required and p.parent <> 'public.memberships'::regclass
           and private.subject_condition(p.parent) is not null
        union all
        select 4, 'id', target::text) k
     order by k.place, k.key limit 1;
$$;

create function private.restriction_guard_body(target regclass, op text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format($body$
begin
    if exists (
        select from public.customer_restrictions live
         where live.lifted_at is null and live.garage_id in (select r.garage_id from %1$s r)) then
        perform private.refuse_restricted(array(select distinct r.garage_id from %1$s r), %2$L,
            array(select r.%3$I from %1$s r));
    end if;
    return null;
end $body$, case op when 'delete' then 'old_rows' else 'new_rows' end, k.parent, k.key)
      from private.restriction_key(target) k;
$$;

create function private.refuse_restricted(garages uuid[], target text, ids uuid[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The person's own doing is theirs, what machines record has happened already, and what answers a
    -- request of the person is what they asked for.
    if private.actor() ~ '^(staff|support):' and not exists (
        select from private.erasing e where e.xid = pg_current_xact_id_if_assigned())
        and exists (select from unnest(garages) g (id)
                     where ids && private.restricted_ids(g.id, target, null)) then
        perform private.refuse('customer_is_restricted',
            'The data of this customer is restricted: nothing of it changes',
            'Lift the restriction first, after telling the customer', 409);
    end if;
end $$;

create procedure private.guard_restriction(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    function_name text;
    op text;
begin
    foreach op in array array['insert', 'update', 'delete'] loop
        function_name := 'tg_' || split_part(target::text, '.', 2) || '__restricted_' || op;
        execute format('create or replace function private.%I() returns trigger language plpgsql '
            'security definer set search_path = pg_catalog, pg_temp as %L', function_name,
            private.restriction_guard_body(target, op));
        execute format('create or replace trigger _700_restricted_%1$s after %1$s on %2$s '
            'referencing %3$s for each statement execute function private.%4$I()', op, target,
            case op when 'delete' then 'old table as old_rows' else 'new table as new_rows' end,
            function_name);
    end loop;
end $$;
comment on procedure private.guard_restriction is
    'Generates the triggers that refuse staff any change of a restricted customer''s rows';

create procedure private.hide_restricted(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    k record;
begin
    select * into k from private.restriction_key(target);
    execute format('drop policy if exists restriction on %s', target);
    execute format('create policy restriction on %s as restrictive for select to authenticated '
        'using ((%I = any ((select private.hidden_ids(%L))::uuid[])) is not true)', target, k.key,
        k.parent);
    execute format('comment on policy restriction on %s is %L', target,
        'The third lock: not of a customer whose data is restricted, unless opened with a reason');
end $$;
comment on procedure private.hide_restricted is
    'Generates the policy that hides a restricted customer''s rows from staff';

-- The third lock belongs to policies/95_privacy.sql, which sets it on every table that leads to a person.
create or replace procedure private.reset_policies(target regclass)
language plpgsql
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    policy_name name;
begin
    for policy_name in select polname from pg_policy
                        where polrelid = target and polname <> 'restriction' loop
        execute format('drop policy %I on %s', policy_name, target);
    end loop;
end $$;
comment on procedure private.reset_policies is
    'Drops every policy of a table but the restriction, so that one renamed in supabase/policies really disappears';

create function private.restrictable_tables()
returns setof regclass
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select s.table_name::regclass from private.compiled_tables() s
     where s.condition is not null and s.table_name like 'public.%'
       and coalesce(s.processing, '') <> 'rights' and s.table_name <> 'public.customer_opt_outs'
     order by s.table_name;
$$;
comment on function private.restrictable_tables is
    'Tables whose rows are hidden and frozen while their customer is restricted: all that lead to a person, aside from the answers to their requests and what they do not want';

create function private.tg_communications__may_contact()
returns trigger
language plpgsql
security definer -- restrictions are closed to who sends
set search_path = pg_catalog, pg_temp
as $$
begin
    return case when private.may_contact(new.garage_id, new.customer_id) then new end;
end $$;
-- Mails about the own access are what the customer asks for.
create trigger _150_may_contact before insert on public.communications
    for each row when (new.customer_id is not null
        and (new.template not like 'portal%' or new.template = 'portal_invited'))
    execute function private.tg_communications__may_contact();

create function private.tg_push_notifications__may_contact()
returns trigger
language plpgsql
security definer -- restrictions are closed to who sends
set search_path = pg_catalog, pg_temp
as $$
begin
    return case when not exists (
        select from public.push_devices d
          join public.portal_devices o on o.garage_id = d.garage_id and o.id = d.portal_device_id
          join public.portal_accounts a on a.garage_id = o.garage_id and a.id = o.account_id
         where d.garage_id = new.garage_id and d.id = new.push_device_id
           and not private.may_contact(a.garage_id, a.customer_id))
        then new end;
end $$;
create trigger _150_may_contact before insert on public.push_notifications
    for each row execute function private.tg_push_notifications__may_contact();

create function private.execute_restriction(request_id uuid)
returns public.rights_requests
language plpgsql
volatile
security definer -- writes evidence, which is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.execute',
        array['verified'], array['restriction']);
begin
    perform private.stop_messages(request.garage_id,
        private.customer_ids(request.garage_id, request.customer_id), 'customer_restricted');
    -- Who asks twice is restricted once.
    insert into public.customer_restrictions (garage_id, customer_id, request_id, restricted_by)
    select request.garage_id, request.customer_id, request.id, private.my_membership()
     where private.may_contact(request.garage_id, request.customer_id);
    return private.finish_rights_request(request, jsonb_build_object('restricted_at', now()));
end $$;

create function private.refuse_not_restricted(garage_id uuid, customer_id uuid)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from public.customers c
                    where c.garage_id = refuse_not_restricted.garage_id
                      and c.id = refuse_not_restricted.customer_id) then
        perform private.refuse('customer_not_found', 'This customer does not exist in this garage',
            'Choose a customer of your own garage', 404);
    end if;
    perform private.refuse('customer_not_restricted', 'The data of this customer is not restricted',
        'Look it up as any other', 409);
end $$;

create function private.lift_restriction(customer_id uuid, reason text)
returns public.customer_restrictions
language plpgsql
volatile
security definer -- who lifted it is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('rights.execute');
    restriction public.customer_restrictions;
begin
    -- Two that were merged may each have been restricted.
    with lifted as (
        update public.customer_restrictions r
           set lifted_at = now(), lifted_by = private.my_membership(),
               lift_reason = coalesce(btrim(reason), '')
         where r.garage_id = garage and r.lifted_at is null
           and r.customer_id = any (private.customer_ids(garage, lift_restriction.customer_id))
        returning r.*)
    select * into restriction from lifted l order by l.restricted_at, l.id limit 1;
    if not found then
        perform private.refuse_not_restricted(garage, lift_restriction.customer_id);
    end if;
    return restriction;
end $$;

create function private.open_restricted_customer(customer_id uuid, reason text)
returns timestamptz
language plpgsql
volatile
security definer -- openings are not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('customers.read');
    person uuid := ( -- a customer who was merged is opened with the one that was restricted
        select r.customer_id from public.customer_restrictions r
         where r.garage_id = garage and r.lifted_at is null
           and r.customer_id = any (private.customer_ids(garage, open_restricted_customer.customer_id))
         limit 1);
    until timestamptz;
begin
    if person is null then
        perform private.refuse_not_restricted(garage, open_restricted_customer.customer_id);
    end if;
    insert into public.restriction_openings (garage_id, customer_id, membership_id, reason)
    values (garage, person, private.my_membership(), coalesce(btrim(open_restricted_customer.reason), ''))
    returning expires_at into until;
    perform private.log_access(garage, 'restriction_opened', private.actor(), person, null, null, null);
    return until;
end $$;

create function public.execute_restriction(request_id uuid)
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.execute_restriction(execute_restriction.request_id) r;
end;
comment on function public.execute_restriction is
    'Freezes and hides what is known of a customer; nothing is sent to them';

create function public.lift_restriction(customer_id uuid, reason text)
returns public.customer_restrictions
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.lift_restriction(lift_restriction.customer_id, lift_restriction.reason) r;
end;
comment on function public.lift_restriction is
    'Ends a restriction, with the reason that the customer was told beforehand (art. 18.3 GDPR)';

create function public.open_restricted_customer(customer_id uuid, reason text)
returns timestamptz
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.open_restricted_customer(open_restricted_customer.customer_id,
        open_restricted_customer.reason);
end;
comment on function public.open_restricted_customer is
    'Shows you a restricted customer for fifteen minutes; until when. The reason stays on record';
grant execute on function private.execute_restriction, private.lift_restriction,
    private.open_restricted_customer, public.execute_restriction, public.lift_restriction,
    public.open_restricted_customer to authenticated;
