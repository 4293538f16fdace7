-- What became of messages, who takes no more of them, and what customers answer: written by functions
-- alone; staff read it, lift a suppression and say whose a message is.

alter table public.delivery_events enable row level security;
alter table public.delivery_events force row level security;
revoke all on public.delivery_events from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.delivery_events');
call private.audit_table('public.delivery_events');
create policy tenant_floor on public.delivery_events as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.delivery_events is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.delivery_events to authenticated;
create policy select_member on public.delivery_events for select to authenticated
    using (garage_id = (select private.garage_id_for('deliveries.read')));
comment on policy select_member on public.delivery_events is 'Members with deliveries.read';

alter table public.suppressions enable row level security;
alter table public.suppressions force row level security;
revoke all on public.suppressions from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.suppressions');
call private.audit_table('public.suppressions');
create policy tenant_floor on public.suppressions as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.suppressions is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.suppressions to authenticated;
create policy select_member on public.suppressions for select to authenticated
    using (garage_id = (select private.garage_id_for('deliveries.read')));
comment on policy select_member on public.suppressions is 'Members with deliveries.read';

alter table public.inbound_messages enable row level security;
alter table public.inbound_messages force row level security;
revoke all on public.inbound_messages from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.inbound_messages');
call private.audit_table('public.inbound_messages');
create policy tenant_floor on public.inbound_messages as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.inbound_messages is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.inbound_messages to authenticated;
create policy select_member on public.inbound_messages for select to authenticated
    using (garage_id = (select private.garage_id_for('conversations.read')));
comment on policy select_member on public.inbound_messages is 'Members with conversations.read';

-- Follows the rows it shows: what one may not read there is not in it.
revoke all on public.delivery_history
    from anon, authenticated, portal, service_role, worker, edge;
grant select on public.delivery_history to authenticated;
