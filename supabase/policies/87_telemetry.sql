-- Errors of our apps: a garage reads its own, operators those of nobody and, by a function, all of them.

alter table audit.client_errors enable row level security;
alter table audit.client_errors force row level security;
revoke all on audit.client_errors from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('audit.client_errors');
create policy tenant_floor on audit.client_errors as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on audit.client_errors is
    'The first lock: no row of another garage, whatever else a policy says';
grant select (
    id, garage_id, app, message, stack, url, release, user_agent, occurrences, first_seen_at,
    last_seen_at
) on audit.client_errors to authenticated;
create policy select_member on audit.client_errors for select to authenticated
    using (garage_id = (select private.garage_id_for('telemetry.read')));
comment on policy select_member on audit.client_errors is 'Members with telemetry.read';
grant select on public.client_errors to authenticated;

alter table website.client_errors enable row level security;
alter table website.client_errors force row level security;
revoke all on website.client_errors from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.client_errors');
create policy operator_floor on website.client_errors as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.client_errors is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select (
    id, app, message, stack, url, release, user_agent, occurrences, first_seen_at, last_seen_at
) on website.client_errors to authenticated;
create policy select_operator on website.client_errors for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.client_errors is 'Operators of Autexor';
