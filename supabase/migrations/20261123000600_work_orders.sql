-- Work orders: what is to be done to a vehicle, by whom, where it stands, and one step from the finished
-- work to the draft invoice. The status machine is one function; everything else asks it.

insert into private.modules (module, description)
values ('work_orders', 'Work orders with tasks, lines and photos');
insert into private.permissions (permission, module)
values ('work_orders.read', 'work_orders'), ('work_orders.write', 'work_orders'),
       ('work_orders.invoice', 'work_orders');
insert into private.role_permissions (role, permission)
select role, 'work_orders.' || unnest(array['read', 'write', 'invoice'])
  from unnest(array['owner', 'manager', 'receptionist']::public.member_role[]) role
union all
values ('mechanic'::public.member_role, 'work_orders.read'), ('mechanic', 'work_orders.write'),
       ('accountant', 'work_orders.read');

create table public.work_order_series (
    garage_id uuid not null references public.garages (id),
    year int not null,
    last_number int not null,
    primary key (garage_id, year)
);
alter table public.work_order_series enable row level security;
alter table public.work_order_series force row level security;
comment on table public.work_order_series is
    'controller=garage; retention=contract. The last number given to a work order, per year';
comment on column public.work_order_series.garage_id is 'internal';
comment on column public.work_order_series.year is 'internal';
comment on column public.work_order_series.last_number is 'internal';

create table public.work_orders (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    year int not null,
    number int not null,
    reference text not null generated always as (
        'WO' || year || '-' || lpad(number::text, greatest(5, length(number::text)), '0')) stored,
    customer_id uuid not null,
    vehicle_id uuid not null,
    status text not null default 'planned',
    complaint text not null,
    customer_note text,
    internal_note text,
    assigned_to uuid,
    odometer_in_km int,
    planned_at timestamptz,
    expected_ready_at timestamptz,
    invoice_id uuid,
    revision int not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, year, number),
    unique (garage_id, invoice_id),
    constraint work_orders_customer_fkey foreign key (garage_id, customer_id)
        references public.customers (garage_id, id),
    constraint work_orders_vehicle_fkey foreign key (garage_id, vehicle_id)
        references public.vehicles (garage_id, id),
    constraint work_orders_assignee_fkey foreign key (garage_id, assigned_to)
        references public.memberships (garage_id, id),
    constraint work_orders_invoice_fkey foreign key (garage_id, invoice_id)
        references public.invoices (garage_id, id) on delete set null (invoice_id),
    constraint work_orders_status check (status in ('estimate', 'planned', 'in_progress', 'waiting',
        'ready', 'invoiced', 'cancelled')),
    constraint work_orders_invoiced_has_invoice check (
        (status = 'invoiced') = (invoice_id is not null)),
    constraint work_orders_complaint check (complaint ~ '\S' and length(complaint) <= 2000),
    constraint work_orders_customer_note check (length(customer_note) <= 1000),
    constraint work_orders_internal_note check (length(internal_note) <= 4000),
    constraint work_orders_odometer check (odometer_in_km between 0 and 9999999),
    constraint work_orders_times check (
        planned_at between '2000-01-01Z' and '2100-01-01Z'
        and expected_ready_at between '2000-01-01Z' and '2100-01-01Z'
        and expected_ready_at >= planned_at)
);
alter table public.work_orders enable row level security;
alter table public.work_orders force row level security;
comment on table public.work_orders is
    'controller=garage; retention=garage policy. A vehicle that comes in: what its owner says, what is done, and where it stands. estimate > planned > in_progress <> waiting > ready > invoiced, or cancelled';
comment on column public.work_orders.id is 'internal';
comment on column public.work_orders.garage_id is 'internal';
comment on column public.work_orders.year is 'internal';
comment on column public.work_orders.number is 'internal: per garage and year';
comment on column public.work_orders.reference is 'internal: as it is called at the counter';
comment on column public.work_orders.customer_id is 'internal';
comment on column public.work_orders.vehicle_id is 'internal';
comment on column public.work_orders.status is 'internal';
comment on column public.work_orders.complaint is
    'personal(content; subject=customer; on_erasure=erase): what the customer asks for';
comment on column public.work_orders.customer_note is
    'personal(content; subject=customer; on_erasure=erase): shown to the customer';
comment on column public.work_orders.internal_note is
    'personal(content; subject=customer; on_erasure=erase): never shown to the customer';
comment on column public.work_orders.assigned_to is 'internal: a membership';
comment on column public.work_orders.odometer_in_km is
    'internal: read at check-in; becomes an odometer reading';
comment on column public.work_orders.planned_at is 'internal';
comment on column public.work_orders.expected_ready_at is 'internal';
comment on column public.work_orders.invoice_id is 'internal';
comment on column public.work_orders.revision is
    'internal: a change carries the revision it read plus 1';
comment on column public.work_orders.created_at is 'internal';
comment on column public.work_orders.updated_at is 'internal';
create index work_orders_customer_idx on public.work_orders (garage_id, customer_id);
create index work_orders_vehicle_idx on public.work_orders (garage_id, vehicle_id, created_at desc);
create index work_orders_assignee_idx on public.work_orders (garage_id, assigned_to);
create index work_orders_open_idx on public.work_orders (garage_id, planned_at, id)
    where status not in ('invoiced', 'cancelled');
comment on constraint work_orders_customer_fkey on public.work_orders is
    'customer_not_found: This customer does not exist in this garage | Choose a customer of your own garage';
comment on constraint work_orders_vehicle_fkey on public.work_orders is
    'vehicle_not_found: This vehicle does not exist in this garage | Choose a vehicle of your own garage';
comment on constraint work_orders_assignee_fkey on public.work_orders is
    'member_not_found: Nobody of this garage has this membership | Choose a colleague';
comment on constraint work_orders_status on public.work_orders is
    'work_order_status_unknown: This status is not known | Use estimate, planned, in_progress, waiting, ready or cancelled';
comment on constraint work_orders_invoiced_has_invoice on public.work_orders is
    'work_order_not_invoiced: A work order is invoiced by making its invoice | Call invoice_work_order';
comment on constraint work_orders_complaint on public.work_orders is
    'complaint_invalid: A work order says in 1 to 2000 characters what is asked | Write down what the customer says';
comment on constraint work_orders_customer_note on public.work_orders is
    'note_too_long: A note has at most 1000 characters | Shorten it';
comment on constraint work_orders_internal_note on public.work_orders is
    'note_too_long: An internal note has at most 4000 characters | Shorten it';
comment on constraint work_orders_odometer on public.work_orders is
    'odometer_invalid: An odometer shows 0 to 9999999 kilometres | Check the reading';
comment on constraint work_orders_times on public.work_orders is
    'work_order_times_invalid: A vehicle is ready after it came in, between 2000 and 2100 | Check both times';

create table public.work_order_events (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    work_order_id uuid not null,
    from_status text,
    to_status text not null,
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    unique (garage_id, id),
    foreign key (garage_id, work_order_id) references public.work_orders (garage_id, id)
);
alter table public.work_order_events enable row level security;
alter table public.work_order_events force row level security;
comment on table public.work_order_events is
    'controller=garage; retention=garage policy. When a work order went from one status to another, and by whom';
comment on column public.work_order_events.id is 'internal';
comment on column public.work_order_events.garage_id is 'internal';
comment on column public.work_order_events.work_order_id is 'internal';
comment on column public.work_order_events.from_status is 'internal: null when it was made';
comment on column public.work_order_events.to_status is 'internal';
comment on column public.work_order_events.actor is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column public.work_order_events.created_at is 'internal';
create index work_order_events_work_order_idx
    on public.work_order_events (garage_id, work_order_id, created_at);

create table public.work_order_tasks (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    work_order_id uuid not null,
    position int not null,
    title text not null,
    is_done boolean not null default false,
    assigned_to uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, work_order_id, id),
    constraint work_order_tasks_position_key unique (garage_id, work_order_id, position)
        deferrable initially immediate,
    constraint work_order_tasks_work_order_fkey foreign key (garage_id, work_order_id)
        references public.work_orders (garage_id, id),
    constraint work_order_tasks_assignee_fkey foreign key (garage_id, assigned_to)
        references public.memberships (garage_id, id),
    constraint work_order_tasks_position check (position between 1 and 9999),
    constraint work_order_tasks_title check (title ~ '\S' and length(title) <= 200)
);
alter table public.work_order_tasks enable row level security;
alter table public.work_order_tasks force row level security;
comment on table public.work_order_tasks is
    'controller=garage; retention=garage policy. What is to be done on a work order';
comment on column public.work_order_tasks.id is 'internal';
comment on column public.work_order_tasks.garage_id is 'internal';
comment on column public.work_order_tasks.work_order_id is 'internal';
comment on column public.work_order_tasks.position is 'internal';
comment on column public.work_order_tasks.title is
    'personal(content; subject=customer; on_erasure=erase)';
comment on column public.work_order_tasks.is_done is 'internal';
comment on column public.work_order_tasks.assigned_to is 'internal: a membership';
comment on column public.work_order_tasks.created_at is 'internal';
comment on column public.work_order_tasks.updated_at is 'internal';
create index work_order_tasks_assignee_idx on public.work_order_tasks (garage_id, assigned_to);
comment on constraint work_order_tasks_position_key on public.work_order_tasks is
    'position_taken: Another task of this work order has this position | Number the tasks from 1, each once';
comment on constraint work_order_tasks_work_order_fkey on public.work_order_tasks is
    'work_order_not_found: This work order does not exist in this garage | Look it up in the work list';
comment on constraint work_order_tasks_assignee_fkey on public.work_order_tasks is
    'member_not_found: Nobody of this garage has this membership | Choose a colleague';
comment on constraint work_order_tasks_position on public.work_order_tasks is
    'position_invalid: A position lies between 1 and 9999 | Number the tasks from 1';
comment on constraint work_order_tasks_title on public.work_order_tasks is
    'task_title_invalid: A task has a title of 1 to 200 characters | Say in a few words what is to be done';

create table public.work_order_lines (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    work_order_id uuid not null,
    task_id uuid,
    kind text not null default 'part',
    position int not null,
    description text not null,
    quantity numeric not null,
    unit_price numeric not null,
    discount_percent numeric not null default 0,
    vat_category text not null default 'standard',
    vat_rate numeric not null,
    net_amount numeric(12, 2) not null
        generated always as (round(quantity * unit_price * (100 - discount_percent) / 100, 2)) stored,
    revision int not null default 1,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint work_order_lines_position_key unique (garage_id, work_order_id, position)
        deferrable initially immediate,
    constraint work_order_lines_work_order_fkey foreign key (garage_id, work_order_id)
        references public.work_orders (garage_id, id),
    constraint work_order_lines_task_fkey foreign key (garage_id, work_order_id, task_id)
        references public.work_order_tasks (garage_id, work_order_id, id)
        on delete set null (task_id),
    constraint work_order_lines_kind check (kind in ('labour', 'part')),
    constraint work_order_lines_position check (position between 1 and 9999),
    constraint work_order_lines_discount_percent check (
        discount_percent between 0 and 100 and discount_percent = round(discount_percent, 2)),
    constraint work_order_lines_vat_category check (vat_category in (
        'standard', 'reverse_charge', 'intra_community', 'margin', 'exempt')),
    constraint work_order_lines_rate_fits_category check (
        vat_category = 'standard' or vat_rate = 0)
);
alter table public.work_order_lines enable row level security;
alter table public.work_order_lines force row level security;
comment on table public.work_order_lines is
    'controller=garage; retention=garage policy. Labour and parts of a work order, with the rules of an invoice''s lines, which they become';
comment on column public.work_order_lines.id is 'internal';
comment on column public.work_order_lines.garage_id is 'internal';
comment on column public.work_order_lines.work_order_id is 'internal';
comment on column public.work_order_lines.task_id is 'internal';
comment on column public.work_order_lines.kind is 'internal: labour or part';
comment on column public.work_order_lines.position is 'internal';
comment on column public.work_order_lines.description is
    'personal(content; subject=customer; on_erasure=erase)';
comment on column public.work_order_lines.quantity is 'internal: hours or pieces';
comment on column public.work_order_lines.unit_price is 'internal: EUR without VAT';
comment on column public.work_order_lines.discount_percent is 'internal: per cent off this line';
comment on column public.work_order_lines.vat_category is 'internal: as on invoices';
comment on column public.work_order_lines.vat_rate is 'internal: per cent';
comment on column public.work_order_lines.net_amount is 'internal: EUR without VAT';
comment on column public.work_order_lines.revision is
    'internal: a change carries the revision it read plus 1';
comment on column public.work_order_lines.created_at is 'internal';
create index work_order_lines_task_idx
    on public.work_order_lines (garage_id, work_order_id, task_id);
comment on constraint work_order_lines_position_key on public.work_order_lines is
    'position_taken: Another line of this work order has this position | Number the lines from 1, each once';
comment on constraint work_order_lines_work_order_fkey on public.work_order_lines is
    'work_order_not_found: This work order does not exist in this garage | Look it up in the work list';
comment on constraint work_order_lines_task_fkey on public.work_order_lines is
    'task_not_found: This work order has no such task | Choose a task of the same work order';
comment on constraint work_order_lines_kind on public.work_order_lines is
    'line_kind_unknown: A line is labour or a part | Use labour or part';
comment on constraint work_order_lines_position on public.work_order_lines is
    'position_invalid: A position lies between 1 and 9999 | Number the lines from 1';
comment on constraint work_order_lines_discount_percent on public.work_order_lines is
    'discount_invalid: A discount lies between 0 and 100 per cent and has at most two decimals | Correct the discount';
comment on constraint work_order_lines_vat_category on public.work_order_lines is
    'vat_category_unknown: This VAT category is not known | Use standard, reverse_charge, intra_community, margin or exempt';
comment on constraint work_order_lines_rate_fits_category on public.work_order_lines is
    'vat_rate_not_zero: Only ordinary lines carry VAT | Set the rate to 0, or the category to standard';

create function private.next_work_order_statuses(status text)
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case status
        when 'estimate' then array['planned', 'in_progress', 'cancelled']
        when 'planned' then array['estimate', 'in_progress', 'cancelled']
        when 'in_progress' then array['waiting', 'ready', 'cancelled']
        when 'waiting' then array['in_progress', 'ready', 'cancelled']
        when 'ready' then array['in_progress', 'invoiced', 'cancelled']
        when 'invoiced' then array['ready'] -- when its draft invoice is discarded
        when 'cancelled' then array['estimate', 'planned']
    end;
$$;
comment on function private.next_work_order_statuses is
    'The status machine of work orders: where each status may lead';

create function private.tg_work_orders__validate()
returns trigger
language plpgsql
security definer -- numbers come from a table that members do not write, and colleagues may be hidden
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.assigned_to is not null and exists (select from public.memberships m
        where m.garage_id = new.garage_id and m.id = new.assigned_to
            and m.deactivated_at is not null) then
        perform private.refuse('member_not_active', 'This colleague no longer works here',
            'Choose another', 409);
    end if;
    if tg_op = 'INSERT' then
        if new.status not in ('estimate', 'planned', 'in_progress') then
            perform private.refuse('status_change_not_allowed',
                'A new work order is an estimate, planned or in progress', 'Choose one of these', 409);
        end if;
        new.year := extract(year from private.today_at(new.garage_id));
        return new;
    end if;
    if new.invoice_id is null and old.invoice_id is not null then
        new.status := 'ready';
        new.revision := old.revision + 1;
    end if;
    if new.status <> old.status
        and new.status <> all (private.next_work_order_statuses(old.status)) then
        perform private.refuse('status_change_not_allowed',
            format('A work order that is %s cannot become %s', old.status, new.status),
            'From here it may become: '
                || array_to_string(private.next_work_order_statuses(old.status), ', '), 409);
    elsif old.status in ('invoiced', 'cancelled')
        -- A generated column is not there yet.
        and to_jsonb(new) - '{reference,status,invoice_id,revision,updated_at}'::text[]
            <> to_jsonb(old) - '{reference,status,invoice_id,revision,updated_at}'::text[] then
        perform private.refuse('work_order_is_closed',
            format('This work order is %s and can no longer change', old.status),
            'Discard its draft invoice, or plan it anew', 409);
    end if;
    return new;
end $$;

create function private.tg_work_orders__number()
returns trigger
language plpgsql
security definer -- the series is closed to members
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into public.work_order_series as s (garage_id, year, last_number)
    values (new.garage_id, new.year, 1)
    on conflict (garage_id, year) do update set last_number = s.last_number + 1
    returning s.last_number into new.number;
    return new;
end $$;

create function private.tg_work_orders__record()
returns trigger
language plpgsql
security definer -- events and readings are written by what happened, not by the member
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' or new.status <> old.status then
        insert into public.work_order_events (garage_id, work_order_id, from_status, to_status, actor)
        values (new.garage_id, new.id, case tg_op when 'UPDATE' then old.status end, new.status,
            private.actor());
    end if;
    if new.odometer_in_km is not null
        and (tg_op = 'INSERT' or new.odometer_in_km is distinct from old.odometer_in_km) then
        insert into public.odometer_readings (garage_id, vehicle_id, reading_km, read_on, source)
        values (new.garage_id, new.vehicle_id, new.odometer_in_km, private.today_at(new.garage_id),
            'work_order');
    end if;
    return null;
end $$;

create function private.tg__freeze_with_work_order()
returns trigger
language plpgsql
security definer -- waits for an invoice under way on a row that the caller may not lock
set search_path = pg_catalog, pg_temp
as $$
declare
    parent record;
begin
    for parent in
        select w.status from public.work_orders w
         where (tg_op <> 'INSERT' and w.garage_id = old.garage_id and w.id = old.work_order_id)
            or (tg_op <> 'DELETE' and w.garage_id = new.garage_id and w.id = new.work_order_id)
           for key share
    loop
        if parent.status in ('invoiced', 'cancelled') then
            perform private.refuse('work_order_is_closed',
                format('This work order is %s and can no longer change', parent.status),
                'Discard its draft invoice, or plan it anew', 409);
        end if;
    end loop;
    return case tg_op when 'DELETE' then old else new end;
end $$;
comment on function private.tg__freeze_with_work_order is
    'For tables that belong to a work order: nothing changes once it is invoiced or cancelled';

create trigger _050_require_permission before insert or update or delete on public.work_orders
    for each statement execute function private.tg__require_permission('work_orders.write');
create trigger _100_touch_updated_at before update on public.work_orders
    for each row execute function private.tg__touch_updated_at();
create trigger _200_validate before insert or update on public.work_orders
    for each row execute function private.tg_work_orders__validate();
create trigger _240_number before insert on public.work_orders
    for each row execute function private.tg_work_orders__number();
create trigger _400_record after insert or update on public.work_orders
    for each row execute function private.tg_work_orders__record();
create trigger _910_next_revision before update on public.work_orders
    for each row execute function private.tg__next_revision();
create trigger _050_require_permission before insert or update or delete on public.work_order_tasks
    for each statement execute function private.tg__require_permission('work_orders.write');
create trigger _100_touch_updated_at before update on public.work_order_tasks
    for each row execute function private.tg__touch_updated_at();
create trigger _900_freeze before insert or update or delete on public.work_order_tasks
    for each row execute function private.tg__freeze_with_work_order();
create trigger _050_require_permission before insert or update or delete on public.work_order_lines
    for each statement execute function private.tg__require_permission('work_orders.write');
create trigger _200_validate before insert or update on public.work_order_lines
    for each row execute function private.tg_invoice_lines__validate();
create trigger _900_freeze before insert or update or delete on public.work_order_lines
    for each row execute function private.tg__freeze_with_work_order();
create trigger _910_next_revision before update on public.work_order_lines
    for each row execute function private.tg__next_revision();
create trigger _900_append_only before update or delete or truncate on public.work_order_events
    for each statement execute function private.tg__append_only();
alter table public.work_orders enable always trigger _910_next_revision;
alter table public.work_order_tasks enable always trigger _900_freeze;
alter table public.work_order_lines enable always trigger _900_freeze;
alter table public.work_order_lines enable always trigger _910_next_revision;
alter table public.work_order_events enable always trigger _900_append_only;

create function private.invoice_work_order(work_order_id uuid)
returns public.invoices
language plpgsql
volatile
security definer -- what it was invoiced with is a column no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('work_orders.invoice');
    work_order public.work_orders;
    invoice public.invoices;
begin
    perform private.require('invoices.write');
    select * into work_order from public.work_orders w
     where w.garage_id = garage and w.id = invoice_work_order.work_order_id for update;
    if not found then
        perform private.refuse('work_order_not_found',
            'This work order does not exist in this garage', 'Look it up in the work list', 404);
    elsif work_order.status = 'invoiced' then
        perform private.refuse('work_order_already_invoiced', 'This work order is already invoiced',
            'Look at its invoice', 409);
    elsif work_order.status <> 'ready' then
        perform private.refuse('work_order_not_ready',
            format('This work order is %s', work_order.status),
            'Set it to ready when the work is done', 409);
    elsif not exists (select from public.work_order_lines l
                       where l.garage_id = garage and l.work_order_id = work_order.id) then
        perform private.refuse('work_order_without_lines', 'There is nothing to invoice',
            'Add labour or parts', 409);
    end if;
    insert into public.invoices (garage_id, customer_id, vehicle_id, odometer_km, supply_date, note)
    values (garage, work_order.customer_id, work_order.vehicle_id, work_order.odometer_in_km,
        private.today_at(garage), work_order.customer_note)
    returning * into invoice;
    insert into public.invoice_lines (garage_id, invoice_id, position, description, quantity,
        unit_price, discount_percent, vat_category, vat_rate)
    select garage, invoice.id, row_number() over (order by l.position), l.description, l.quantity,
           l.unit_price, l.discount_percent, l.vat_category, l.vat_rate
      from public.work_order_lines l
     where l.garage_id = garage and l.work_order_id = work_order.id;
    update public.work_orders w
       set status = 'invoiced', invoice_id = invoice.id, revision = w.revision + 1
     where w.garage_id = garage and w.id = work_order.id;
    return invoice;
end $$;
grant execute on function private.invoice_work_order to authenticated;

create function public.invoice_work_order(work_order_id uuid)
returns public.invoices
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select i.* from private.invoice_work_order(invoice_work_order.work_order_id) i;
end;
comment on function public.invoice_work_order is
    'Makes the draft invoice of a work order that is ready: customer, vehicle, odometer and lines. Discarding the draft makes it ready again';
grant execute on function public.invoice_work_order to authenticated;

create view public.work_list with (security_invoker = on) as
    select w.id, w.garage_id, w.reference, w.status, w.planned_at, w.expected_ready_at, w.complaint,
           w.customer_id, coalesce(c.company_name, c.full_name) as customer_name,
           w.vehicle_id, private.plate_on(w.garage_id, w.vehicle_id,
               (select private.today_at(private.garage_id()))) as plate, v.make, v.model,
           w.assigned_to, m.full_name as assigned_name, t.tasks, t.tasks_done, l.net_total,
           w.status <> 'ready' and coalesce(w.expected_ready_at < now(), false) as is_late,
           w.revision
      from public.work_orders w
      left join public.customers c on c.garage_id = w.garage_id and c.id = w.customer_id
      left join public.vehicles v on v.garage_id = w.garage_id and v.id = w.vehicle_id
      left join public.memberships m on m.garage_id = w.garage_id and m.id = w.assigned_to
     cross join lateral (
        select count(*) as tasks, count(*) filter (where k.is_done) as tasks_done
          from public.work_order_tasks k
         where k.garage_id = w.garage_id and k.work_order_id = w.id) t
     cross join lateral (
        select coalesce(sum(n.net_amount), 0) as net_total from public.work_order_lines n
         where n.garage_id = w.garage_id and n.work_order_id = w.id) l
     where w.status not in ('invoiced', 'cancelled');
comment on view public.work_list is
    'The work orders that are open, with what the workshop needs to see; the customer''s name only for who may read customers';

create view public.vehicle_history with (security_invoker = on) as
    select w.garage_id, w.vehicle_id, 'work_order' as kind, w.id,
           (coalesce(w.planned_at, w.created_at) at time zone
               (select g.time_zone from public.garages g where g.id = w.garage_id))::date as happened_on,
           w.reference, w.status, w.complaint as summary, w.odometer_in_km as odometer_km
      from public.work_orders w
    union all
    select i.garage_id, i.vehicle_id, i.kind, i.id, coalesce(i.supply_date, i.issue_date),
           i.invoice_number, i.status, i.note, i.odometer_km
      from public.invoices i
     where i.vehicle_id is not null and i.issued_at is not null
    union all
    select o.garage_id, o.vehicle_id, 'odometer_reading', o.id, o.read_on, null,
           case when o.is_corrected then 'corrected' else o.implausible_because end,
           o.correction_reason, o.reading_km
      from public.odometer_history o
     where o.source = 'staff';
comment on view public.vehicle_history is
    'All that happened to a vehicle in one timeline: work orders, issued invoices and credit notes, odometer readings by staff; of each only what the caller may read';

create view portal.work_orders with (security_invoker = on) as
    select id, garage_id, vehicle_id, reference, status, complaint, customer_note, planned_at,
           expected_ready_at, created_at
      from public.work_orders;
comment on view portal.work_orders is
    'The customer''s own work orders, estimates and cancelled ones aside';
