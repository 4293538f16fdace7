-- Privacy: who answers persons that use their rights, who says how long and on what basis data is kept,
-- and the third lock on every table that leads to a person. Requests, holds and restrictions are written
-- by functions alone.

alter table public.rights_requests enable row level security;
alter table public.rights_requests force row level security;
revoke all on public.rights_requests from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.rights_requests');
call private.audit_table('public.rights_requests');
call private.check_table('public.rights_requests');
create policy tenant_floor on public.rights_requests as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.rights_requests is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.rights_requests to authenticated;
create policy select_member on public.rights_requests for select to authenticated
    using (garage_id = (select private.garage_id_for('rights.read')));
comment on policy select_member on public.rights_requests is 'Members with rights.read';

alter table public.customer_restrictions enable row level security;
alter table public.customer_restrictions force row level security;
revoke all on public.customer_restrictions
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.customer_restrictions');
call private.audit_table('public.customer_restrictions');
call private.check_table('public.customer_restrictions');
create policy tenant_floor on public.customer_restrictions as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.customer_restrictions is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.customer_restrictions to authenticated;
create policy select_member on public.customer_restrictions for select to authenticated
    using (garage_id = (select private.garage_id_for('rights.read')));
comment on policy select_member on public.customer_restrictions is 'Members with rights.read';

alter table public.restriction_openings enable row level security;
alter table public.restriction_openings force row level security;
revoke all on public.restriction_openings
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.restriction_openings');
call private.audit_table('public.restriction_openings');
call private.check_table('public.restriction_openings');
create policy tenant_floor on public.restriction_openings as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.restriction_openings is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.restriction_openings to authenticated;
create policy select_member on public.restriction_openings for select to authenticated
    using (garage_id = (select private.garage_id_for('rights.read')));
comment on policy select_member on public.restriction_openings is 'Members with rights.read';

alter table public.legal_holds enable row level security;
alter table public.legal_holds force row level security;
revoke all on public.legal_holds from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.legal_holds');
call private.audit_table('public.legal_holds');
call private.check_table('public.legal_holds');
create policy tenant_floor on public.legal_holds as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.legal_holds is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.legal_holds to authenticated;
create policy select_member on public.legal_holds for select to authenticated
    using (garage_id = (select private.garage_id_for('rights.read')));
comment on policy select_member on public.legal_holds is 'Members with rights.read';

alter table public.legal_bases enable row level security;
alter table public.legal_bases force row level security;
revoke all on public.legal_bases from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.legal_bases');
call private.audit_table('public.legal_bases');
call private.check_table('public.legal_bases');
create policy tenant_floor on public.legal_bases as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.legal_bases is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.legal_bases to authenticated;
create policy select_member on public.legal_bases for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.legal_bases is 'Members with garage.read';
grant insert (garage_id, processing, basis, purpose) on public.legal_bases to authenticated;
create policy insert_member on public.legal_bases for insert to authenticated
    with check (garage_id = (select private.garage_id_for('privacy.write')));
comment on policy insert_member on public.legal_bases is 'Members with privacy.write';
grant update (basis, purpose) on public.legal_bases to authenticated;
create policy update_member on public.legal_bases for update to authenticated
    using (garage_id = (select private.garage_id_for('privacy.write')))
    with check (garage_id = (select private.garage_id_for('privacy.write')));
comment on policy update_member on public.legal_bases is 'Members with privacy.write';
grant delete on public.legal_bases to authenticated;
create policy delete_member on public.legal_bases for delete to authenticated
    using (garage_id = (select private.garage_id_for('privacy.write')));
comment on policy delete_member on public.legal_bases is 'Members with privacy.write';

alter table public.retention_policies enable row level security;
alter table public.retention_policies force row level security;
revoke all on public.retention_policies
    from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.retention_policies');
call private.audit_table('public.retention_policies');
call private.check_table('public.retention_policies');
create policy tenant_floor on public.retention_policies as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.retention_policies is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.retention_policies to authenticated;
create policy select_member on public.retention_policies for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.retention_policies is 'Members with garage.read';

alter table public.retention_runs enable row level security;
alter table public.retention_runs force row level security;
revoke all on public.retention_runs from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.retention_runs');
call private.audit_table('public.retention_runs');
create policy tenant_floor on public.retention_runs as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.retention_runs is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.retention_runs to authenticated;
create policy select_member on public.retention_runs for select to authenticated
    using (garage_id = (select private.garage_id_for('privacy.read')));
comment on policy select_member on public.retention_runs is 'Members with privacy.read';

alter table private.erasing enable row level security;
alter table private.erasing force row level security;
revoke all on private.erasing from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.erasing');
create policy tenant_floor on private.erasing as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.erasing is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.file_removals enable row level security;
alter table private.file_removals force row level security;
revoke all on private.file_removals from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.file_removals');
call private.audit_table('private.file_removals');
create policy tenant_floor on private.file_removals as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.file_removals is
    'The first lock: no row of another garage, whatever else a policy says';

alter table private.data_categories enable row level security;
alter table private.data_categories force row level security;
revoke all on private.data_categories from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.data_categories');

alter table private.retention_rules enable row level security;
alter table private.retention_rules force row level security;
revoke all on private.retention_rules from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.retention_rules');

alter table private.processings enable row level security;
alter table private.processings force row level security;
revoke all on private.processings from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.processings');

alter table private.subprocessors enable row level security;
alter table private.subprocessors force row level security;
revoke all on private.subprocessors from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.subprocessors');

alter table private.subject_paths enable row level security;
alter table private.subject_paths force row level security;
revoke all on private.subject_paths from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.subject_paths');

grant select on public.processing_records, public.subprocessors, public.retention to authenticated;

alter table private.compiled_map enable row level security;
alter table private.compiled_map force row level security;
revoke all on private.compiled_map from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.compiled_map');

-- The third lock, on files: out of sight unless opened with a reason, and frozen even then.
drop policy if exists restriction on storage.objects;
create policy restriction on storage.objects as restrictive for select to authenticated
    using ((bucket_id || '/' || name = any ((select private.hidden_files(false))::text[])) is not true);
drop policy if exists restriction_insert on storage.objects;
create policy restriction_insert on storage.objects as restrictive for insert to authenticated
    with check ((bucket_id || '/' || name = any ((select private.hidden_files(true))::text[])) is not true);
drop policy if exists restriction_delete on storage.objects;
create policy restriction_delete on storage.objects as restrictive for delete to authenticated
    using ((bucket_id || '/' || name = any ((select private.hidden_files(true))::text[])) is not true);

-- The third lock, on whatever leads to a person today.
do $$
declare
    target regclass;
begin
    for target in select t from private.restrictable_tables() t loop
        call private.hide_restricted(target);
        call private.guard_restriction(target);
    end loop;
    -- Derived now, so that nobody waits for it later.
    perform private.compiled_steps(kind) from unnest(array['tables', 'erasure', 'retention']) kind;
end $$;
