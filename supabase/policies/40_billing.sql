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
