-- history in seals, support, breaches
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/80_audit.sql sha256:63704db26e4a89757a23c0682f289a5b01e3af6987eaec86d6ba783dedf58997
-- History: members with the permission read their garage's; nobody writes it, the operators included.

alter table audit.entries enable row level security;
alter table audit.entries force row level security;
revoke all on audit.entries from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.entries');
create policy tenant_floor on audit.entries as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.entries is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on audit.entries to authenticated;
create policy select_member on audit.entries for select to authenticated
    using (garage_id = (select private.garage_id_for('audit.read')));
comment on policy select_member on audit.entries is 'Members with audit.read';
grant select on public.audit_entries to authenticated;

alter table audit.access_entries enable row level security;
alter table audit.access_entries force row level security;
revoke all on audit.access_entries from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.access_entries');
create policy tenant_floor on audit.access_entries as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.access_entries is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on audit.access_entries to authenticated;
create policy select_member on audit.access_entries for select to authenticated
    using (garage_id = (select private.garage_id_for('audit.read')));
comment on policy select_member on audit.access_entries is 'Members with audit.read';
grant select on public.access_entries to authenticated;

-- The chain: members with the permission read the seals; its ends and lists are the verifier's alone.
alter table audit.seals enable row level security;
alter table audit.seals force row level security;
revoke all on audit.seals
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.seals');
create policy tenant_floor on audit.seals as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.seals is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on audit.seals to authenticated;
create policy select_member on audit.seals for select to authenticated
    using (garage_id = (select private.garage_id_for('audit.read')));
comment on policy select_member on audit.seals is 'Members with audit.read';
grant select on public.audit_seals to authenticated;

alter table audit.chains enable row level security;
alter table audit.chains force row level security;
revoke all on audit.chains
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.chains');
create policy tenant_floor on audit.chains as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.chains is
    'The first lock: no row of another garage, whatever else a policy says';

alter table audit.sealed_rows enable row level security;
alter table audit.sealed_rows force row level security;
revoke all on audit.sealed_rows
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.sealed_rows');
create policy tenant_floor on audit.sealed_rows as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.sealed_rows is
    'The first lock: no row of another garage, whatever else a policy says';

revoke all on audit.hashed_entries
    from anon, authenticated, portal, service_role, worker, edge;
-- <<<

-- >>> policies/82_support.sql sha256:23289237eb574352e352f954e9fc9b258e9a15e7acceb47ccc88cbf3e54f261e
-- Support of Autexor and the breaches it has to tell. Everybody of a garage sees who of Autexor may look, owners
-- decide; nobody writes these tables but the functions for it. Operators read what is theirs through calls.

alter table public.support_requests enable row level security;
alter table public.support_requests force row level security;
revoke all on public.support_requests
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.support_requests');
call private.audit_table('public.support_requests');
call private.check_table('public.support_requests');
create policy tenant_floor on public.support_requests as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.support_requests is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.support_requests to authenticated;
create policy select_member on public.support_requests for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.support_requests is 'Members with garage.read';
grant select on public.support_grants to authenticated;

alter table public.instructions enable row level security;
alter table public.instructions force row level security;
revoke all on public.instructions
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.instructions');
call private.audit_table('public.instructions');
call private.check_table('public.instructions');
create policy tenant_floor on public.instructions as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.instructions is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.instructions to authenticated;
create policy select_member on public.instructions for select to authenticated
    using (garage_id = (select private.garage_id_for('audit.read')));
comment on policy select_member on public.instructions is 'Members with audit.read';

alter table public.breach_notices enable row level security;
alter table public.breach_notices force row level security;
revoke all on public.breach_notices
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.breach_notices');
call private.audit_table('public.breach_notices');
call private.check_table('public.breach_notices');
create policy tenant_floor on public.breach_notices as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.breach_notices is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.breach_notices to authenticated;
create policy select_member on public.breach_notices for select to authenticated
    using (garage_id = (select private.garage_id_for('breaches.read')));
comment on policy select_member on public.breach_notices is 'Members with breaches.read';

alter table private.support_permissions enable row level security;
alter table private.support_permissions force row level security;
alter table private.breaches enable row level security;
alter table private.breaches force row level security;
revoke all on private.support_permissions, private.breaches
    from anon, authenticated, portal, service_role, worker, edge;
-- <<<
