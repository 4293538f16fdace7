-- portal: documents, photos, channels
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/50_deliveries.sql sha256:8a81d63bc93a210d25d5e43c86884978adec498b87ee9b497ec13e2fb39b6b74
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
-- <<<

-- >>> policies/70_conversations.sql sha256:ee864db728ce4b7e26d305aabfdd2968858c4646c99b851318dc4dfe2b60ee83
-- Conversations: staff read and write for the garage; a customer reads their own and writes through RPCs.

alter table public.conversations enable row level security;
alter table public.conversations force row level security;
revoke all on public.conversations from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.conversations');
call private.audit_table('public.conversations');
call private.check_table('public.conversations');
create policy tenant_floor on public.conversations as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.conversations is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.conversations to authenticated;
create policy select_member on public.conversations for select to authenticated
    using (garage_id = (select private.garage_id_for('conversations.read')));
comment on policy select_member on public.conversations is 'Members with conversations.read';
grant insert (garage_id, customer_id) on public.conversations to authenticated;
create policy insert_member on public.conversations for insert to authenticated
    with check (garage_id = (select private.garage_id_for('conversations.write')));
comment on policy insert_member on public.conversations is 'Members with conversations.write';
grant update (closed_at, assigned_to) on public.conversations to authenticated;
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
call private.check_table('public.messages');
create policy tenant_floor on public.messages as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.messages is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.messages to authenticated;
create policy select_member on public.messages for select to authenticated
    using (garage_id = (select private.garage_id_for('conversations.read')));
comment on policy select_member on public.messages is 'Members with conversations.read';
grant insert (garage_id, conversation_id, body, photo_id) on public.messages to authenticated;
create policy insert_member on public.messages for insert to authenticated
    with check (garage_id = (select private.garage_id_for('conversations.write')));
comment on policy insert_member on public.messages is 'Members with conversations.write';
grant select (
    id, garage_id, conversation_id, sender, body, read_at, created_at, photo_id
) on public.messages to portal;
create policy select_customer on public.messages for select to portal
    using (garage_id = (select private.portal_garage_id('conversations')) and exists (
        select from public.conversations c where c.garage_id = messages.garage_id
            and c.id = messages.conversation_id));
comment on policy select_customer on public.messages is
    'A customer, through a live portal session: their own';

alter table public.message_photos enable row level security;
alter table public.message_photos force row level security;
revoke all on public.message_photos from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.message_photos');
call private.audit_table('public.message_photos');
call private.check_table('public.message_photos');
create policy tenant_floor on public.message_photos as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.message_photos is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.message_photos to authenticated;
create policy select_member on public.message_photos for select to authenticated
    using (garage_id = (select private.garage_id_for('conversations.read')));
comment on policy select_member on public.message_photos is 'Members with conversations.read';
grant insert (garage_id, conversation_id, content_type) on public.message_photos to authenticated;
create policy insert_member on public.message_photos for insert to authenticated
    with check (garage_id = (select private.garage_id_for('conversations.write')));
comment on policy insert_member on public.message_photos is 'Members with conversations.write';
grant select (
    id, garage_id, conversation_id, sender, content_type, storage_path, created_at
) on public.message_photos to portal;
create policy select_customer on public.message_photos for select to portal
    using (garage_id = (select private.portal_garage_id('conversations')) and exists (
        select from public.conversations c where c.garage_id = message_photos.garage_id
            and c.id = message_photos.conversation_id));
comment on policy select_customer on public.message_photos is
    'A customer, through a live portal session: their own';
grant select on portal.conversations, portal.messages, portal.message_photos to portal;

-- The private channels on which members of a garage, and each customer, learn that something happened.
-- A topic begins as a path does: with the garage.
drop policy if exists tenant_floor on realtime.messages;
create policy tenant_floor on realtime.messages as restrictive for all to public
    using (split_part((select realtime.topic()), ':', 2) = (select private.garage_id())::text)
    with check (split_part((select realtime.topic()), ':', 2) = (select private.garage_id())::text);
drop policy if exists select_member on realtime.messages;
create policy select_member on realtime.messages for select to authenticated
    using (extension = 'broadcast' and (select realtime.topic()) = format('garage:%s:conversations',
        (select private.garage_id_for('conversations.read'))));
drop policy if exists select_customer on realtime.messages;
create policy select_customer on realtime.messages for select to portal
    using (extension = 'broadcast' and (select realtime.topic()) = format('garage:%s:customer:%s',
        (select private.portal_garage_id('conversations')), (select private.portal_customer_id())));
-- <<<

-- >>> policies/90_storage.sql sha256:6d0cce48dd8f0a4f18afc4114ba0bd0875c492abb4417806ad87eef168a4cc90
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
    using (bucket_id in ('invoices', 'message_photos')
        and name = (select private.granted_object_name()));

-- Photos of work orders: each file where its row says it is to be, and nowhere else.
drop policy if exists select_photo on storage.objects;
create policy select_photo on storage.objects for select to authenticated
    using (bucket_id = 'work_order_photos'
        and split_part(name, '/', 1) = (select private.garage_id_for('work_orders.read'))::text);
drop policy if exists insert_photo on storage.objects;
create policy insert_photo on storage.objects for insert to authenticated
    with check (bucket_id = 'work_order_photos' and private.is_photo_path(name));
drop policy if exists delete_photo on storage.objects;
create policy delete_photo on storage.objects for delete to authenticated
    using (bucket_id = 'work_order_photos'
        and split_part(name, '/', 1) = (select private.garage_id_for('work_orders.write'))::text);

-- Photos of messages: either side puts a file where it announced one, once; a signed address to put it
-- there would outlive the sending.
drop policy if exists select_message_photo on storage.objects;
create policy select_message_photo on storage.objects for select to authenticated
    using (bucket_id = 'message_photos'
        and split_part(name, '/', 1) = (select private.garage_id_for('conversations.read'))::text);
drop policy if exists insert_message_photo on storage.objects;
create policy insert_message_photo on storage.objects for insert to authenticated
    with check (bucket_id = 'message_photos' and private.is_message_photo_path(name, 'garage')
        and coalesce(storage.operation(), '') !~ 'object[.]sign');
drop policy if exists insert_message_photo_customer on storage.objects;
create policy insert_message_photo_customer on storage.objects for insert to portal
    with check (bucket_id = 'message_photos' and private.is_message_photo_path(name, 'customer')
        and coalesce(storage.operation(), '') !~ 'object[.]sign');
-- <<<
