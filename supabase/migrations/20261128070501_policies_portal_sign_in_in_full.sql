-- portal: sign-in in full
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/60_portal.sql sha256:28090ef9bf599c91977afe77972f1f6a353272ccad2dd301263dc7466e7cdb4a
-- Customers' access. Staff see accounts, devices and sessions and can end them; the secrets behind them
-- are open to no role at all. Customers see their own devices and sessions, and end them at the edge.

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
    id, garage_id, account_id, label, key_thumbprint, last_seen_at, revoked_at, created_at
) on public.portal_devices to authenticated, portal;
create policy select_customer on public.portal_devices for select to portal
    using (garage_id = (select private.portal_garage_id())
        and account_id = (select private.portal_account_id()));
comment on policy select_customer on public.portal_devices is
    'A customer, through a live portal session: their own';
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
grant select (
    id, garage_id, account_id, device_id, refreshed_at, idle_expires_at, expires_at, revoked_at,
    created_at
) on public.portal_sessions to portal;
create policy select_customer on public.portal_sessions for select to portal
    using (garage_id = (select private.portal_garage_id())
        and account_id = (select private.portal_account_id()));
comment on policy select_customer on public.portal_sessions is
    'A customer, through a live portal session: their own';
create policy update_member on public.portal_sessions for update to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.write')))
    with check (garage_id = (select private.garage_id_for('portal_accounts.write')));
comment on policy update_member on public.portal_sessions is 'Members with portal_accounts.write';

alter table public.portal_invitations enable row level security;
alter table public.portal_invitations force row level security;
revoke all on public.portal_invitations
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.portal_invitations');
call private.audit_table('public.portal_invitations');
call private.check_table('public.portal_invitations');
create policy tenant_floor on public.portal_invitations as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.portal_invitations is
    'The first lock: no row of another garage, whatever else a policy says';
grant select (
    id, garage_id, customer_id, channel, recipient, invited_by, sent_count, expires_at,
    accepted_at, revoked_at, created_at
) on public.portal_invitations to authenticated;
create policy select_member on public.portal_invitations for select to authenticated
    using (garage_id = (select private.garage_id_for('portal_accounts.read')));
comment on policy select_member on public.portal_invitations is
    'Members with portal_accounts.read';

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

alter table private.portal_challenges enable row level security;
alter table private.portal_challenges force row level security;
revoke all on private.portal_challenges from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.portal_challenges');
create policy tenant_floor on private.portal_challenges as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.portal_challenges is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.portal_mails enable row level security;
alter table private.portal_mails force row level security;
revoke all on private.portal_mails from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.portal_mails');
create policy tenant_floor on private.portal_mails as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.portal_mails is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.key_proofs enable row level security;
alter table private.key_proofs force row level security;
revoke all on private.key_proofs from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.key_proofs');

grant select on portal.devices, portal.sessions to portal;
-- <<<
