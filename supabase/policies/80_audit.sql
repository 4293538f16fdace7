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
