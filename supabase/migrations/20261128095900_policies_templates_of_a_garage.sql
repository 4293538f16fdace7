-- templates of a garage
-- Compiled from supabase/policies: edit those and compile again, never this text.
set local lock_timeout = '5s';

-- >>> policies/51_templates.sql sha256:808ec59d7ebbf1d5cbda3367b924b7888c021ec1cc81bb2da9616ab717f5a8ec
-- The garage's own words: written by functions alone, since a saved version never changes; members read them.

alter table public.message_templates enable row level security;
alter table public.message_templates force row level security;
revoke all on public.message_templates from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.message_templates');
call private.audit_table('public.message_templates');
call private.check_table('public.message_templates');
create policy tenant_floor on public.message_templates as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.message_templates is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.message_templates to authenticated;
create policy select_member on public.message_templates for select to authenticated
    using (garage_id = (select private.garage_id_for('garage.read')));
comment on policy select_member on public.message_templates is 'Members with garage.read';
-- <<<
