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
