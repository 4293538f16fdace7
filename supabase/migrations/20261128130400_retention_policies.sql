-- How long a row is kept: what its table says, what the garage set, what the law wants at least, and what
-- is held for a dispute. Time is an argument throughout.

create table public.retention_policies (
    garage_id uuid not null references public.garages (id),
    processing text not null,
    keep_for interval not null,
    updated_at timestamptz not null default now(),
    primary key (garage_id, processing),
    constraint retention_policies_processing_fkey foreign key (processing)
        references private.processings (processing)
);
alter table public.retention_policies enable row level security;
alter table public.retention_policies force row level security;
comment on table public.retention_policies is
    'controller=garage; retention=contract. How long a garage keeps what it processes for a purpose; no row is the default';
comment on column public.retention_policies.garage_id is 'internal';
comment on column public.retention_policies.processing is 'internal';
comment on column public.retention_policies.keep_for is
    'internal: counted from a row''s end or last change; for invoices from 1 January of the next year';
comment on column public.retention_policies.updated_at is 'internal';
create index retention_policies_processing_idx on public.retention_policies (processing);

create table public.legal_holds (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    invoice_id uuid,
    reason text not null,
    placed_by uuid,
    placed_at timestamptz not null default now(),
    lifted_by uuid,
    lifted_at timestamptz,
    unique (garage_id, id),
    constraint legal_holds_customer_fkey foreign key (garage_id, customer_id)
        references public.customers (garage_id, id),
    constraint legal_holds_invoice_fkey foreign key (garage_id, invoice_id)
        references public.invoices (garage_id, id),
    constraint legal_holds_placed_by_fkey foreign key (garage_id, placed_by)
        references public.memberships (garage_id, id),
    constraint legal_holds_lifted_by_fkey foreign key (garage_id, lifted_by)
        references public.memberships (garage_id, id),
    constraint legal_holds_reason check (length(reason) between 3 and 500)
);
alter table public.legal_holds enable row level security;
alter table public.legal_holds force row level security;
comment on table public.legal_holds is
    'controller=garage; retention=garage policy. Customers of whom nothing is deleted meanwhile: a dispute, a claim, an audit';
comment on column public.legal_holds.id is 'internal';
comment on column public.legal_holds.garage_id is 'internal';
comment on column public.legal_holds.customer_id is 'internal';
comment on column public.legal_holds.invoice_id is 'internal: what the dispute is about';
comment on column public.legal_holds.reason is
    'personal(content; subject=customer; on_erasure=erase)';
comment on column public.legal_holds.placed_by is 'internal: a membership';
comment on column public.legal_holds.placed_at is 'internal';
comment on column public.legal_holds.lifted_by is 'internal: a membership';
comment on column public.legal_holds.lifted_at is 'internal';
create index legal_holds_customer_idx on public.legal_holds (garage_id, customer_id);
create index legal_holds_invoice_idx on public.legal_holds (garage_id, invoice_id);
create index legal_holds_placed_by_idx on public.legal_holds (garage_id, placed_by);
create index legal_holds_lifted_by_idx on public.legal_holds (garage_id, lifted_by);
comment on constraint legal_holds_reason on public.legal_holds is
    'reason_invalid: A reason has 3 to 500 characters | Write what the dispute is';

create function private.keep_for(garage_id uuid, processing text)
returns interval
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select r.keep_for from public.retention_policies r
                      where r.garage_id = keep_for.garage_id and r.processing = keep_for.processing),
                    (select p.keep_for from private.processings p
                      where p.processing = keep_for.processing));
$$;
comment on function private.keep_for is 'How long a garage keeps what it processes for a purpose';

create function private.invoice_kept_until(garage_id uuid, issue_date date)
returns date
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select (make_date(extract(year from issue_date)::int + 1, 1, 1)
            + private.keep_for(garage_id, 'invoices'))::date;
$$;
comment on function private.invoice_kept_until is
    'VAT code art. 60: ten years from 1 January of the year after the date; the first day it need not be kept';

create function private.set_retention(processing text, keep_for interval)
returns public.retention_policies
language plpgsql
volatile
security definer -- floors and ceilings are in a table closed to members
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('privacy.write');
    known private.processings;
    policy public.retention_policies;
begin
    select * into known from private.processings p where p.processing = set_retention.processing;
    if known.keep_for is null then
        perform private.refuse('retention_not_settable',
            'This is not something a garage sets the retention of',
            'See `autexor retention show`', 404);
    elsif coalesce(set_retention.keep_for < known.floor, true) then
        perform private.refuse('retention_below_floor',
            format('The law wants this kept for at least %s', known.floor), 'Keep it at least as long');
    elsif set_retention.keep_for > known.ceiling then
        perform private.refuse('retention_above_ceiling',
            format('There is no reason to keep this longer than %s', known.ceiling),
            'Keep it shorter, or place a legal hold on what is in dispute');
    end if;
    insert into public.retention_policies as r (garage_id, processing, keep_for)
    values (garage, set_retention.processing, set_retention.keep_for)
    on conflict on constraint retention_policies_pkey do update
        set keep_for = excluded.keep_for, updated_at = now()
    returning r.* into policy;
    return policy;
end $$;

create function private.place_legal_hold(customer_id uuid, reason text, invoice_id uuid)
returns public.legal_holds
language plpgsql
volatile
security definer -- who placed it is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('privacy.write');
    hold public.legal_holds;
begin
    if not exists (select from public.customers c
                    where c.garage_id = garage and c.id = place_legal_hold.customer_id)
        or (place_legal_hold.invoice_id is not null and not exists (
            select from public.invoices i
             where i.garage_id = garage and i.id = place_legal_hold.invoice_id
               and i.customer_id = any (private.customer_ids(garage, place_legal_hold.customer_id))))
    then
        perform private.refuse('customer_not_found',
            'This customer, or this invoice of theirs, does not exist in this garage',
            'Choose a customer of your own garage', 404);
    end if;
    insert into public.legal_holds (garage_id, customer_id, invoice_id, reason, placed_by)
    values (garage, place_legal_hold.customer_id, place_legal_hold.invoice_id,
        coalesce(btrim(place_legal_hold.reason), ''), private.my_membership())
    returning * into hold;
    return hold;
end $$;

create function private.lift_legal_hold(hold_id uuid)
returns public.legal_holds
language plpgsql
volatile
security definer -- who lifted it is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('privacy.write');
    hold public.legal_holds;
begin
    update public.legal_holds h set lifted_at = now(), lifted_by = private.my_membership()
     where h.garage_id = garage and h.id = hold_id and h.lifted_at is null
    returning * into hold;
    if not found then
        perform private.refuse('legal_hold_not_found', 'No such legal hold is in force',
            'See `autexor retention holds`', 404);
    end if;
    return hold;
end $$;

create function public.set_retention(processing text, keep_for interval)
returns public.retention_policies
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.set_retention(set_retention.processing, set_retention.keep_for) r;
end;
comment on function public.set_retention is
    'How long your garage keeps what it processes for a purpose: never below the legal floor';

create function public.place_legal_hold(customer_id uuid, reason text, invoice_id uuid default null)
returns public.legal_holds
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select h.* from private.place_legal_hold(place_legal_hold.customer_id, place_legal_hold.reason,
        place_legal_hold.invoice_id) h;
end;
comment on function public.place_legal_hold is
    'Nothing of this customer is deleted until the hold is lifted, whatever retention or a request says';

create function public.lift_legal_hold(hold_id uuid)
returns public.legal_holds
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select h.* from private.lift_legal_hold(lift_legal_hold.hold_id) h;
end;
comment on function public.lift_legal_hold is 'Ends a legal hold';

create function private.known_retention()
returns table (processing text, purpose text, default_keep_for interval, floor interval,
    ceiling interval)
language sql
stable
security definer -- the vocabulary is closed to members, and the same for all of them
set search_path = pg_catalog, pg_temp
as $$
    select p.processing, p.purpose, p.keep_for, p.floor, p.ceiling
      from private.processings p where p.keep_for is not null;
$$;
create view public.retention with (security_invoker = on) as
    select g.id as garage_id, k.processing, k.purpose, coalesce(r.keep_for, k.default_keep_for) as keep_for,
           r.processing is not null as is_set_by_garage, k.floor, k.ceiling
      from public.garages g
     cross join private.known_retention() k
      left join public.retention_policies r on r.garage_id = g.id and r.processing = k.processing;
comment on view public.retention is
    'How long the garage keeps what it processes for a purpose, and the least and most it may set';
grant execute on function private.set_retention, private.place_legal_hold, private.lift_legal_hold,
    private.known_retention, public.set_retention, public.place_legal_hold, public.lift_legal_hold
    to authenticated;

-- From the comments to SQL: expressions on a row r of a table.
create function private.invoice_date_of(target regclass, row_name text default 'r',
    seen regclass[] default '{}')
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    above record;
    further text;
    found text[] := '{}';
begin
    if target = 'public.invoices'::regclass then
        return format('case when %1$s.issued_at is not null then %1$s.issue_date end', row_name);
    elsif target = 'public.vehicles'::regclass then
        return format('(select max(i.issue_date) from public.invoices i where i.garage_id = %1$s.garage_id '
            'and i.vehicle_id = %1$s.id and i.issued_at is not null)', row_name);
    end if;
    for above in select * from private.parents(target) p
                  where p.parent <> all (seen || target)
                    and p.parent not in ('public.memberships'::regclass, 'public.customers'::regclass)
                  order by p.key loop
        further := private.invoice_date_of(above.parent, row_name || 'x', seen || target);
        if further is not null then
            found := found || format('(select %1$s from %2$s %3$sx where %4$s)', further, above.parent,
                row_name, (select string_agg(format('%1$sx.%2$I = %1$s.%3$I', row_name, f, n), ' and ')
                             from unnest(above.near, above.far) as pair (n, f)));
        end if;
    end loop;
    return case cardinality(found) when 0 then null when 1 then found[1]
        else format('greatest(%s)', array_to_string(found, ', ')) end;
end $$;
comment on function private.invoice_date_of is
    'The date of the last issued invoice that a row proves or belongs to; null when there is none';

create function private.clock_of(target regclass, row_name text default 'r')
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with moments as (
        select a.attname::text as name, a.attnotnull as is_certain
          from pg_attribute a
         where a.attrelid = target and not a.attisdropped
           and a.atttypid in ('date'::regtype, 'timestamptz'::regtype)
    ), found as (
        select case m.name when 'last_seen_at'
                   then format('greatest(%1$s.last_seen_at, %1$s.created_at)', row_name)
                   else format('%s.%I', row_name, m.name) end as clock
          from moments m
          join unnest(array['removed_at', 'valid_to', 'lifted_at', 'last_seen_at', 'expires_at',
                   'updated_at', 'occurred_at', 'created_at', 'finished_at', 'sent_at', 'given_at',
                   'told_at'])
               with ordinality as wanted (name, place) on wanted.name = m.name
         where m.is_certain or m.name not in ('finished_at', 'sent_at')
         order by wanted.place
         limit 1
    )
    select case target
        -- Support that was refused, or that nobody answered, has no end of its own.
        when 'public.support_requests'::regclass then
            format('coalesce(%1$s.expires_at, %1$s.refused_at, %1$s.requested_at)', row_name)
        -- An address that nobody has any more need not be spared: art. 5.1.e GDPR, as after an erasure.
        when 'public.suppressions'::regclass then format(
            'case when %1$s.lifted_at is not null then %1$s.lifted_at when %2$s then %1$s.since end',
            row_name, (
                -- One look into an index each.
                select string_agg(format('not exists (select from public.customers h '
                           'where h.garage_id = %1$s.garage_id and %2$s)', row_name,
                           format(held, row_name)), ' and ')
                  from unnest(array['h.id = %s.customer_id', 'h.email = %s.address',
                           'h.phone = %s.address']) held))
        else (select f.clock from found f) end;
$$;
comment on function private.clock_of is
    'From when a row''s retention counts: its end, or else when it was last used or changed; null while it has no end yet';

create function private.kept_until(target regclass, rule text, retention text, processing text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case rule
        when 'invoice' then 'private.invoice_kept_until(r.garage_id, '
            || private.invoice_date_of(target) || ')'
        else '(' || private.clock_of(target) || case
            when retention ~ '^[0-9]' then format(' + interval %L)::date', retention)
            else format(' + private.keep_for(r.garage_id, %L))::date', processing) end
        end;
$$;
comment on function private.kept_until is
    'An expression on a row r: the first day that keep:<rule> no longer keeps it; null when it never did';

create function private.data_map_gaps()
returns table (place text, gap text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select m.table_name || '.' || m.column_name, 'has no class' from private.data_map m
     where m.class is null or (m.class = 'personal') <> (m.category is not null)
    union all
    select m.table_name || '.' || m.column_name, 'names the unknown category ' || m.category
      from private.data_map m
     where m.category not in (select c.category from private.data_categories c)
    union all
    select m.table_name || '.' || m.column_name, 'names the unknown rule ' || coalesce(m.rule, 'of keep')
      from private.data_map m
     where m.on_erasure = 'keep'
       and coalesce(m.rule not in (select r.rule from private.retention_rules r), true)
    union all
    select t.table_name, 'does not say its controller, retention and purpose'
      from private.table_map t where t.controller is null
    union all
    select t.table_name, 'names the unknown retention ' || t.retention
      from private.table_map t
     where t.retention not in ('none', 'contract', 'garage policy', 'invoice')
       and t.retention !~ '^[0-9]+ (minute|hour|day|month|year)s?$' and t.retention !~ '^(as the|until) | of the settings( |$)'
    union all
    select t.table_name, 'has personal data of a garage and no processing'
      from private.table_map t
     where t.is_personal and t.controller = 'garage'
       and coalesce(t.processing not in (select p.processing from private.processings p), true)
    union all
    select t.table_name, 'says how long it is kept, and nothing from when'
      from private.table_map t
     where t.controller = 'garage' and t.table_name not like 'audit.%' -- history ends by the month
       and (t.retention = 'garage policy' or t.retention ~ '^[0-9]')
       and private.clock_of(t.relation) is null;
$$;
comment on function private.data_map_gaps is
    'What the comments leave open; nothing, or the tests fail';
