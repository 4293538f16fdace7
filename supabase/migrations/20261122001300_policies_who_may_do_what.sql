-- who may do what
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/10_tenancy.sql sha256:43b8a5c6511d0016e0b57ca9dfa1e86ed4015bfacda51f7d6e33246bf7530ab1
-- Garages, their modules and their people. Only registration data and settings can be written here;
-- people come and go through functions.

alter table public.garages enable row level security;
alter table public.garages force row level security;
revoke all on public.garages from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.garages');
call private.audit_table('public.garages');
create policy tenant_floor on public.garages as restrictive for all to public
    using (id = (select private.garage_id()))
    with check (id = (select private.garage_id()));
comment on policy tenant_floor on public.garages is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.garages to authenticated;
create policy select_member on public.garages for select to authenticated
    using (id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.garages is 'Members with garage.read';
grant update (
    trade_name, street, postal_code, city, email, phone, iban, bic, locale, time_zone,
    accent_color, logo_sha256, payment_days, portal_idle_minutes, portal_session_hours
) on public.garages to authenticated;
create policy update_member on public.garages for update to authenticated
    using (id = (select private.garage_id_for('garage.write')))
    with check (id = (select private.garage_id_for('garage.write')));
comment on policy update_member on public.garages is 'Members with garage.write';
grant select (
    id, trade_name, legal_name, enterprise_number, vat_number, street, postal_code, city,
    country_code, email, phone, iban, bic, accent_color, portal_idle_minutes
) on public.garages to portal;
create policy select_customer on public.garages for select to portal
    using (id = (select private.portal_garage_id()));
comment on policy select_customer on public.garages is
    'A customer, through a live portal session: their own';

alter table public.garage_logos enable row level security;
alter table public.garage_logos force row level security;
revoke all on public.garage_logos from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.garage_logos');
call private.audit_table('public.garage_logos');
create policy tenant_floor on public.garage_logos as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.garage_logos is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.garage_logos to authenticated;
create policy select_member on public.garage_logos for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.garage_logos is 'Members with garage.read';
grant insert (garage_id, sha256, png) on public.garage_logos to authenticated;
create policy insert_member on public.garage_logos for insert to authenticated
    with check (garage_id = (select private.garage_id_for('garage.write')));
comment on policy insert_member on public.garage_logos is 'Members with garage.write';

alter table public.garage_modules enable row level security;
alter table public.garage_modules force row level security;
revoke all on public.garage_modules from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.garage_modules');
call private.audit_table('public.garage_modules');
create policy tenant_floor on public.garage_modules as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.garage_modules is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.garage_modules to authenticated;
create policy select_member on public.garage_modules for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.garage_modules is 'Members with garage.read';
grant insert (garage_id, module, is_enabled) on public.garage_modules to authenticated;
create policy insert_member on public.garage_modules for insert to authenticated
    with check (garage_id = (select private.garage_id_for('garage.write')));
comment on policy insert_member on public.garage_modules is 'Members with garage.write';
grant update (is_enabled) on public.garage_modules to authenticated;
create policy update_member on public.garage_modules for update to authenticated
    using (garage_id = (select private.garage_id_for('garage.write')))
    with check (garage_id = (select private.garage_id_for('garage.write')));
comment on policy update_member on public.garage_modules is 'Members with garage.write';

alter table public.memberships enable row level security;
alter table public.memberships force row level security;
revoke all on public.memberships from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.memberships');
call private.audit_table('public.memberships');
create policy tenant_floor on public.memberships as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.memberships is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.memberships to authenticated;
create policy select_member on public.memberships for select to authenticated
    using (garage_id = (select private.garage_id_for('members.read')));
comment on policy select_member on public.memberships is 'Members with members.read';

alter table public.membership_permissions enable row level security;
alter table public.membership_permissions force row level security;
revoke all on public.membership_permissions
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.membership_permissions');
call private.audit_table('public.membership_permissions');
create policy tenant_floor on public.membership_permissions as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.membership_permissions is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.membership_permissions to authenticated;
create policy select_member on public.membership_permissions for select to authenticated
    using (garage_id = (select private.garage_id_for('members.read')));
comment on policy select_member on public.membership_permissions is 'Members with members.read';

grant select on portal.garage to portal;

alter table private.modules enable row level security;
alter table private.modules force row level security;
alter table private.permissions enable row level security;
alter table private.permissions force row level security;
alter table private.role_permissions enable row level security;
alter table private.role_permissions force row level security;
revoke all on private.modules, private.permissions, private.role_permissions
    from anon, authenticated, portal, service_role, worker, edge;
-- <<<

-- >>> policies/20_customers.sql sha256:4d3ffe78213c28b4f5c7ccd6c803735d231bec79e289e6662ddf05e4ad3b2dd0
-- Customers: staff read and write, a customer reads only their own row.

alter table public.customers enable row level security;
alter table public.customers force row level security;
revoke all on public.customers from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.customers');
call private.audit_table('public.customers');
create policy tenant_floor on public.customers as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.customers is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.customers to authenticated;
create policy select_member on public.customers for select to authenticated
    using (garage_id = (select private.garage_id_for('customers.read')));
comment on policy select_member on public.customers is 'Members with customers.read';
grant insert (
    id, garage_id, kind, full_name, company_name, email, phone, street, postal_code, city,
    country_code, vat_number, locale
) on public.customers to authenticated;
create policy insert_member on public.customers for insert to authenticated
    with check (garage_id = (select private.garage_id_for('customers.write')));
comment on policy insert_member on public.customers is 'Members with customers.write';
grant update (
    kind, full_name, company_name, email, phone, street, postal_code, city, country_code,
    vat_number, locale, archived_at
) on public.customers to authenticated;
create policy update_member on public.customers for update to authenticated
    using (garage_id = (select private.garage_id_for('customers.write')))
    with check (garage_id = (select private.garage_id_for('customers.write')));
comment on policy update_member on public.customers is 'Members with customers.write';
grant select (
    id, garage_id, kind, full_name, company_name, email, phone, street, postal_code, city,
    country_code, vat_number, locale
) on public.customers to portal;
create policy select_customer on public.customers for select to portal
    using (garage_id = (select private.portal_garage_id())
        and id = (select private.portal_customer_id()));
comment on policy select_customer on public.customers is
    'A customer, through a live portal session: their own';
grant select on portal.profile to portal;
-- <<<

-- >>> policies/30_vehicles.sql sha256:80a560707969c6309fd243c56d5765fbc9ba3c96e391e3be71b18e2ede6d273d
-- Vehicles, their owners and their odometers: staff read and write, a customer reads what is theirs now.

alter table public.vehicles enable row level security;
alter table public.vehicles force row level security;
revoke all on public.vehicles from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.vehicles');
call private.audit_table('public.vehicles');
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
    id, garage_id, vin, plate, make, model, fuel, first_registered_on
) on public.vehicles to authenticated;
create policy insert_member on public.vehicles for insert to authenticated
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy insert_member on public.vehicles is 'Members with vehicles.write';
grant update (
    vin, plate, make, model, fuel, first_registered_on
) on public.vehicles to authenticated;
create policy update_member on public.vehicles for update to authenticated
    using (garage_id = (select private.garage_id_for('vehicles.write')))
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy update_member on public.vehicles is 'Members with vehicles.write';
grant select (
    id, garage_id, vin, plate, make, model, fuel, first_registered_on
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
    id, garage_id, vehicle_id, customer_id, valid_from, valid_to
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
    id, garage_id, vehicle_id, reading_km, read_on
) on public.odometer_readings to authenticated;
create policy insert_member on public.odometer_readings for insert to authenticated
    with check (garage_id = (select private.garage_id_for('vehicles.write')));
comment on policy insert_member on public.odometer_readings is 'Members with vehicles.write';
grant select (id, garage_id, vehicle_id, reading_km, read_on) on public.odometer_readings to portal;
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
grant select on portal.vehicles, portal.odometer_readings to portal;
-- <<<

-- >>> policies/40_billing.sql sha256:ff7476c60e3fd2b9976f480aad0fdef338a116a6008debef440d86f370660eb2
-- Invoices: staff draft and issue, a customer reads their own issued ones. Numbers, totals, dates and
-- snapshot are columns nobody may write: they come from private.issue_invoice.

alter table public.invoice_series enable row level security;
alter table public.invoice_series force row level security;
revoke all on public.invoice_series from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.invoice_series');
call private.audit_table('public.invoice_series');
create policy tenant_floor on public.invoice_series as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.invoice_series is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.invoice_series to authenticated;
create policy select_member on public.invoice_series for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.invoice_series is 'Members with invoices.read';

alter table public.invoices enable row level security;
alter table public.invoices force row level security;
revoke all on public.invoices from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.invoices');
call private.audit_table('public.invoices');
create policy tenant_floor on public.invoices as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.invoices is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.invoices to authenticated;
create policy select_member on public.invoices for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.invoices is 'Members with invoices.read';
grant insert (
    id, garage_id, customer_id, vehicle_id, odometer_km, supply_date, note, internal_note
) on public.invoices to authenticated;
create policy insert_member on public.invoices for insert to authenticated
    with check (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy insert_member on public.invoices is 'Members with invoices.write';
grant update (
    customer_id, vehicle_id, odometer_km, supply_date, note, internal_note
) on public.invoices to authenticated;
create policy update_member on public.invoices for update to authenticated
    using (garage_id = (select private.garage_id_for('invoices.write')))
    with check (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy update_member on public.invoices is 'Members with invoices.write';
grant delete on public.invoices to authenticated;
create policy delete_member on public.invoices for delete to authenticated
    using (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy delete_member on public.invoices is 'Members with invoices.write';
grant select (
    id, garage_id, customer_id, vehicle_id, invoice_number, issue_date, due_date,
    supply_date, odometer_km, currency, net_total, vat_total, gross_total,
    structured_communication, note, issued_at
) on public.invoices to portal;
create policy select_customer on public.invoices for select to portal
    using (garage_id = (select private.portal_garage_id('invoicing'))
        and customer_id = (select private.portal_customer_id()) and issued_at is not null);
comment on policy select_customer on public.invoices is
    'A customer, through a live portal session: their own';

alter table public.invoice_lines enable row level security;
alter table public.invoice_lines force row level security;
revoke all on public.invoice_lines from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.invoice_lines');
call private.audit_table('public.invoice_lines');
create policy tenant_floor on public.invoice_lines as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.invoice_lines is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.invoice_lines to authenticated;
create policy select_member on public.invoice_lines for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.invoice_lines is 'Members with invoices.read';
grant insert (
    id, garage_id, invoice_id, position, description, quantity, unit_price, vat_rate
) on public.invoice_lines to authenticated;
create policy insert_member on public.invoice_lines for insert to authenticated
    with check (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy insert_member on public.invoice_lines is 'Members with invoices.write';
grant update (
    position, description, quantity, unit_price, vat_rate
) on public.invoice_lines to authenticated;
create policy update_member on public.invoice_lines for update to authenticated
    using (garage_id = (select private.garage_id_for('invoices.write')))
    with check (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy update_member on public.invoice_lines is 'Members with invoices.write';
grant delete on public.invoice_lines to authenticated;
create policy delete_member on public.invoice_lines for delete to authenticated
    using (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy delete_member on public.invoice_lines is 'Members with invoices.write';
grant select (
    id, garage_id, invoice_id, position, description, quantity, unit_price, vat_rate,
    net_amount
) on public.invoice_lines to portal;
create policy select_customer on public.invoice_lines for select to portal
    using (garage_id = (select private.portal_garage_id('invoicing')) and exists (
        select from public.invoices i where i.garage_id = invoice_lines.garage_id
            and i.id = invoice_lines.invoice_id));
comment on policy select_customer on public.invoice_lines is
    'A customer, through a live portal session: their own';

alter table public.invoice_vat_totals enable row level security;
alter table public.invoice_vat_totals force row level security;
revoke all on public.invoice_vat_totals
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.invoice_vat_totals');
call private.audit_table('public.invoice_vat_totals');
create policy tenant_floor on public.invoice_vat_totals as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.invoice_vat_totals is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.invoice_vat_totals to authenticated;
create policy select_member on public.invoice_vat_totals for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.invoice_vat_totals is 'Members with invoices.read';
grant select (garage_id, invoice_id, vat_rate, base, vat) on public.invoice_vat_totals to portal;
create policy select_customer on public.invoice_vat_totals for select to portal
    using (garage_id = (select private.portal_garage_id('invoicing')) and exists (
        select from public.invoices i where i.garage_id = invoice_vat_totals.garage_id
            and i.id = invoice_vat_totals.invoice_id));
comment on policy select_customer on public.invoice_vat_totals is
    'A customer, through a live portal session: their own';
grant select on portal.invoices, portal.invoice_lines, portal.invoice_vat_totals to portal;

alter table public.payments enable row level security;
alter table public.payments force row level security;
revoke all on public.payments from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.payments');
call private.audit_table('public.payments');
create policy tenant_floor on public.payments as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.payments is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.payments to authenticated;
create policy select_member on public.payments for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.payments is 'Members with invoices.read';
grant insert (id, garage_id, invoice_id, amount, paid_on, method, note) on public.payments to authenticated;
create policy insert_member on public.payments for insert to authenticated
    with check (garage_id = (select private.garage_id_for('payments.write')));
comment on policy insert_member on public.payments is 'Members with payments.write';
grant select (garage_id, invoice_id, amount) on public.payments to portal;
create policy select_customer on public.payments for select to portal
    using (garage_id = (select private.portal_garage_id('invoicing')) and exists (
        select from public.invoices i where i.garage_id = payments.garage_id and i.id = payments.invoice_id));
comment on policy select_customer on public.payments is
    'A customer, through a live portal session: their own';
grant select on public.invoice_balances to authenticated;
-- <<<

-- >>> policies/50_deliveries.sql sha256:dbf8bbafc0fc307f14eb94f21e65a04e6517979e1de9f2adf9a279f3ca68f94d
-- Documents, e-mails and pushes: written by functions alone; staff follow what became of them.

alter table public.invoice_documents enable row level security;
alter table public.invoice_documents force row level security;
revoke all on public.invoice_documents from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.invoice_documents');
call private.audit_table('public.invoice_documents');
create policy tenant_floor on public.invoice_documents as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.invoice_documents is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.invoice_documents to authenticated;
create policy select_member on public.invoice_documents for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.invoice_documents is 'Members with invoices.read';

alter table public.communications enable row level security;
alter table public.communications force row level security;
revoke all on public.communications from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.communications');
call private.audit_table('public.communications');
create policy tenant_floor on public.communications as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.communications is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.communications to authenticated;
create policy select_member on public.communications for select to authenticated
    using (garage_id = (select private.garage_id_for('deliveries.read')));
comment on policy select_member on public.communications is 'Members with deliveries.read';

alter table public.push_devices enable row level security;
alter table public.push_devices force row level security;
revoke all on public.push_devices from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.push_devices');
call private.audit_table('public.push_devices');
create policy tenant_floor on public.push_devices as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.push_devices is
    'The first lock: no row of another garage, whatever else a policy says';
grant select (
    id, garage_id, portal_device_id, retired_at, created_at, updated_at
) on public.push_devices to authenticated;
create policy select_member on public.push_devices for select to authenticated
    using (garage_id = (select private.garage_id_for('deliveries.read')));
comment on policy select_member on public.push_devices is 'Members with deliveries.read';

alter table public.push_notifications enable row level security;
alter table public.push_notifications force row level security;
revoke all on public.push_notifications
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.push_notifications');
call private.audit_table('public.push_notifications');
create policy tenant_floor on public.push_notifications as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.push_notifications is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.push_notifications to authenticated;
create policy select_member on public.push_notifications for select to authenticated
    using (garage_id = (select private.garage_id_for('deliveries.read')));
comment on policy select_member on public.push_notifications is 'Members with deliveries.read';

alter table public.delivery_attempts enable row level security;
alter table public.delivery_attempts force row level security;
revoke all on public.delivery_attempts from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.delivery_attempts');
call private.audit_table('public.delivery_attempts');
create policy tenant_floor on public.delivery_attempts as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.delivery_attempts is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.delivery_attempts to authenticated;
create policy select_member on public.delivery_attempts for select to authenticated
    using (garage_id = (select private.garage_id_for('deliveries.read')));
comment on policy select_member on public.delivery_attempts is 'Members with deliveries.read';

alter table private.wakeups enable row level security;
alter table private.wakeups force row level security;
revoke all on private.wakeups from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.wakeups');
-- The workers' doorbell: they subscribe with the service key, which passes by policies.
grant select on private.wakeups to service_role;
-- <<<

-- >>> policies/60_portal.sql sha256:2068ef839255d83d89f16981cbdc836f4355bf1f4d4e9dfd360644d21c475c4c
-- Customers' access. Staff see accounts, devices and sessions and can end them; the secrets behind them
-- are open to no role at all.

alter table public.portal_accounts enable row level security;
alter table public.portal_accounts force row level security;
revoke all on public.portal_accounts from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.portal_accounts');
call private.audit_table('public.portal_accounts');
create policy tenant_floor on public.portal_accounts as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.portal_accounts is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.portal_accounts to authenticated;
create policy select_member on public.portal_accounts for select to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.read')));
comment on policy select_member on public.portal_accounts is 'Members with portal_accounts.read';
grant update (deactivated_at) on public.portal_accounts to authenticated;
create policy update_member on public.portal_accounts for update to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.write')))
    with check (garage_id = (select private.garage_id_for('portal_accounts.write')));
comment on policy update_member on public.portal_accounts is 'Members with portal_accounts.write';

alter table public.portal_devices enable row level security;
alter table public.portal_devices force row level security;
revoke all on public.portal_devices from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.portal_devices');
call private.audit_table('public.portal_devices');
create policy tenant_floor on public.portal_devices as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.portal_devices is
    'The first lock: no row of another garage, whatever else a policy says';
grant select (
    id, garage_id, account_id, label, last_seen_at, revoked_at, created_at
) on public.portal_devices to authenticated;
create policy select_member on public.portal_devices for select to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.read')));
comment on policy select_member on public.portal_devices is 'Members with portal_accounts.read';
grant update (revoked_at) on public.portal_devices to authenticated;
create policy update_member on public.portal_devices for update to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.write')))
    with check (garage_id = (select private.garage_id_for('portal_accounts.write')));
comment on policy update_member on public.portal_devices is 'Members with portal_accounts.write';

alter table public.portal_sessions enable row level security;
alter table public.portal_sessions force row level security;
revoke all on public.portal_sessions from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.portal_sessions');
call private.audit_table('public.portal_sessions');
create policy tenant_floor on public.portal_sessions as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.portal_sessions is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.portal_sessions to authenticated;
create policy select_member on public.portal_sessions for select to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.read')));
comment on policy select_member on public.portal_sessions is 'Members with portal_accounts.read';
grant update (revoked_at, revoke_reason) on public.portal_sessions to authenticated;
create policy update_member on public.portal_sessions for update to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.write')))
    with check (garage_id = (select private.garage_id_for('portal_accounts.write')));
comment on policy update_member on public.portal_sessions is 'Members with portal_accounts.write';

alter table private.portal_credentials enable row level security;
alter table private.portal_credentials force row level security;
revoke all on private.portal_credentials
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.portal_credentials');
call private.audit_table('private.portal_credentials');
create policy tenant_floor on private.portal_credentials as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.portal_credentials is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.portal_pins enable row level security;
alter table private.portal_pins force row level security;
revoke all on private.portal_pins from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.portal_pins');
call private.audit_table('private.portal_pins');
create policy tenant_floor on private.portal_pins as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.portal_pins is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.portal_refresh_tokens enable row level security;
alter table private.portal_refresh_tokens force row level security;
revoke all on private.portal_refresh_tokens
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.portal_refresh_tokens');
create policy tenant_floor on private.portal_refresh_tokens as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.portal_refresh_tokens is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.login_attempts enable row level security;
alter table private.login_attempts force row level security;
revoke all on private.login_attempts from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.login_attempts');
create policy tenant_floor on private.login_attempts as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.login_attempts is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.document_grants enable row level security;
alter table private.document_grants force row level security;
revoke all on private.document_grants from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.document_grants');
create policy tenant_floor on private.document_grants as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.document_grants is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.rate_limits enable row level security;
alter table private.rate_limits force row level security;
revoke all on private.rate_limits from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.rate_limits');
-- <<<

-- >>> policies/70_conversations.sql sha256:5636662278f66a30eeaf8a162eb1882d99f1fce43e6bd47a3aeb8a2242fb6903
-- Conversations: staff read and write for the garage; a customer reads their own and writes through RPCs.

alter table public.conversations enable row level security;
alter table public.conversations force row level security;
revoke all on public.conversations from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.conversations');
call private.audit_table('public.conversations');
create policy tenant_floor on public.conversations as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.conversations is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.conversations to authenticated;
create policy select_member on public.conversations for select to authenticated
    using (garage_id = (select private.garage_id_for('conversations.read')));
comment on policy select_member on public.conversations is 'Members with conversations.read';
grant insert (id, garage_id, customer_id) on public.conversations to authenticated;
create policy insert_member on public.conversations for insert to authenticated
    with check (garage_id = (select private.garage_id_for('conversations.write')));
comment on policy insert_member on public.conversations is 'Members with conversations.write';
grant update (closed_at) on public.conversations to authenticated;
create policy update_member on public.conversations for update to authenticated
    using (garage_id = (select private.garage_id_for('conversations.write')))
    with check (garage_id = (select private.garage_id_for('conversations.write')));
comment on policy update_member on public.conversations is 'Members with conversations.write';
grant select (id, garage_id, customer_id, closed_at, created_at) on public.conversations to portal;
create policy select_customer on public.conversations for select to portal
    using (garage_id = (select private.portal_garage_id('conversations'))
        and customer_id = (select private.portal_customer_id()));
comment on policy select_customer on public.conversations is
    'A customer, through a live portal session: their own';

alter table public.messages enable row level security;
alter table public.messages force row level security;
revoke all on public.messages from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.messages');
call private.audit_table('public.messages');
create policy tenant_floor on public.messages as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.messages is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.messages to authenticated;
create policy select_member on public.messages for select to authenticated
    using (garage_id = (select private.garage_id_for('conversations.read')));
comment on policy select_member on public.messages is 'Members with conversations.read';
grant insert (id, garage_id, conversation_id, body) on public.messages to authenticated;
create policy insert_member on public.messages for insert to authenticated
    with check (garage_id = (select private.garage_id_for('conversations.write')));
comment on policy insert_member on public.messages is 'Members with conversations.write';
grant select (
    id, garage_id, conversation_id, sender, body, read_at, created_at
) on public.messages to portal;
create policy select_customer on public.messages for select to portal
    using (garage_id = (select private.portal_garage_id('conversations')) and exists (
        select from public.conversations c where c.garage_id = messages.garage_id
            and c.id = messages.conversation_id));
comment on policy select_customer on public.messages is
    'A customer, through a live portal session: their own';
grant select on portal.conversations, portal.messages to portal;

-- The private channel on which a garage's members learn of new messages.
drop policy if exists select_member on realtime.messages;
create policy select_member on realtime.messages for select to authenticated
    using (extension = 'broadcast' and (select realtime.topic()) = format('garage:%s:conversations',
        (select private.garage_id_for('conversations.read'))));
-- <<<

-- >>> policies/80_audit.sql sha256:50429e59de281dfe90ee7d0bebfb8dace7244d726080d9ab62b6c3afb8c5b010
-- History: members with the permission read their garage's; nobody writes it, the operators included.

alter table audit.entries enable row level security;
alter table audit.entries force row level security;
revoke all on audit.entries from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.entries');
create policy tenant_floor on audit.entries as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.entries is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on audit.entries to authenticated;
create policy select_member on audit.entries for select to authenticated
    using (garage_id = (select private.garage_id_for('audit.read')));
comment on policy select_member on audit.entries is 'Members with audit.read';
grant select on public.audit_entries to authenticated;

alter table audit.access_entries enable row level security;
alter table audit.access_entries force row level security;
revoke all on audit.access_entries from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.access_entries');
create policy tenant_floor on audit.access_entries as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.access_entries is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on audit.access_entries to authenticated;
create policy select_member on audit.access_entries for select to authenticated
    using (garage_id = (select private.garage_id_for('audit.read')));
comment on policy select_member on audit.access_entries is 'Members with audit.read';
grant select on public.access_entries to authenticated;
-- <<<

-- >>> policies/90_storage.sql sha256:5c0df66aa82262462fa29b11fccb83dbd3dfd932296c0bc1f136734a6bfbb4b6
-- Files: a path begins with the garage's id, compared as text, since a cast would let one odd file name
-- break every query. Workers store with the service key, which passes by policies.

drop policy if exists tenant_floor on storage.objects;
create policy tenant_floor on storage.objects as restrictive for all to public
    using (split_part(name, '/', 1) = (select private.garage_id())::text)
    with check (split_part(name, '/', 1) = (select private.garage_id())::text);

-- Staff download as themselves; a signed URL would outlive their membership and the log.
drop policy if exists select_member on storage.objects;
create policy select_member on storage.objects for select to authenticated
    using (bucket_id = 'invoices'
        and split_part(name, '/', 1) = (select private.garage_id_for('documents.read'))::text
        and coalesce(storage.operation(), '') !~ 'object[.]sign');

-- A customer has no path of their own to a file: only the edge can have a link signed, one at a time.
drop policy if exists select_customer on storage.objects;
create policy select_customer on storage.objects for select to portal
    using (bucket_id = 'invoices' and name = (select private.granted_object_name()));
-- <<<
