-- Customers found and merged in full: a name that is nearly the same at nearly the same address, the
-- language of the garage for who states none, a preferred channel, and a merge that all history follows.

-- Language and preference.
alter table public.customers
    alter column locale drop default,
    add column preferred_channel text,
    add constraint customers_preferred_channel check (
        preferred_channel in ('email', 'sms', 'whatsapp', 'phone', 'post'));
comment on column public.customers.preferred_channel is
    'personal(preference; subject=customer; on_erasure=erase): how the customer likes to be reached; null is no preference';
comment on constraint customers_preferred_channel on public.customers is
    'channel_unknown: This channel is not known | Use email, sms, whatsapp, phone or post';

create function private.tg_customers__speak()
returns trigger
language plpgsql
security definer -- who writes customers need not read the garage
set search_path = pg_catalog, pg_temp
as $$
begin
    new.locale := coalesce(new.locale, (select g.locale from public.garages g
                                         where g.id = new.garage_id));
    return new;
end $$;
create trigger _150_speak before insert on public.customers
    for each row execute function private.tg_customers__speak();

create or replace view public.customer_cards with (security_invoker = on) as
    select c.id, c.garage_id, c.kind, c.full_name, c.company_name, c.email, c.phone, c.street,
           c.postal_code, c.city, c.country_code, c.vat_number, c.locale, c.archived_at,
           c.merged_into_id, c.created_at,
           (select count(*) from public.vehicle_ownerships o
             where o.garage_id = c.garage_id and o.customer_id = c.id
               and o.valid_from <= (select private.today_at(private.garage_id()))
               and coalesce(o.valid_to > (select private.today_at(private.garage_id())), true)
           ) as vehicles,
           (select coalesce(array_agg(t.channel order by t.channel), '{}')
              from public.customer_opt_outs t
             where t.garage_id = c.garage_id and t.customer_id = c.id) as opted_out_of,
           b.invoices, b.last_invoiced_on, b.invoiced_total, b.balance, c.preferred_channel
      from public.customers c
     cross join lateral (
        select count(*) as invoices, max(i.issue_date) as last_invoiced_on,
               sum(i.gross_total) as invoiced_total,
               sum(i.gross_total - private.credited_total(i.garage_id, i.id)
                   - private.paid_total(i.garage_id, i.id)) as balance
          from (select c.garage_id, c.id
                union all
                select d.garage_id, d.id from public.customers d
                 where d.garage_id = c.garage_id and d.merged_into_id = c.id) payer
          join public.invoices i on i.garage_id = payer.garage_id and i.customer_id = payer.id
         where i.kind = 'invoice' and i.issued_at is not null) b;

-- Nearly the same name: a letter more, less or other, words together or apart (trigrams alike for 55 of
-- 100). Jan and Jean Peeters at one address are shown too, Jan and Piet Peeters (50) are not.
drop index public.customers_garage_id_name_key_idx;
create index customers_name_key_idx on public.customers using gin (
    garage_id, private.name_key(full_name) extensions.gin_trgm_ops);
create index customers_company_name_key_idx on public.customers using gin (
    garage_id, private.name_key(company_name) extensions.gin_trgm_ops);

create function private.is_near_address(one public.customers, other public.customers)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(one.postal_code = other.postal_code, true)
        and coalesce(extensions.similarity(private.name_key(one.street),
                private.name_key(other.street)) >= 0.4, true);
$$;
comment on function private.is_near_address is
    'The same postal code and nearly the same street; what one of the two lacks speaks against nothing';

create function private.find_near_names(customer public.customers)
returns setof uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set pg_trgm.similarity_threshold = '0.55'
as $$
begin
    return query
        select n.id from public.customers n
         where n.garage_id = customer.garage_id
           and private.name_key(n.full_name) operator(extensions.%)
               private.name_key(customer.full_name)
           -- Whoever writes for a company is not the company.
           and customer.kind = n.kind and private.is_near_address(customer, n)
        union
        select n.id from public.customers n
         where n.garage_id = customer.garage_id
           and private.name_key(n.company_name) operator(extensions.%)
               private.name_key(customer.company_name)
           and private.is_near_address(customer, n);
end $$;
comment on function private.find_near_names is
    'Customers whose name is nearly this one''s, at nearly the same address';

create or replace function private.find_duplicate_customers(customer_id uuid)
returns table (id uuid, full_name text, reasons text[])
language plpgsql
stable
security definer -- name_key is not leakproof: under a policy no index could find the name
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('customers.read');
    customer public.customers;
begin
    select * into customer from public.customers c
     where c.garage_id = garage and c.id = find_duplicate_customers.customer_id;
    return query
        select o.id, o.full_name, array_agg(f.reason order by f.place)
          from (select 1 as place, 'vat_number' as reason, v.id from public.customers v
                 where v.garage_id = garage and v.vat_number = customer.vat_number
                union all
                select 2, 'email', e.id from public.customers e
                 where e.garage_id = garage and e.email = customer.email
                union all
                select 3, 'phone', p.id from public.customers p
                 where p.garage_id = garage and p.phone = customer.phone
                union all
                select 4, 'name_and_address', n.id from private.find_near_names(customer) n (id)) f
          join public.customers o on o.garage_id = garage and o.id = f.id
         where o.id <> customer.id and o.merged_into_id is null
         group by o.garage_id, o.id
         order by count(*) filter (where f.place < 4) desc, o.full_name, o.id;
end $$;
comment on function public.find_duplicate_customers is
    'Customers that may be this one: the same VAT number, e-mail or phone, or nearly the same name (accents, capitals, order of words and a wrong letter aside) at nearly the same address';

-- A merge. What was issued stays with the customer it was issued to; all else follows the kept one.
create function private.move_history(garage_id uuid, from_id uuid, to_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.vehicle_ownerships o set customer_id = to_id
     where o.garage_id = move_history.garage_id and o.customer_id = from_id;
    update public.work_orders w set customer_id = to_id, revision = w.revision + 1
     where w.garage_id = move_history.garage_id and w.customer_id = from_id;
    update public.invoices i set customer_id = to_id, revision = i.revision + 1
     where i.garage_id = move_history.garage_id and i.customer_id = from_id
       and i.issued_at is null and i.kind = 'invoice';
    -- Of two open conversations the kept customer's goes on.
    update public.conversations c set closed_at = now()
     where c.garage_id = move_history.garage_id and c.customer_id = from_id and c.closed_at is null
       and exists (select from public.conversations k
                    where k.garage_id = c.garage_id and k.customer_id = to_id
                        and k.closed_at is null);
    update public.conversations c set customer_id = to_id
     where c.garage_id = move_history.garage_id and c.customer_id = from_id;
    update public.communications c set customer_id = to_id
     where c.garage_id = move_history.garage_id and c.customer_id = from_id;
    insert into public.customer_opt_outs (garage_id, customer_id, channel, reason)
    select o.garage_id, to_id, o.channel, o.reason from public.customer_opt_outs o
     where o.garage_id = move_history.garage_id and o.customer_id = from_id
    on conflict do nothing;
    update public.customers c set merged_into_id = to_id
     where c.garage_id = move_history.garage_id and c.merged_into_id = from_id;
end $$;
comment on function private.move_history is
    'What belongs to a merged customer becomes the other''s: vehicles, work orders, drafts, conversations, messages, opt-outs. Issued invoices and credit notes stay';

create or replace function private.merge_customers(keep_id uuid, duplicate_id uuid)
returns public.customers
language plpgsql
volatile
security definer -- rows of several tables follow the customer, in columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('customers.write');
    kept public.customers;
begin
    perform from public.customers c
     where c.garage_id = garage and c.id in (keep_id, duplicate_id) order by c.id for update;
    if keep_id = duplicate_id or 2 <> (
        select count(*) from public.customers c where c.garage_id = garage
            and c.id in (keep_id, duplicate_id) and c.merged_into_id is null) then
        perform private.refuse('customer_not_found',
            'These are not two customers of this garage', 'Choose two that were not merged yet', 404);
    elsif exists (select from public.portal_accounts a
                   where a.garage_id = garage and a.customer_id = duplicate_id) then
        perform private.refuse('duplicate_has_portal_account',
            'The customer to be merged has a portal account, which would lose its invoices',
            'Keep that one and merge the other way round', 409);
    end if;
    update public.customers c
       set merged_into_id = keep_id, archived_at = coalesce(c.archived_at, now())
     where c.garage_id = garage and c.id = duplicate_id;
    perform private.move_history(garage, duplicate_id, keep_id);
    update public.customers c
       set email = coalesce(c.email, d.email), phone = coalesce(c.phone, d.phone),
           vat_number = coalesce(c.vat_number, d.vat_number),
           company_name = coalesce(c.company_name, d.company_name),
           preferred_channel = coalesce(c.preferred_channel, d.preferred_channel)
      from public.customers d
     where c.garage_id = garage and c.id = keep_id and d.garage_id = garage and d.id = duplicate_id
    returning c.* into kept;
    return kept;
end $$;

-- Its body was bound to the columns that customers had.
create or replace function public.merge_customers(keep_id uuid, duplicate_id uuid)
returns public.customers
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select c.* from private.merge_customers(merge_customers.keep_id, merge_customers.duplicate_id) c;
end;
comment on function public.merge_customers is
    'One customer entered twice becomes one: vehicles, work orders, drafts, conversations, messages and opt-outs follow the kept one, missing contact data is filled in, the other is archived and keeps what was issued to it';

-- A closed work order follows its customer, and one whose mechanic has left can still be finished.
create or replace function private.tg_work_orders__validate()
returns trigger
language plpgsql
security definer -- numbers come from a table that members do not write, and colleagues may be hidden
set search_path = pg_catalog, pg_temp
as $$
declare
    -- A generated column is not there yet.
    moving text[] := '{reference,status,invoice_id,revision,updated_at}';
begin
    if new.assigned_to is distinct from old.assigned_to and exists (
        select from public.memberships m where m.garage_id = new.garage_id
            and m.id = new.assigned_to and m.deactivated_at is not null) then
        perform private.refuse('member_not_active', 'This colleague no longer works here',
            'Choose another', 409);
    end if;
    if tg_op = 'INSERT' then
        if new.status not in ('estimate', 'planned', 'in_progress') then
            perform private.refuse('status_change_not_allowed',
                'A new work order is an estimate, planned or in progress', 'Choose one of these', 409);
        end if;
        new.year := extract(year from private.today_at(new.garage_id));
        return new;
    end if;
    if new.invoice_id is null and old.invoice_id is not null then
        new.status := 'ready';
        new.revision := old.revision + 1;
    end if;
    if exists (select from public.customers c where c.garage_id = old.garage_id
        and c.id = old.customer_id and c.merged_into_id = new.customer_id) then
        moving := moving || 'customer_id'::text;
    end if;
    if new.status <> old.status
        and new.status <> all (private.next_work_order_statuses(old.status)) then
        perform private.refuse('status_change_not_allowed',
            format('A work order that is %s cannot become %s', old.status, new.status),
            'From here it may become: '
                || array_to_string(private.next_work_order_statuses(old.status), ', '), 409);
    elsif old.status in ('invoiced', 'cancelled')
        and to_jsonb(new) - moving <> to_jsonb(old) - moving then
        perform private.refuse('work_order_is_closed',
            format('This work order is %s and can no longer change', old.status),
            'Discard its draft invoice, or plan it anew', 409);
    end if;
    return new;
end $$;
