-- Vehicles, their owners and their odometers: staff read and write, a customer reads what is theirs now.

alter table public.vehicles enable row level security;
alter table public.vehicles force row level security;
revoke all on public.vehicles from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.vehicles');
call private.audit_table('public.vehicles');
call private.check_table('public.vehicles');
create policy tenant_floor on public.vehicles as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.vehicles is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.vehicles to authenticated;
create policy select_member on public.vehicles for select to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.read')));
comment on policy select_member on public.vehicles is 'Members with vehicles.read';
grant insert (
    garage_id, vin, make, model, fuel, first_registered_on, attest_717_reference,
    attest_717_valid_from
) on public.vehicles to authenticated;
create policy insert_member on public.vehicles for insert to authenticated
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy insert_member on public.vehicles is 'Members with vehicles.write';
grant update (
    vin, make, model, fuel, first_registered_on, attest_717_reference, attest_717_valid_from
) on public.vehicles to authenticated;
create policy update_member on public.vehicles for update to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.write')))
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy update_member on public.vehicles is 'Members with vehicles.write';
grant select (
    id, garage_id, vin, make, model, fuel, first_registered_on
) on public.vehicles to portal;
create policy select_customer on public.vehicles for select to portal
    using (garage_id = (select private.portal_garage_id()) and exists (
        select from public.vehicle_ownerships o
         where o.garage_id = vehicles.garage_id and o.vehicle_id = vehicles.id
           and o.customer_id = (select private.portal_customer_id())
           and o.valid_from <= (select private.today_at(private.garage_id()))
           and coalesce(o.valid_to > (select private.today_at(private.garage_id())), true)));
comment on policy select_customer on public.vehicles is
    'A customer, through a live portal session: their own';

alter table public.vehicle_ownerships enable row level security;
alter table public.vehicle_ownerships force row level security;
revoke all on public.vehicle_ownerships
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.vehicle_ownerships');
call private.audit_table('public.vehicle_ownerships');
call private.check_table('public.vehicle_ownerships');
create policy tenant_floor on public.vehicle_ownerships as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.vehicle_ownerships is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.vehicle_ownerships to authenticated;
create policy select_member on public.vehicle_ownerships for select to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.read')));
comment on policy select_member on public.vehicle_ownerships is 'Members with vehicles.read';
grant insert (
    garage_id, vehicle_id, customer_id, valid_from, valid_to
) on public.vehicle_ownerships to authenticated;
create policy insert_member on public.vehicle_ownerships for insert to authenticated
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy insert_member on public.vehicle_ownerships is 'Members with vehicles.write';
grant update (valid_to) on public.vehicle_ownerships to authenticated;
create policy update_member on public.vehicle_ownerships for update to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.write')))
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy update_member on public.vehicle_ownerships is 'Members with vehicles.write';
grant select (
    garage_id, vehicle_id, customer_id, valid_from, valid_to
) on public.vehicle_ownerships to portal;
create policy select_customer on public.vehicle_ownerships for select to portal
    using (garage_id = (select private.portal_garage_id())
        and customer_id = (select private.portal_customer_id()));
comment on policy select_customer on public.vehicle_ownerships is
    'A customer, through a live portal session: their own';

alter table public.odometer_readings enable row level security;
alter table public.odometer_readings force row level security;
revoke all on public.odometer_readings from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.odometer_readings');
call private.audit_table('public.odometer_readings');
call private.check_table('public.odometer_readings');
create policy tenant_floor on public.odometer_readings as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.odometer_readings is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.odometer_readings to authenticated;
create policy select_member on public.odometer_readings for select to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.read')));
comment on policy select_member on public.odometer_readings is 'Members with vehicles.read';
grant insert (
    garage_id, vehicle_id, reading_km, read_on, corrects_id, correction_reason
) on public.odometer_readings to authenticated;
create policy insert_member on public.odometer_readings for insert to authenticated
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy insert_member on public.odometer_readings is 'Members with vehicles.write';
grant select (id, garage_id, vehicle_id, reading_km, read_on, corrects_id)
    on public.odometer_readings to portal;
grant select on public.odometer_history to authenticated;
create policy select_customer on public.odometer_readings for select to portal
    using (garage_id = (select private.portal_garage_id()) and exists (
        select from public.vehicle_ownerships o
         where o.garage_id = odometer_readings.garage_id
             and o.vehicle_id = odometer_readings.vehicle_id
           and o.customer_id = (select private.portal_customer_id())
           and o.valid_from <= odometer_readings.read_on
               and coalesce(o.valid_to > odometer_readings.read_on, true)));
comment on policy select_customer on public.odometer_readings is
    'A customer, through a live portal session: their own';

alter table public.vehicle_plates enable row level security;
alter table public.vehicle_plates force row level security;
revoke all on public.vehicle_plates from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.vehicle_plates');
call private.audit_table('public.vehicle_plates');
call private.check_table('public.vehicle_plates');
create policy tenant_floor on public.vehicle_plates as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.vehicle_plates is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.vehicle_plates to authenticated;
create policy select_member on public.vehicle_plates for select to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.read')));
comment on policy select_member on public.vehicle_plates is 'Members with vehicles.read';
grant select (garage_id, vehicle_id, plate, valid_from, valid_to) on public.vehicle_plates to portal;
create policy select_customer on public.vehicle_plates for select to portal
    using (garage_id = (select private.portal_garage_id()) and exists (
        select from public.vehicle_ownerships o
         where o.garage_id = vehicle_plates.garage_id and o.vehicle_id = vehicle_plates.vehicle_id
           and o.customer_id = (select private.portal_customer_id())
           and daterange(o.valid_from, o.valid_to)
               && daterange(vehicle_plates.valid_from, vehicle_plates.valid_to)));
comment on policy select_customer on public.vehicle_plates is
    'A customer, through a live portal session: of their own vehicles, from their own time';
grant select on portal.vehicles, portal.odometer_readings to portal;
