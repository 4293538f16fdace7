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
grant insert (garage_id, conversation_id, body) on public.messages to authenticated;
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
