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
grant select (
    id, garage_id, invoice_id, version, byte_size, page_count, stored_at
) on public.invoice_documents to portal;
create policy select_customer on public.invoice_documents for select to portal
    using (garage_id = (select private.portal_garage_id('pdf_storage')) and status = 'stored'
        and exists (select from public.invoices i where i.garage_id = invoice_documents.garage_id
            and i.id = invoice_documents.invoice_id));
comment on policy select_customer on public.invoice_documents is
    'A customer, through a live portal session: what is stored of their own invoices';
grant select on portal.documents to portal;

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
    id, garage_id, portal_device_id, platform, shows_details, retired_at, created_at, updated_at
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

grant select on public.unsettled_deliveries to authenticated;

-- About the platform, not about a garage: workers reach them through functions, nobody reads them.
alter table private.poisoned_messages enable row level security;
alter table private.poisoned_messages force row level security;
revoke all on private.poisoned_messages
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.poisoned_messages');
alter table private.worker_heartbeats enable row level security;
alter table private.worker_heartbeats force row level security;
revoke all on private.worker_heartbeats
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.worker_heartbeats');
