-- Vehicles over time: plates follow the person, so a vehicle has one after the other; owners change;
-- odometer readings are corrected by another reading, and implausible ones are kept and flagged.

create table public.vehicle_plates (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    vehicle_id uuid not null,
    plate text not null,
    plate_key text generated always as (regexp_replace(plate, '[^A-Z0-9]', '', 'g')) stored,
    valid_from date not null,
    valid_to date,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint vehicle_plates_vehicle_fkey foreign key (garage_id, vehicle_id)
        references public.vehicles (garage_id, id),
    constraint vehicle_plates_plate check (plate ~ '^[A-Z0-9][A-Z0-9 .-]{0,14}$'),
    constraint vehicle_plates_interval_is_forward check (
        valid_from between date '1900-01-01' and date '2100-01-01' and valid_to > valid_from),
    constraint vehicle_plates_one_plate_at_a_time exclude using gist (
        garage_id with =, vehicle_id with =, daterange(valid_from, valid_to) with &&),
    constraint vehicle_plates_one_vehicle_at_a_time exclude using gist (
        garage_id with =, plate_key with =, daterange(valid_from, valid_to) with &&)
);
alter table public.vehicle_plates enable row level security;
alter table public.vehicle_plates force row level security;
comment on table public.vehicle_plates is
    'controller=garage; retention=garage policy. Which plate a vehicle bore from when to when; a Belgian plate follows its holder to the next vehicle';
comment on column public.vehicle_plates.id is 'internal';
comment on column public.vehicle_plates.garage_id is 'internal';
comment on column public.vehicle_plates.vehicle_id is 'internal';
comment on column public.vehicle_plates.plate is
    'personal(vehicle; subject=customer; on_erasure=erase): as it is written on the car';
comment on column public.vehicle_plates.plate_key is
    'personal(vehicle; subject=customer; on_erasure=erase): letters and digits only, for looking up';
comment on column public.vehicle_plates.valid_from is 'internal';
comment on column public.vehicle_plates.valid_to is
    'internal: first day the vehicle no longer bore it; null while it does';
comment on column public.vehicle_plates.created_at is 'internal';
create index vehicle_plates_vehicle_idx on public.vehicle_plates (garage_id, vehicle_id, valid_from desc);
comment on constraint vehicle_plates_plate on public.vehicle_plates is
    'plate_invalid: A plate has 1 to 15 letters, digits, dashes, dots and spaces | Write it as it is on the car, for example 1-ABC-234';

insert into public.vehicle_plates (garage_id, vehicle_id, plate, valid_from)
select v.garage_id, v.id, v.plate, coalesce(v.first_registered_on, v.created_at::date)
  from public.vehicles v where v.plate is not null;

create function private.plate_on(garage_id uuid, vehicle_id uuid, day date)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select p.plate from public.vehicle_plates p
     where p.garage_id = plate_on.garage_id and p.vehicle_id = plate_on.vehicle_id
       and p.valid_from <= plate_on.day and coalesce(p.valid_to > plate_on.day, true);
end;
comment on function private.plate_on is
    'The plate a vehicle bore on a day, as far as the caller may see; else null';
grant execute on function private.plate_on to authenticated, portal;

create function public.plate(public.vehicles)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select private.plate_on($1.garage_id, $1.id, private.today_at($1.garage_id));
end;
comment on function public.plate is
    'The plate the vehicle bears today: a computed column, select=*,plate';
grant execute on function public.plate to authenticated;

drop view portal.vehicles;
drop trigger _200_validate on public.vehicles;
alter table public.vehicles drop column plate;
alter table public.vehicles
    add column attest_717_reference text,
    add column attest_717_valid_from date,
    add constraint vehicles_attest_717_is_whole check (
        (attest_717_reference is null) = (attest_717_valid_from is null)),
    add constraint vehicles_attest_717_reference check (
        length(attest_717_reference) between 1 and 40);
comment on column public.vehicles.attest_717_reference is
    'personal(health; subject=customer; on_erasure=keep:invoice): reference of the VAT office''s attest 717, which grants a person with a disability the 6 % rate for this car';
comment on column public.vehicles.attest_717_valid_from is
    'personal(health; subject=customer; on_erasure=keep:invoice)';
comment on constraint vehicles_attest_717_is_whole on public.vehicles is
    'attest_717_incomplete: An attest 717 has a reference and a date | Fill in both, or neither';
comment on constraint vehicles_attest_717_reference on public.vehicles is
    'attest_717_incomplete: The reference of an attest 717 has 1 to 40 characters | Copy it from the attest';
comment on constraint vehicles_make_check on public.vehicles is
    'make_invalid: A make has 1 to 60 characters | Shorten it';
comment on constraint vehicles_model_check on public.vehicles is
    'model_invalid: A model has 1 to 60 characters | Shorten it';
comment on constraint vehicles_fuel_check on public.vehicles is
    'fuel_unknown: This fuel is not known | Use petrol, diesel, electric, hybrid, lpg, cng or hydrogen';
alter table public.vehicles add constraint vehicles_first_registered_on check (
    first_registered_on between date '1886-01-01' and date '2100-01-01');
comment on constraint vehicles_first_registered_on on public.vehicles is
    'date_invalid: No car was registered on that date | Check the year';
comment on constraint vehicles_garage_id_vin_key on public.vehicles is
    'vin_taken: This garage has a vehicle with this VIN already | Look it up and use that one';

create or replace function private.tg_vehicles__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.vin := upper(translate(new.vin, ' -', ''));
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
create trigger _200_validate before insert or update of vin, first_registered_on on public.vehicles
    for each row execute function private.tg_vehicles__validate();
call private.audit_table('public.vehicles'); -- its body named the dropped column

create view portal.vehicles with (security_invoker = on) as
    select id, garage_id,
           private.plate_on(garage_id, id, (select private.today_at(private.garage_id()))) as plate,
           vin, make, model, fuel, first_registered_on
      from public.vehicles;
comment on view portal.vehicles is 'The vehicles the customer owns now';

create function public.vin_warning(public.vehicles)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
begin atomic
    select 'check_digit'
      from (select sum(
                (strpos('0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ', letter) - 1) % 10
                    * (array[8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2])[place]) % 11
              from regexp_split_to_table($1.vin, '') with ordinality as vin (letter, place)
           ) as check_digit (value)
     where length($1.vin) = 17
       and substr($1.vin, 9, 1) <> case value when 10 then 'X' else value::text end;
end;
comment on function public.vin_warning is
    'check_digit when the VIN''s ninth character is not its check digit (49 CFR 565.15), which European makers need not use: look twice, no more; else null. A computed column';
grant execute on function public.vin_warning to authenticated;

create function private.register_plate(vehicle_id uuid, plate text, valid_from date)
returns public.vehicle_plates
language plpgsql
volatile
security definer -- intervals are closed and opened together, which no column grant could
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('vehicles.write');
    written text := upper(btrim(plate));
    day date := coalesce(valid_from, private.today_at(garage));
    registered public.vehicle_plates;
begin
    perform from public.vehicles v
     where v.garage_id = garage and v.id = register_plate.vehicle_id for update;
    if not found then
        perform private.refuse('vehicle_not_found', 'This vehicle does not exist in this garage',
            'Choose a vehicle of your own garage', 404);
    elsif day > private.today_at(garage) then
        perform private.refuse('date_in_future', 'This date lies in the future',
            'Record it on the day it happens');
    end if;
    update public.vehicle_plates p set valid_to = day
     where p.garage_id = garage and p.valid_to is null and p.valid_from < day
       and (p.vehicle_id = register_plate.vehicle_id
            or p.plate_key = regexp_replace(written, '[^A-Z0-9]', '', 'g'));
    if exists (select from public.vehicle_plates p
                where p.garage_id = garage and coalesce(p.valid_to > day, true)
                  and (p.vehicle_id = register_plate.vehicle_id
                       or p.plate_key = regexp_replace(written, '[^A-Z0-9]', '', 'g'))) then
        perform private.refuse('plate_overlaps',
            'On that date the vehicle bore another plate, or another vehicle bore this one',
            'Give a later date', 409);
    end if;
    insert into public.vehicle_plates (garage_id, vehicle_id, plate, valid_from)
    values (garage, register_plate.vehicle_id, written, day)
    returning * into registered;
    return registered;
end $$;
grant execute on function private.register_plate to authenticated;

create function public.register_plate(vehicle_id uuid, plate text, valid_from date default null)
returns public.vehicle_plates
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select p.* from private.register_plate(register_plate.vehicle_id, register_plate.plate,
        register_plate.valid_from) p;
end;
comment on function public.register_plate is
    'Gives a vehicle a plate from a date on (default: today where the garage is): its former plate ends that day, and so does this plate on another vehicle';
grant execute on function public.register_plate to authenticated;

-- Owners.
comment on constraint vehicle_ownerships_interval_is_forward on public.vehicle_ownerships is
    'interval_invalid: An ownership ends after it began, between 1900 and 2100 | Check both dates';
comment on constraint vehicle_ownerships_garage_id_vehicle_id_fkey on public.vehicle_ownerships is
    'vehicle_not_found: This vehicle does not exist in this garage | Choose a vehicle of your own garage';
comment on constraint vehicle_ownerships_garage_id_customer_id_fkey on public.vehicle_ownerships is
    'customer_not_found: This customer does not exist in this garage | Choose a customer of your own garage';

create function private.tg_vehicle_ownerships__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Two at once are held apart by the exclusion constraint.
    if new.valid_from < coalesce(new.valid_to, 'infinity') and exists (
        select from public.vehicle_ownerships o
         where o.garage_id = new.garage_id and o.vehicle_id = new.vehicle_id and o.id <> new.id
           and daterange(o.valid_from, o.valid_to) && daterange(new.valid_from, new.valid_to)) then
        perform private.refuse('ownership_overlaps', 'In that time the vehicle has another owner',
            'End the other ownership first, or transfer the vehicle', 409);
    end if;
    return new;
end $$;
create trigger _200_validate before insert or update on public.vehicle_ownerships
    for each row execute function private.tg_vehicle_ownerships__validate();

create function private.transfer_vehicle(vehicle_id uuid, customer_id uuid, transferred_on date)
returns public.vehicle_ownerships
language plpgsql
volatile
security definer -- ends one ownership and begins the next in one go
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('vehicles.write');
    day date := coalesce(transferred_on, private.today_at(garage));
    ownership public.vehicle_ownerships;
begin
    perform from public.vehicles v
     where v.garage_id = garage and v.id = transfer_vehicle.vehicle_id for update;
    if not found then
        perform private.refuse('vehicle_not_found', 'This vehicle does not exist in this garage',
            'Choose a vehicle of your own garage', 404);
    elsif not exists (select from public.customers c
                       where c.garage_id = garage and c.id = transfer_vehicle.customer_id) then
        perform private.refuse('customer_not_found', 'This customer does not exist in this garage',
            'Choose a customer of your own garage', 404);
    elsif day > private.today_at(garage) then
        perform private.refuse('date_in_future', 'This date lies in the future',
            'Record it on the day it happens');
    end if;
    update public.vehicle_ownerships o set valid_to = day
     where o.garage_id = garage and o.vehicle_id = transfer_vehicle.vehicle_id
       and o.valid_to is null and o.valid_from < day;
    insert into public.vehicle_ownerships (garage_id, vehicle_id, customer_id, valid_from)
    values (garage, transfer_vehicle.vehicle_id, transfer_vehicle.customer_id, day)
    returning * into ownership;
    return ownership;
end $$;
grant execute on function private.transfer_vehicle to authenticated;

create function public.transfer_vehicle(vehicle_id uuid, customer_id uuid,
    transferred_on date default null)
returns public.vehicle_ownerships
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select o.* from private.transfer_vehicle(transfer_vehicle.vehicle_id,
        transfer_vehicle.customer_id, transfer_vehicle.transferred_on) o;
end;
comment on function public.transfer_vehicle is
    'Makes a customer the owner of a vehicle from a date on (default: today where the garage is); the former owner''s time ends that day';
grant execute on function public.transfer_vehicle to authenticated;

-- Odometers.
alter table public.odometer_readings
    drop constraint odometer_readings_source_check,
    add constraint odometer_readings_source check (source in ('staff', 'invoice', 'work_order')),
    add column corrects_id uuid,
    add column correction_reason text,
    add constraint odometer_readings_vehicle_key unique (garage_id, vehicle_id, id),
    add constraint odometer_readings_corrected_once_key unique (garage_id, corrects_id),
    add constraint odometer_readings_corrects_fkey foreign key (garage_id, vehicle_id, corrects_id)
        references public.odometer_readings (garage_id, vehicle_id, id),
    add constraint odometer_readings_correction_has_reason check (
        (corrects_id is null) = (correction_reason is null)),
    add constraint odometer_readings_correction_reason check (
        length(correction_reason) between 1 and 200);
create index odometer_readings_corrects_idx
    on public.odometer_readings (garage_id, vehicle_id, corrects_id);
comment on column public.odometer_readings.corrects_id is
    'internal: the wrong reading that this one replaces; both are kept';
comment on column public.odometer_readings.correction_reason is 'internal: why it was wrong';
comment on constraint odometer_readings_reading_km_check on public.odometer_readings is
    'odometer_invalid: An odometer shows 0 to 9999999 kilometres | Check the reading';
comment on constraint odometer_readings_read_on_check on public.odometer_readings is
    'date_invalid: A reading is dated between 1900 and 2100 | Check the date';
comment on constraint odometer_readings_garage_id_vehicle_id_fkey on public.odometer_readings is
    'vehicle_not_found: This vehicle does not exist in this garage | Choose a vehicle of your own garage';
comment on constraint odometer_readings_corrects_fkey on public.odometer_readings is
    'reading_not_found: This vehicle has no such reading | Choose the reading that was wrong';
comment on constraint odometer_readings_corrected_once_key on public.odometer_readings is
    'reading_corrected_already: This reading was corrected already | Correct the correction instead';
comment on constraint odometer_readings_correction_has_reason on public.odometer_readings is
    'correction_reason_missing: A correction says which reading was wrong, and why | Fill in both, or neither';
comment on constraint odometer_readings_correction_reason on public.odometer_readings is
    'correction_reason_missing: The reason of a correction has 1 to 200 characters | Say in a few words what was wrong';

create view public.odometer_history with (security_invoker = on) as
    select r.id, r.garage_id, r.vehicle_id, r.reading_km, r.read_on, r.source, r.corrects_id,
           r.correction_reason, r.created_at, r.is_corrected, doubt.reason as implausible_because
      from (
        select o.*, later.id is not null as is_corrected,
               max(o.reading_km) filter (where later.id is null) over earlier as highest_before,
               lag(o.reading_km) over (partition by o.garage_id, o.vehicle_id, later.id is null
                   order by o.read_on, o.created_at, o.id) as km_before,
               lag(o.read_on) over (partition by o.garage_id, o.vehicle_id, later.id is null
                   order by o.read_on, o.created_at, o.id) as day_before
          from public.odometer_readings o
          left join public.odometer_readings later
            on later.garage_id = o.garage_id and later.vehicle_id = o.vehicle_id
                and later.corrects_id = o.id
        window earlier as (partition by o.garage_id, o.vehicle_id
            order by o.read_on, o.created_at, o.id
            rows between unbounded preceding and 1 preceding)
      ) r
     cross join lateral (select case
        when r.is_corrected then null
        when r.read_on > (select private.today_at(private.garage_id())) then 'future'
        when r.reading_km < r.highest_before then 'falling'
        when r.reading_km - r.km_before > 1000 * greatest(r.read_on - r.day_before, 1) then 'too_fast'
        end) doubt (reason);
comment on view public.odometer_history is
    'Readings with what speaks against them: falling, too_fast (more than 1,000 km a day) or future; null is plausible. A corrected reading stays, and counts no more';

create or replace view portal.odometer_readings with (security_invoker = on) as
    select r.id, r.garage_id, r.vehicle_id, r.reading_km, r.read_on from public.odometer_readings r
     where not exists (select from public.odometer_readings later
                        where later.garage_id = r.garage_id and later.vehicle_id = r.vehicle_id
                            and later.corrects_id = r.id);
