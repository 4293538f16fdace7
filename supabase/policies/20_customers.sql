-- Customers: staff read and write, a customer reads only their own row.

alter table public.customers enable row level security;
alter table public.customers force row level security;
revoke all on public.customers from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.customers');
call private.audit_table('public.customers');
call private.check_table('public.customers');
create policy tenant_floor on public.customers as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.customers is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.customers to authenticated;
create policy select_member on public.customers for select to authenticated
    using (garage_id = (select private.garage_id_for('customers.read')));
comment on policy select_member on public.customers is 'Members with customers.read';
grant insert (
    garage_id, kind, full_name, company_name, email, phone, street, postal_code, city, country_code,
    vat_number, locale, preferred_channel
) on public.customers to authenticated;
create policy insert_member on public.customers for insert to authenticated
    with check (garage_id = (select private.garage_id_for('customers.write')));
comment on policy insert_member on public.customers is 'Members with customers.write';
grant update (
    kind, full_name, company_name, email, phone, street, postal_code, city, country_code,
    vat_number, locale, preferred_channel, archived_at
) on public.customers to authenticated;
create policy update_member on public.customers for update to authenticated
    using (garage_id = (select private.garage_id_for('customers.write')))
    with check (garage_id = (select private.garage_id_for('customers.write')));
comment on policy update_member on public.customers is 'Members with customers.write';
grant select (
    id, garage_id, kind, full_name, company_name, email, phone, street, postal_code, city,
    country_code, vat_number, locale
) on public.customers to portal;
create policy select_customer on public.customers for select to portal
    using (garage_id = (select private.portal_garage_id())
        and id = (select private.portal_customer_id()));
comment on policy select_customer on public.customers is
    'A customer, through a live portal session: their own';

alter table public.customer_opt_outs enable row level security;
alter table public.customer_opt_outs force row level security;
revoke all on public.customer_opt_outs from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('public.customer_opt_outs');
call private.audit_table('public.customer_opt_outs');
call private.check_table('public.customer_opt_outs');
create policy tenant_floor on public.customer_opt_outs as restrictive for all to public
    using (garage_id = (select private.garage_id()))
    with check (garage_id = (select private.garage_id()));
comment on policy tenant_floor on public.customer_opt_outs is
    'The first lock: no row of another garage, whatever else a policy says';
grant select on public.customer_opt_outs to authenticated;
create policy select_member on public.customer_opt_outs for select to authenticated
    using (garage_id = (select private.garage_id_for('customers.read')));
comment on policy select_member on public.customer_opt_outs is 'Members with customers.read';
grant insert (garage_id, customer_id, channel, reason) on public.customer_opt_outs to authenticated;
create policy insert_member on public.customer_opt_outs for insert to authenticated
    with check (garage_id = (select private.garage_id_for('customers.write')));
comment on policy insert_member on public.customer_opt_outs is 'Members with customers.write';
grant delete on public.customer_opt_outs to authenticated;
create policy delete_member on public.customer_opt_outs for delete to authenticated
    using (garage_id = (select private.garage_id_for('customers.write')));
comment on policy delete_member on public.customer_opt_outs is 'Members with customers.write';
grant select on public.customer_cards to authenticated;
grant select on portal.profile to portal;
