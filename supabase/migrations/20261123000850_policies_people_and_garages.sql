-- people and garages
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/10_tenancy.sql sha256:452a9024473d89b30d543900c7eef9ff756e07d83a2c29a280b6b1fbd08ba761
-- Garages, their modules and their people. Only registration data and settings can be written here;
-- people come and go through functions.

alter table public.garages enable row level security;
alter table public.garages force row level security;
revoke all on public.garages from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.garages');
call private.audit_table('public.garages');
call private.check_table('public.garages');
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
call private.check_table('public.garage_logos');
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
call private.check_table('public.garage_modules');
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
call private.check_table('public.memberships');
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
call private.check_table('public.membership_permissions');
create policy tenant_floor on public.membership_permissions as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.membership_permissions is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.membership_permissions to authenticated;
create policy select_member on public.membership_permissions for select to authenticated
    using (garage_id = (select private.garage_id_for('members.read')));
comment on policy select_member on public.membership_permissions is 'Members with members.read';
grant select on public.member_permissions to authenticated;

alter table public.invitations enable row level security;
alter table public.invitations force row level security;
revoke all on public.invitations from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.invitations');
call private.audit_table('public.invitations');
call private.check_table('public.invitations');
create policy tenant_floor on public.invitations as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.invitations is
    'The first lock: no row of another garage, whatever else a policy says';
grant select (
    id, garage_id, email, role, invited_by, sent_count, expires_at, accepted_at, revoked_at,
    created_at
) on public.invitations to authenticated;
create policy select_member on public.invitations for select to authenticated
    using (garage_id = (select private.garage_id_for('members.read')));
comment on policy select_member on public.invitations is 'Members with members.read';

alter table private.invitation_tokens enable row level security;
alter table private.invitation_tokens force row level security;
revoke all on private.invitation_tokens
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.invitation_tokens');
create policy tenant_floor on private.invitation_tokens as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.invitation_tokens is
    'The first lock: no row of another garage, whatever else a policy says';

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
