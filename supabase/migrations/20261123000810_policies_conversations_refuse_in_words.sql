-- conversations refuse in words
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/60_portal.sql sha256:32a6ca3f1ea496c160014363463521feb1b77fea6f2f7a74179d05c650b5038b
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
call private.check_table('public.portal_sessions');
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

-- >>> policies/70_conversations.sql sha256:b15bdd6088150aeca8b4c18e2d24e6ecba98a42fc97b3bf22c1a4c0355b325b3
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
-- <<<
