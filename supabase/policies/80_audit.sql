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
