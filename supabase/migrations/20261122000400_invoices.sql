-- Invoices: drafted by staff, numbered without gaps at issue, frozen afterwards.

create table public.invoice_series (
    garage_id uuid not null references public.garages (id),
    series text not null check (series ~ '^[A-Z]{0,4}$'),
    year int not null,
    last_number int not null default 0,
    last_issue_date date,
    primary key (garage_id, series, year)
);
alter table public.invoice_series enable row level security;
alter table public.invoice_series force row level security;
comment on table public.invoice_series is
    'controller=garage; retention=invoice. The last number given per garage, series and year; taken under a row lock at issue';
comment on column public.invoice_series.garage_id is 'internal';
comment on column public.invoice_series.series is
    'internal: prefix of the number; empty for ordinary invoices';
comment on column public.invoice_series.year is 'internal';
comment on column public.invoice_series.last_number is 'internal';
comment on column public.invoice_series.last_issue_date is
    'internal: a later number never has an earlier date';

create table public.invoices (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    customer_id uuid not null,
    vehicle_id uuid,
    odometer_km int check (odometer_km between 0 and 9999999),
    supply_date date check (supply_date between date '2000-01-01' and date '2100-01-01'),
    note text check (length(note) <= 1000),
    internal_note text check (length(internal_note) <= 4000),
    status text not null generated always as (case when issued_at is null
        then 'draft' else 'issued' end) stored,
    series text not null default '' check (series ~ '^[A-Z]{0,4}$'),
    year int,
    number int,
    invoice_number text,
    issued_at timestamptz,
    issued_by uuid,
    issue_date date,
    due_date date,
    currency text not null default 'EUR' check (currency = 'EUR'),
    net_total numeric(12, 2),
    vat_total numeric(12, 2),
    gross_total numeric(12, 2),
    structured_communication text,
    snapshot jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, series, year, number),
    unique (garage_id, invoice_number),
    unique (garage_id, structured_communication),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id),
    foreign key (garage_id, vehicle_id) references public.vehicles (garage_id, id),
    constraint invoices_issued_is_complete check (
        (issued_at is null) = (invoice_number is null)
        and (issued_at is null or num_nulls(year, number, issue_date, due_date, net_total,
            vat_total,
            gross_total, structured_communication, snapshot) = 0)
        and (issued_at is not null or num_nonnulls(year, number, issue_date, due_date, net_total,
            vat_total,
            gross_total, structured_communication, snapshot) = 0)),
    constraint invoices_gross_is_net_plus_vat check (gross_total = net_total + vat_total)
);
alter table public.invoices enable row level security;
alter table public.invoices force row level security;
comment on table public.invoices is
    'controller=garage; retention=invoice. Drafts and issued invoices; an issued one never changes again';
comment on column public.invoices.id is 'internal';
comment on column public.invoices.garage_id is 'internal';
comment on column public.invoices.customer_id is 'internal';
comment on column public.invoices.vehicle_id is 'internal: null for a sale over the counter';
comment on column public.invoices.odometer_km is
    'personal(vehicle; subject=customer; on_erasure=keep:invoice): kilometres, obligatory with a vehicle';
comment on column public.invoices.supply_date is 'internal: when different from the date of issue';
comment on column public.invoices.note is
    'personal(content; subject=customer; on_erasure=keep:invoice): printed on the invoice';
comment on column public.invoices.internal_note is
    'personal(content; subject=customer; on_erasure=keep:invoice): for the garage alone';
comment on column public.invoices.status is 'internal';
comment on column public.invoices.series is 'internal';
comment on column public.invoices.year is 'internal';
comment on column public.invoices.number is 'internal: place in its series and year, without gaps';
comment on column public.invoices.invoice_number is
    'internal: the number as printed, for example 2026-00001';
comment on column public.invoices.issued_at is 'internal';
comment on column public.invoices.issued_by is
    'personal(account; subject=staff; on_erasure=keep:invoice): user id of who issued it';
comment on column public.invoices.issue_date is
    'internal: date of issue in the garage''s time zone';
comment on column public.invoices.due_date is 'internal';
comment on column public.invoices.currency is 'internal: ISO 4217';
comment on column public.invoices.net_total is 'internal: EUR without VAT';
comment on column public.invoices.vat_total is 'internal: EUR';
comment on column public.invoices.gross_total is 'internal: EUR to pay';
comment on column public.invoices.structured_communication is
    'internal: OGM/VCS as +++ddd/dddd/ddddd+++';
comment on column public.invoices.snapshot is
    'personal(document; subject=customer; on_erasure=keep:invoice): everything the document says, frozen at issue; the renderer''s only input';
comment on column public.invoices.created_at is 'internal';
comment on column public.invoices.updated_at is 'internal';
create index invoices_garage_id_created_at_idx on public.invoices (garage_id, created_at desc, id);
create index invoices_garage_id_issue_date_idx on public.invoices (garage_id, issue_date desc,
    number desc);
create index invoices_customer_idx on public.invoices (garage_id, customer_id, issue_date desc);
create index invoices_vehicle_idx on public.invoices (garage_id, vehicle_id);

create table public.invoice_lines (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    invoice_id uuid not null,
    position int not null check (position between 1 and 9999),
    description text not null,
    quantity numeric not null default 1,
    unit_price numeric not null,
    vat_rate numeric not null default 21,
    net_amount numeric(12, 2) not null generated always as (round(quantity * unit_price, 2)) stored,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, invoice_id, position),
    foreign key (garage_id, invoice_id) references public.invoices (garage_id, id) on delete cascade
);
alter table public.invoice_lines enable row level security;
alter table public.invoice_lines force row level security;
comment on table public.invoice_lines is
    'controller=garage; retention=invoice. What was done or sold';
comment on column public.invoice_lines.id is 'internal';
comment on column public.invoice_lines.garage_id is 'internal';
comment on column public.invoice_lines.invoice_id is 'internal';
comment on column public.invoice_lines.position is 'internal: order on the invoice';
comment on column public.invoice_lines.description is
    'personal(content; subject=customer; on_erasure=keep:invoice)';
comment on column public.invoice_lines.quantity is 'internal';
comment on column public.invoice_lines.unit_price is
    'internal: EUR without VAT, down to a hundredth of a cent';
comment on column public.invoice_lines.vat_rate is 'internal: per cent';
comment on column public.invoice_lines.net_amount is 'internal: EUR without VAT';
comment on column public.invoice_lines.created_at is 'internal';

create table public.invoice_vat_totals (
    garage_id uuid not null,
    invoice_id uuid not null,
    vat_rate numeric(4, 2) not null,
    base numeric(12, 2) not null,
    vat numeric(12, 2) not null,
    primary key (garage_id, invoice_id, vat_rate),
    foreign key (garage_id, invoice_id) references public.invoices (garage_id, id)
);
alter table public.invoice_vat_totals enable row level security;
alter table public.invoice_vat_totals force row level security;
comment on table public.invoice_vat_totals is
    'controller=garage; retention=invoice. Base and VAT per rate of an issued invoice; VAT is computed on the rate''s total, never per line';
comment on column public.invoice_vat_totals.garage_id is 'internal';
comment on column public.invoice_vat_totals.invoice_id is 'internal';
comment on column public.invoice_vat_totals.vat_rate is 'internal: per cent';
comment on column public.invoice_vat_totals.base is 'internal: EUR';
comment on column public.invoice_vat_totals.vat is 'internal: EUR';

create function private.tg_invoices__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from public.customers c where c.garage_id = new.garage_id
        and c.id = new.customer_id) then
        perform private.refuse('customer_not_found', 'This customer does not exist in this garage',
            'Choose a customer of your own garage', 404);
    elsif new.vehicle_id is not null and not exists (
        select from public.vehicles v where v.garage_id = new.garage_id
            and v.id = new.vehicle_id) then
        perform private.refuse('vehicle_not_found', 'This vehicle does not exist in this garage',
            'Choose a vehicle of your own garage', 404);
    end if;
    return new;
end $$;

create function private.tg_invoices__freeze()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'TRUNCATE' or old.issued_at is not null then
        perform private.refuse('invoice_is_issued', 'An issued invoice can no longer change',
            'Correct it with a credit note', 409);
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;

create function private.tg_invoice_lines__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.vat_rate not in (0, 6, 12, 21) then
        perform private.refuse('vat_rate_unknown', 'Belgium has no such VAT rate',
            'Use 21, 12, 6 or 0');
    elsif new.quantity <= 0 or new.quantity > 100000 or new.quantity <> round(new.quantity, 3) then
        perform private.refuse('quantity_invalid',
            'A quantity is more than 0, at most 100000, and has at most three decimals',
            'Leave the line out, or correct the quantity');
    elsif new.unit_price < 0 or new.unit_price > 1000000 or new.unit_price <> round(new.unit_price, 4)
    then
        perform private.refuse('unit_price_invalid',
            'A unit price lies between 0 and 1000000 euro and has at most four decimals',
            'Money is given back with a credit note, never with a negative line');
    elsif new.quantity * new.unit_price > 1000000 then
        perform private.refuse('line_amount_invalid', 'A line amounts to at most 1000000 euro',
            'Check quantity and unit price');
    elsif coalesce(new.description, '') !~ '\S' or length(new.description) > 500 then
        perform private.refuse('description_invalid', 'A description has 1 to 500 characters',
            'Say what was done or sold; longer texts belong in the note');
    end if;
    new.quantity := round(new.quantity, 3);
    new.unit_price := round(new.unit_price, 4);
    new.vat_rate := round(new.vat_rate, 2);
    return new;
end $$;

create function private.tg__freeze_with_invoice()
returns trigger
language plpgsql
security definer -- locks the invoice, which needs more than the caller's column grants
set search_path = pg_catalog, pg_temp
as $$
declare
    issued timestamptz;
begin
    if tg_op = 'TRUNCATE' then
        perform private.refuse('invoice_is_issued', 'An issued invoice can no longer change',
            'Correct it with a credit note', 409);
    end if;
    if tg_op <> 'INSERT' then
        select i.issued_at into issued from public.invoices i
            where i.garage_id = old.garage_id and i.id = old.invoice_id for key share;
    end if;
    if issued is null and tg_op <> 'DELETE' then
        select i.issued_at into issued from public.invoices i
            where i.garage_id = new.garage_id and i.id = new.invoice_id for key share;
    end if;
    if issued is not null then
        perform private.refuse('invoice_is_issued', 'An issued invoice can no longer change',
            'Correct it with a credit note', 409);
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;
comment on function private.tg__freeze_with_invoice is
    'For tables that belong to an invoice: waits for an issue under way, then refuses once it is issued';

create trigger _050_require_permission before insert or update or delete on public.invoices
    for each statement execute function private.tg__require_permission('invoices.write');
create trigger _100_touch_updated_at before update on public.invoices
    for each row execute function private.tg__touch_updated_at();
create trigger _200_validate before insert or update of garage_id, customer_id,
    vehicle_id on public.invoices
    for each row execute function private.tg_invoices__validate();
create trigger _900_freeze before update or delete on public.invoices
    for each row execute function private.tg_invoices__freeze();
create trigger _900_freeze_truncate before truncate on public.invoices
    for each statement execute function private.tg_invoices__freeze();
create trigger _050_require_permission before insert or update or delete on public.invoice_lines
    for each statement execute function private.tg__require_permission('invoices.write');
create trigger _200_validate before insert or update on public.invoice_lines
    for each row execute function private.tg_invoice_lines__validate();
create trigger _900_freeze before insert or update or delete on public.invoice_lines
    for each row execute function private.tg__freeze_with_invoice();
create trigger _900_freeze_truncate before truncate on public.invoice_lines
    for each statement execute function private.tg__freeze_with_invoice();
create trigger _900_freeze before insert or update or delete on public.invoice_vat_totals
    for each row execute function private.tg__freeze_with_invoice();
create trigger _900_freeze_truncate before truncate on public.invoice_vat_totals
    for each statement execute function private.tg__freeze_with_invoice();
alter table public.invoices enable always trigger _900_freeze;
alter table public.invoices enable always trigger _900_freeze_truncate;
alter table public.invoice_lines enable always trigger _900_freeze;
alter table public.invoice_lines enable always trigger _900_freeze_truncate;
alter table public.invoice_vat_totals enable always trigger _900_freeze;
alter table public.invoice_vat_totals enable always trigger _900_freeze_truncate;

create function private.refuse_unissuable(invoice public.invoices)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if invoice.issued_at is not null then
        perform private.refuse('invoice_already_issued', format('This invoice is issued: %s',
            invoice.invoice_number),
            'Correct it with a credit note', 409);
    elsif not exists (select from public.invoice_lines l where l.garage_id = invoice.garage_id
        and l.invoice_id = invoice.id) then
        perform private.refuse('invoice_without_lines', 'An invoice needs at least one line',
            'Add what was done or sold');
    elsif (select sum(l.net_amount) from public.invoice_lines l
            where l.garage_id = invoice.garage_id and l.invoice_id = invoice.id) <= 0 then
        perform private.refuse('invoice_total_not_positive',
            'The total of an invoice must be more than 0',
            'Check the unit prices');
    elsif invoice.vehicle_id is not null and (invoice.odometer_km is null or not exists (
        select from public.vehicles v where v.id = invoice.vehicle_id and v.vin is not null)) then
        perform private.refuse('vin_and_odometer_required',
            'An invoice for work on a vehicle states its VIN and its odometer reading',
            'Fill in the VIN of the vehicle and the kilometres on the invoice');
    elsif invoice.supply_date > private.today_at(invoice.garage_id) then
        perform private.refuse('supply_date_in_future', 'The date of supply lies in the future',
            'Issue the invoice when the work is done');
    end if;
end $$;
comment on function private.refuse_unissuable is
    'What stands in the way of issuing. VIN and odometer: law of 11 June 2004 against odometer fraud';

create function private.invoice_snapshot(invoice public.invoices)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'schema', 1, 'kind', 'invoice', 'number', invoice.invoice_number,
        'issue_date', invoice.issue_date,
        'supply_date', coalesce(invoice.supply_date, invoice.issue_date),
        'due_date', invoice.due_date,
        'locale', c.locale, 'currency', invoice.currency,
        'garage', jsonb_build_object(
            'legal_name', g.legal_name, 'trade_name', g.trade_name, 'vat_number', g.vat_number,
            'enterprise_number', g.enterprise_number, 'street', g.street,
            'postal_code', g.postal_code,
            'city', g.city, 'country_code', g.country_code, 'email', g.email, 'phone', g.phone,
                'iban', g.iban,
            'bic', g.bic, 'accent_color', g.accent_color, 'logo_sha256', g.logo_sha256),
        'customer', jsonb_build_object(
            'name', c.full_name, 'company_name', c.company_name, 'street', c.street,
            'postal_code', c.postal_code,
            'city', c.city, 'country_code', c.country_code, 'vat_number', c.vat_number),
        'vehicle', (
            select jsonb_build_object('plate', v.plate, 'make', v.make, 'model', v.model, 'vin',
                v.vin,
                'odometer_km', invoice.odometer_km)
              from public.vehicles v where v.garage_id = invoice.garage_id
                  and v.id = invoice.vehicle_id),
        'lines', (
            select jsonb_agg(jsonb_build_object(
                'position', l.position, 'description', l.description, 'quantity', l.quantity::text,
                'unit_price', l.unit_price::text, 'vat_rate', l.vat_rate::text,
                'net_amount', l.net_amount::text) order by l.position)
              from public.invoice_lines l where l.garage_id = invoice.garage_id
                  and l.invoice_id = invoice.id),
        'vat', (
            select jsonb_agg(jsonb_build_object(
                'rate', t.vat_rate::text, 'base', t.base::text, 'vat', t.vat::text)
                    order by t.vat_rate desc)
              from public.invoice_vat_totals t where t.garage_id = invoice.garage_id
                  and t.invoice_id = invoice.id),
        'totals', jsonb_build_object('net', invoice.net_total::text, 'vat', invoice.vat_total::text,
            'gross', invoice.gross_total::text),
        'structured_communication', invoice.structured_communication, 'note', invoice.note)
      from public.garages g, public.customers c
     where g.id = invoice.garage_id and c.garage_id = invoice.garage_id
         and c.id = invoice.customer_id;
$$;
comment on function private.invoice_snapshot is
    'Everything the document says, numbers as text; taken once, at issue';

create function private.issue_invoice(invoice_id uuid)
returns public.invoices
language plpgsql
volatile
security definer -- numbers, totals and snapshot are columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage public.garages;
    invoice public.invoices;
begin
    select * into garage from public.garages g where g.id = private.require('invoices.issue');
    select * into invoice from public.invoices i
     where i.garage_id = garage.id and i.id = issue_invoice.invoice_id for update;
    if not found then
        perform private.refuse('invoice_not_found', 'This invoice does not exist',
            'Look it up in the list', 404);
    end if;
    perform from public.vehicles v
     where v.garage_id = garage.id and v.id = invoice.vehicle_id for share;
    perform private.refuse_unissuable(invoice);

    insert into public.invoice_vat_totals (garage_id, invoice_id, vat_rate, base, vat)
    select l.garage_id, l.invoice_id, l.vat_rate, sum(l.net_amount),
           round(sum(l.net_amount) * l.vat_rate / 100, 2)
      from public.invoice_lines l
     where l.garage_id = garage.id and l.invoice_id = invoice.id
     group by l.garage_id, l.invoice_id, l.vat_rate;
    select sum(t.base), sum(t.vat), sum(t.base) + sum(t.vat)
      into invoice.net_total, invoice.vat_total, invoice.gross_total
      from public.invoice_vat_totals t where t.garage_id = garage.id and t.invoice_id = invoice.id;

    invoice.issued_at := now();
    invoice.issued_by := auth.uid();
    invoice.issue_date := private.today_at(garage.id);
    invoice.year := extract(year from invoice.issue_date);
    insert into public.invoice_series as s (garage_id, series, year, last_number, last_issue_date)
    values (garage.id, invoice.series, invoice.year, 1, invoice.issue_date)
    on conflict (garage_id, series, year) do update
        set last_number = s.last_number + 1,
            last_issue_date = greatest(s.last_issue_date, excluded.last_issue_date)
    returning s.last_number, s.last_issue_date into invoice.number, invoice.issue_date;
    invoice.due_date := invoice.issue_date + garage.payment_days;
    invoice.invoice_number := format('%s%s-%s', invoice.series, invoice.year,
        lpad(invoice.number::text, greatest(5, length(invoice.number::text)), '0'));
    invoice.structured_communication :=
        private.structured_communication((invoice.year % 100)::bigint * 100000000 + invoice.number);

    update public.invoices i
       set issued_at = invoice.issued_at, issued_by = invoice.issued_by,
           issue_date = invoice.issue_date,
           due_date = invoice.due_date, year = invoice.year, number = invoice.number,
           invoice_number = invoice.invoice_number, net_total = invoice.net_total,
           vat_total = invoice.vat_total, gross_total = invoice.gross_total,
           structured_communication = invoice.structured_communication,
           snapshot = private.invoice_snapshot(invoice)
     where i.garage_id = garage.id and i.id = invoice.id
    returning * into invoice;
    return invoice;
end $$;
comment on function private.issue_invoice is
    'Numbers, totals, structured communication and snapshot in one transaction; the series row is locked last';
grant execute on function private.issue_invoice to authenticated;

-- What follows from an issue, whoever did it.
create function private.tg_invoices__record_odometer()
returns trigger
language plpgsql
security definer -- the reading is the invoice's, not the member's
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into public.odometer_readings (garage_id, vehicle_id, reading_km, read_on, source)
    values (new.garage_id, new.vehicle_id, new.odometer_km, coalesce(new.supply_date,
        new.issue_date), 'invoice');
    return null;
end $$;
create trigger _400_record_odometer after update on public.invoices
    for each row when (old.issued_at is null and new.issued_at is not null
        and new.vehicle_id is not null)
    execute function private.tg_invoices__record_odometer();

create function public.issue_invoice(invoice_id uuid)
returns public.invoices
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select i.* from private.issue_invoice(issue_invoice.invoice_id) i;
end;
comment on function public.issue_invoice is
    'Issues a draft: gapless number, VAT per rate, structured communication and snapshot; it never changes again';
grant execute on function public.issue_invoice to authenticated;
