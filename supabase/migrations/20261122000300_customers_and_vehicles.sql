-- Whom a garage works for, and on what: customers, vehicles, who owned which vehicle when, and what
-- the odometer said.

create extension if not exists btree_gist with schema extensions;

create table public.customers (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    kind text not null default 'person' check (kind in ('person', 'company')),
    full_name text not null check (length(full_name) between 1 and 120),
    company_name text check (length(company_name) between 1 and 120),
    email text,
    phone text,
    street text check (length(street) between 1 and 120),
    postal_code text check (length(postal_code) between 1 and 12),
    city text check (length(city) between 1 and 80),
    country_code text not null default 'BE' check (country_code ~ '^[A-Z]{2}$'),
    vat_number text,
    locale text not null default 'nl' check (locale in ('nl', 'fr', 'en')),
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint customers_company_has_name check (kind = 'person' or company_name is not null)
);
alter table public.customers enable row level security;
alter table public.customers force row level security;
comment on table public.customers is
    'controller=garage; retention=garage policy. Private persons and companies a garage works for';
comment on column public.customers.id is 'internal';
comment on column public.customers.garage_id is 'internal';
comment on column public.customers.kind is 'internal';
comment on column public.customers.full_name is
    'personal(name; subject=customer; on_erasure=anonymise): a person, or a company''s contact';
comment on column public.customers.company_name is
    'personal(name; subject=customer; on_erasure=anonymise)';
comment on column public.customers.email is 'personal(contact; subject=customer; on_erasure=erase)';
comment on column public.customers.phone is
    'personal(contact; subject=customer; on_erasure=erase): E.164';
comment on column public.customers.street is
    'personal(address; subject=customer; on_erasure=erase)';
comment on column public.customers.postal_code is
    'personal(address; subject=customer; on_erasure=erase)';
comment on column public.customers.city is 'personal(address; subject=customer; on_erasure=erase)';
comment on column public.customers.country_code is
    'personal(address; subject=customer; on_erasure=erase): ISO 3166-1 alpha-2';
comment on column public.customers.vat_number is
    'personal(fiscal; subject=customer; on_erasure=erase)';
comment on column public.customers.locale is
    'personal(preference; subject=customer; on_erasure=erase): language the customer is written to in';
comment on column public.customers.archived_at is 'internal: customers are archived, never deleted';
comment on column public.customers.created_at is 'internal';
comment on column public.customers.updated_at is 'internal';
create index customers_garage_id_full_name_idx on public.customers (garage_id, full_name);

create table public.vehicles (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    vin text,
    plate text check (length(plate) between 1 and 15),
    make text not null check (length(make) between 1 and 60),
    model text not null check (length(model) between 1 and 60),
    fuel text check (fuel in ('petrol', 'diesel', 'electric', 'hybrid', 'lpg', 'cng', 'hydrogen')),
    first_registered_on date,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, vin)
);
alter table public.vehicles enable row level security;
alter table public.vehicles force row level security;
comment on table public.vehicles is
    'controller=garage; retention=garage policy. Vehicles a garage works on';
comment on column public.vehicles.id is 'internal';
comment on column public.vehicles.garage_id is 'internal';
comment on column public.vehicles.vin is
    'personal(vehicle; subject=customer; on_erasure=keep:invoice): vehicle identification number, ISO 3779';
comment on column public.vehicles.plate is
    'personal(vehicle; subject=customer; on_erasure=erase): current registration plate';
comment on column public.vehicles.make is 'internal';
comment on column public.vehicles.model is 'internal';
comment on column public.vehicles.fuel is 'internal';
comment on column public.vehicles.first_registered_on is 'internal';
comment on column public.vehicles.created_at is 'internal';
comment on column public.vehicles.updated_at is 'internal';
create index vehicles_garage_id_plate_idx on public.vehicles (garage_id, plate);

create table public.vehicle_ownerships (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    vehicle_id uuid not null,
    customer_id uuid not null,
    valid_from date not null,
    valid_to date,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, vehicle_id) references public.vehicles (garage_id, id),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id),
    constraint vehicle_ownerships_interval_is_forward check (
        valid_from between date '1900-01-01' and date '2100-01-01' and valid_to > valid_from
        and valid_to <= date '2100-01-01'),
    constraint vehicle_ownerships_one_owner_at_a_time exclude using gist (
        garage_id with =, vehicle_id with =, daterange(valid_from, valid_to) with &&)
);
alter table public.vehicle_ownerships enable row level security;
alter table public.vehicle_ownerships force row level security;
comment on table public.vehicle_ownerships is
    'controller=garage; retention=garage policy. Who owned which vehicle from when to when; a sold car is no longer the seller''s';
comment on column public.vehicle_ownerships.id is 'internal';
comment on column public.vehicle_ownerships.garage_id is 'internal';
comment on column public.vehicle_ownerships.vehicle_id is 'internal';
comment on column public.vehicle_ownerships.customer_id is 'internal';
comment on column public.vehicle_ownerships.valid_from is 'internal';
comment on column public.vehicle_ownerships.valid_to is
    'internal: first day the customer no longer owned it; null while they do';
comment on column public.vehicle_ownerships.created_at is 'internal';
create index vehicle_ownerships_vehicle_idx on public.vehicle_ownerships (garage_id, vehicle_id);
create index vehicle_ownerships_customer_idx on public.vehicle_ownerships (garage_id, customer_id);

create table public.odometer_readings (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    vehicle_id uuid not null,
    reading_km int not null check (reading_km between 0 and 9999999),
    read_on date not null check (read_on between date '1900-01-01' and date '2100-01-01'),
    source text not null default 'staff' check (source in ('staff', 'invoice')),
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, vehicle_id) references public.vehicles (garage_id, id)
);
alter table public.odometer_readings enable row level security;
alter table public.odometer_readings force row level security;
comment on table public.odometer_readings is
    'controller=garage; retention=garage policy. What the odometer of a vehicle said, when, and who says so';
comment on column public.odometer_readings.id is 'internal';
comment on column public.odometer_readings.garage_id is 'internal';
comment on column public.odometer_readings.vehicle_id is 'internal';
comment on column public.odometer_readings.reading_km is
    'personal(vehicle; subject=customer; on_erasure=keep:invoice): kilometres';
comment on column public.odometer_readings.read_on is 'internal';
comment on column public.odometer_readings.source is 'internal';
comment on column public.odometer_readings.created_at is 'internal';
create index odometer_readings_vehicle_idx on public.odometer_readings (garage_id, vehicle_id,
    read_on desc);

create function private.tg_customers__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.email := lower(trim(new.email));
    new.vat_number := upper(translate(new.vat_number, ' .-', ''));
    if not private.is_email(new.email) then
        perform private.refuse('email_invalid', 'This is not an e-mail address',
            'Write it as name@example.be');
    elsif not private.is_phone(new.phone) then
        perform private.refuse('phone_invalid', 'This is not an international phone number',
            'Write it as +32470123456');
    elsif not private.is_vat_number(new.vat_number) then
        perform private.refuse('vat_number_invalid', 'This is not a valid VAT number',
            'Write the country code and the digits without points, for example BE0403170701');
    end if;
    return new;
end $$;

create function private.tg_vehicles__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.vin := upper(translate(new.vin, ' -', ''));
    new.plate := upper(trim(new.plate));
    if not private.is_vin(new.vin) then
        perform private.refuse('vin_invalid', 'This is not a vehicle identification number',
            'A VIN has 17 letters and digits (fewer before 1981) and never I, O or Q');
    elsif length(new.vin) < 17
        and coalesce(new.first_registered_on, current_date) >= date '1981-01-01' then
        perform private.refuse('vin_too_short',
            'This identification number has fewer than 17 characters',
            'Only a vehicle first registered before 1981 may have a shorter one: fill in that date first');
    end if;
    return new;
end $$;

create trigger _050_require_permission before insert or update on public.customers
    for each statement execute function private.tg__require_permission('customers.write');
create trigger _100_touch_updated_at before update on public.customers
    for each row execute function private.tg__touch_updated_at();
create trigger _200_validate before insert or update of email, phone, vat_number on public.customers
    for each row execute function private.tg_customers__validate();
create trigger _050_require_permission before insert or update on public.vehicles
    for each statement execute function private.tg__require_permission('vehicles.write');
create trigger _100_touch_updated_at before update on public.vehicles
    for each row execute function private.tg__touch_updated_at();
create trigger _200_validate before insert or update of vin, plate,
    first_registered_on on public.vehicles
    for each row execute function private.tg_vehicles__validate();
create trigger _050_require_permission before insert or update on public.vehicle_ownerships
    for each statement execute function private.tg__require_permission('vehicles.write');
create trigger _050_require_permission before insert or update on public.odometer_readings
    for each statement execute function private.tg__require_permission('vehicles.write');
