-- credit notes plates merged customers
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/20_customers.sql sha256:dd8b6aade8cc5fa6c14532c5348c19a170b810b166810828ef249857888c2bd0
-- Customers: staff read and write, a customer reads only their own row.

alter table public.customers enable row level security;
alter table public.customers force row level security;
revoke all on public.customers from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.customers');
call private.audit_table('public.customers');
call private.check_table('public.customers');
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
    garage_id, kind, full_name, company_name, email, phone, street, postal_code, city, country_code,
    vat_number, locale
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

alter table public.customer_opt_outs enable row level security;
alter table public.customer_opt_outs force row level security;
revoke all on public.customer_opt_outs from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.customer_opt_outs');
call private.audit_table('public.customer_opt_outs');
call private.check_table('public.customer_opt_outs');
create policy tenant_floor on public.customer_opt_outs as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.customer_opt_outs is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.customer_opt_outs to authenticated;
create policy select_member on public.customer_opt_outs for select to authenticated
    using (garage_id = (select private.garage_id_for('customers.read')));
comment on policy select_member on public.customer_opt_outs is 'Members with customers.read';
grant insert (garage_id, customer_id, channel, reason) on public.customer_opt_outs to authenticated;
create policy insert_member on public.customer_opt_outs for insert to authenticated
    with check (garage_id = (select private.garage_id_for('customers.write')));
comment on policy insert_member on public.customer_opt_outs is 'Members with customers.write';
grant delete on public.customer_opt_outs to authenticated;
create policy delete_member on public.customer_opt_outs for delete to authenticated
    using (garage_id = (select private.garage_id_for('customers.write')));
comment on policy delete_member on public.customer_opt_outs is 'Members with customers.write';
grant select on public.customer_cards to authenticated;
grant select on portal.profile to portal;
-- <<<

-- >>> policies/30_vehicles.sql sha256:9860b4498d4ea620ff0293b2b81250a80de2aac70cfd252359a8ddc8490db52b
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
-- <<<

-- >>> policies/40_billing.sql sha256:02e3ab7c111e9322f76251d8160daf374a77b5ba4673d274ff4b5e6ea2a05057
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
call private.check_table('public.invoices');
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
    garage_id, customer_id, vehicle_id, odometer_km, supply_date, discount_percent, note,
    internal_note
) on public.invoices to authenticated;
create policy insert_member on public.invoices for insert to authenticated
    with check (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy insert_member on public.invoices is 'Members with invoices.write';
grant update (
    customer_id, vehicle_id, odometer_km, supply_date, discount_percent, note, internal_note, revision
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
    structured_communication, note, issued_at, kind, credits_invoice_id, discount_percent
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
call private.check_table('public.invoice_lines');
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
    garage_id, invoice_id, position, description, quantity, unit_price, discount_percent,
    vat_category, vat_rate
) on public.invoice_lines to authenticated;
create policy insert_member on public.invoice_lines for insert to authenticated
    with check (garage_id = (select private.garage_id_for('invoices.write')));
comment on policy insert_member on public.invoice_lines is 'Members with invoices.write';
grant update (
    position, description, quantity, unit_price, discount_percent, vat_category, vat_rate, revision
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
    net_amount, discount_percent, vat_category
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
grant select (
    garage_id, invoice_id, vat_rate, base, vat, vat_category, discount
) on public.invoice_vat_totals to portal;
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
call private.check_table('public.payments');
create policy tenant_floor on public.payments as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.payments is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.payments to authenticated;
create policy select_member on public.payments for select to authenticated
    using (garage_id = (select private.garage_id_for('invoices.read')));
comment on policy select_member on public.payments is 'Members with invoices.read';
grant insert (garage_id, invoice_id, amount, paid_on, method, note) on public.payments to authenticated;
create policy insert_member on public.payments for insert to authenticated
    with check (garage_id = (select private.garage_id_for('payments.write')));
comment on policy insert_member on public.payments is 'Members with payments.write';
grant select (garage_id, invoice_id, amount) on public.payments to portal;
create policy select_customer on public.payments for select to portal
    using (garage_id = (select private.portal_garage_id('invoicing')) and exists (
        select from public.invoices i where i.garage_id = payments.garage_id and i.id = payments.invoice_id));
comment on policy select_customer on public.payments is
    'A customer, through a live portal session: their own';
grant select on public.invoice_balances, public.open_invoices, public.day_totals to authenticated;
-- <<<
