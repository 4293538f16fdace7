-- The garage's own accounts with senders: written by functions alone, since their keys go into the vault;
-- and how much is sent by a channel. No client role may read where a key lies.

alter table public.provider_accounts enable row level security;
alter table public.provider_accounts force row level security;
revoke all on public.provider_accounts from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.provider_accounts');
call private.audit_table('public.provider_accounts');
call private.check_table('public.provider_accounts');
create policy tenant_floor on public.provider_accounts as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.provider_accounts is
    'The first lock: no row of another garage, whatever else a policy says';
grant select (
    id, garage_id, channel, provider, sender_address, sender_name, host, port, security, username,
    account_sid, webhook_public_key, secret_tail, is_active, test_status, test_reason, tested_at,
    created_at, updated_at
) on public.provider_accounts to authenticated;
create policy select_member on public.provider_accounts for select to authenticated
    using (garage_id = (select private.garage_id_for('providers.read')));
comment on policy select_member on public.provider_accounts is 'Members with providers.read';

alter table public.channel_settings enable row level security;
alter table public.channel_settings force row level security;
revoke all on public.channel_settings from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.channel_settings');
call private.audit_table('public.channel_settings');
call private.check_table('public.channel_settings');
create policy tenant_floor on public.channel_settings as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.channel_settings is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.channel_settings to authenticated;
grant insert (garage_id, channel, daily_limit, recipient_daily_limit, quiet_from, quiet_until)
    on public.channel_settings to authenticated;
grant update (daily_limit, recipient_daily_limit, quiet_from, quiet_until)
    on public.channel_settings to authenticated;
grant delete on public.channel_settings to authenticated;
create policy select_member on public.channel_settings for select to authenticated
    using (garage_id = (select private.garage_id_for('providers.read')));
comment on policy select_member on public.channel_settings is 'Members with providers.read';
create policy insert_member on public.channel_settings for insert to authenticated
    with check (garage_id = (select private.garage_id_for('providers.write')));
comment on policy insert_member on public.channel_settings is 'Members with providers.write';
create policy update_member on public.channel_settings for update to authenticated
    using (garage_id = (select private.garage_id_for('providers.write')))
    with check (garage_id = (select private.garage_id_for('providers.write')));
comment on policy update_member on public.channel_settings is 'Members with providers.write';
create policy delete_member on public.channel_settings for delete to authenticated
    using (garage_id = (select private.garage_id_for('providers.write')));
comment on policy delete_member on public.channel_settings is 'Members with providers.write';

alter table private.send_paces enable row level security;
alter table private.send_paces force row level security;
revoke all on private.send_paces from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.send_paces');
create policy tenant_floor on private.send_paces as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on private.send_paces is
    'The first lock: no row of another garage, whatever else a policy says';
