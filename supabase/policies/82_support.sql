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
