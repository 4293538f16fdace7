-- Work orders: the workshop writes them, reception invoices them, the customer sees their own without the
-- internal notes. Numbers, events and the invoice come from functions.

alter table public.work_order_series enable row level security;
alter table public.work_order_series force row level security;
revoke all on public.work_order_series from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.work_order_series');
call private.audit_table('public.work_order_series');
create policy tenant_floor on public.work_order_series as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.work_order_series is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.work_order_series to authenticated;
create policy select_member on public.work_order_series for select to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.read')));
comment on policy select_member on public.work_order_series is 'Members with work_orders.read';

alter table public.work_orders enable row level security;
alter table public.work_orders force row level security;
revoke all on public.work_orders from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.work_orders');
call private.audit_table('public.work_orders');
call private.check_table('public.work_orders');
create policy tenant_floor on public.work_orders as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.work_orders is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.work_orders to authenticated;
create policy select_member on public.work_orders for select to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.read')));
comment on policy select_member on public.work_orders is 'Members with work_orders.read';
grant insert (
    garage_id, customer_id, vehicle_id, status, complaint, customer_note, internal_note,
    assigned_to, odometer_in_km, planned_at, expected_ready_at
) on public.work_orders to authenticated;
create policy insert_member on public.work_orders for insert to authenticated
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy insert_member on public.work_orders is 'Members with work_orders.write';
grant update (
    customer_id, vehicle_id, status, complaint, customer_note, internal_note, assigned_to,
    odometer_in_km, planned_at, expected_ready_at, revision
) on public.work_orders to authenticated;
create policy update_member on public.work_orders for update to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.write')))
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy update_member on public.work_orders is 'Members with work_orders.write';
grant select (
    id, garage_id, customer_id, vehicle_id, reference, status, complaint, customer_note, planned_at,
    expected_ready_at, created_at
) on public.work_orders to portal;
create policy select_customer on public.work_orders for select to portal
    using (garage_id = (select private.portal_garage_id('work_orders'))
        and customer_id = (select private.portal_customer_id())
        and status not in ('estimate', 'cancelled'));
comment on policy select_customer on public.work_orders is
    'A customer, through a live portal session: their own';
grant select on portal.work_orders to portal;
grant select on public.work_list, public.vehicle_history to authenticated;

alter table public.work_order_events enable row level security;
alter table public.work_order_events force row level security;
revoke all on public.work_order_events from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.work_order_events');
call private.audit_table('public.work_order_events');
create policy tenant_floor on public.work_order_events as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.work_order_events is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.work_order_events to authenticated;
create policy select_member on public.work_order_events for select to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.read')));
comment on policy select_member on public.work_order_events is 'Members with work_orders.read';

alter table public.work_order_tasks enable row level security;
alter table public.work_order_tasks force row level security;
revoke all on public.work_order_tasks from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.work_order_tasks');
call private.audit_table('public.work_order_tasks');
call private.check_table('public.work_order_tasks');
create policy tenant_floor on public.work_order_tasks as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.work_order_tasks is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.work_order_tasks to authenticated;
create policy select_member on public.work_order_tasks for select to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.read')));
comment on policy select_member on public.work_order_tasks is 'Members with work_orders.read';
grant insert (
    garage_id, work_order_id, position, title, is_done, assigned_to
) on public.work_order_tasks to authenticated;
create policy insert_member on public.work_order_tasks for insert to authenticated
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy insert_member on public.work_order_tasks is 'Members with work_orders.write';
grant update (
    position, title, is_done, assigned_to, revision
) on public.work_order_tasks to authenticated;
create policy update_member on public.work_order_tasks for update to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.write')))
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy update_member on public.work_order_tasks is 'Members with work_orders.write';
grant delete on public.work_order_tasks to authenticated;
create policy delete_member on public.work_order_tasks for delete to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy delete_member on public.work_order_tasks is 'Members with work_orders.write';

alter table public.work_order_lines enable row level security;
alter table public.work_order_lines force row level security;
revoke all on public.work_order_lines from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.work_order_lines');
call private.audit_table('public.work_order_lines');
call private.check_table('public.work_order_lines');
create policy tenant_floor on public.work_order_lines as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.work_order_lines is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.work_order_lines to authenticated;
create policy select_member on public.work_order_lines for select to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.read')));
comment on policy select_member on public.work_order_lines is 'Members with work_orders.read';
grant insert (
    garage_id, work_order_id, task_id, kind, position, description, quantity, unit_price,
    discount_percent, vat_category, vat_rate
) on public.work_order_lines to authenticated;
create policy insert_member on public.work_order_lines for insert to authenticated
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy insert_member on public.work_order_lines is 'Members with work_orders.write';
grant update (
    task_id, kind, position, description, quantity, unit_price, discount_percent, vat_category,
    vat_rate, revision
) on public.work_order_lines to authenticated;
create policy update_member on public.work_order_lines for update to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.write')))
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy update_member on public.work_order_lines is 'Members with work_orders.write';
grant delete on public.work_order_lines to authenticated;
create policy delete_member on public.work_order_lines for delete to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy delete_member on public.work_order_lines is 'Members with work_orders.write';

alter table public.work_order_photos enable row level security;
alter table public.work_order_photos force row level security;
revoke all on public.work_order_photos from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.work_order_photos');
call private.audit_table('public.work_order_photos');
call private.check_table('public.work_order_photos');
create policy tenant_floor on public.work_order_photos as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.work_order_photos is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.work_order_photos to authenticated;
create policy select_member on public.work_order_photos for select to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.read')));
comment on policy select_member on public.work_order_photos is 'Members with work_orders.read';
grant insert (
    garage_id, work_order_id, content_type, caption
) on public.work_order_photos to authenticated;
create policy insert_member on public.work_order_photos for insert to authenticated
    with check (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy insert_member on public.work_order_photos is 'Members with work_orders.write';
grant delete on public.work_order_photos to authenticated;
create policy delete_member on public.work_order_photos for delete to authenticated
    using (garage_id = (select private.garage_id_for('work_orders.write')));
comment on policy delete_member on public.work_order_photos is 'Members with work_orders.write';
