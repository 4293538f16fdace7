-- Customers over time: how they may be written to, the same one entered twice, and what they are told
-- when an invoice or a credit note is issued.

create table public.customer_opt_outs (
    garage_id uuid not null,
    customer_id uuid not null,
    channel text not null,
    reason text,
    created_at timestamptz not null default now(),
    primary key (garage_id, customer_id, channel),
    constraint customer_opt_outs_customer_fkey foreign key (garage_id, customer_id)
        references public.customers (garage_id, id),
    constraint customer_opt_outs_channel check (channel in ('email', 'sms', 'whatsapp', 'push')),
    constraint customer_opt_outs_reason check (length(reason) between 1 and 200)
);
alter table public.customer_opt_outs enable row level security;
alter table public.customer_opt_outs force row level security;
comment on table public.customer_opt_outs is
    'controller=garage; retention=garage policy. Channels a customer does not want to be written to on; no row is a yes';
comment on column public.customer_opt_outs.garage_id is 'internal';
comment on column public.customer_opt_outs.customer_id is 'internal';
comment on column public.customer_opt_outs.channel is 'internal';
comment on column public.customer_opt_outs.reason is
    'personal(preference; subject=customer; on_erasure=erase): what they said';
comment on column public.customer_opt_outs.created_at is 'internal';
comment on constraint customer_opt_outs_customer_fkey on public.customer_opt_outs is
    'customer_not_found: This customer does not exist in this garage | Choose a customer of your own garage';
comment on constraint customer_opt_outs_channel on public.customer_opt_outs is
    'channel_unknown: This channel is not known | Use email, sms, whatsapp or push';
comment on constraint customer_opt_outs_reason on public.customer_opt_outs is
    'note_too_long: A reason has 1 to 200 characters | Shorten it';
create trigger _050_require_permission before insert or delete on public.customer_opt_outs
    for each statement execute function private.tg__require_permission('customers.write');

create function private.wants(garage_id uuid, customer_id uuid, channel text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from public.customer_opt_outs o
         where o.garage_id = wants.garage_id and o.customer_id = wants.customer_id
             and o.channel = wants.channel);
$$;
comment on function private.wants is 'Has the customer not opted out of this channel?';

create or replace function private.is_vat_number(value text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value like 'BE%' then private.is_belgian_enterprise_number(substr(value, 3))
        else value ~ ('^(ATU\d{8}|BG\d{9,10}|CY\d{8}[A-Z]|CZ\d{8,10}|DE\d{9}|DK\d{8}|EE\d{9}|EL\d{9}'
            '|ES[A-Z0-9]\d{7}[A-Z0-9]|FI\d{8}|FR[A-Z0-9]{2}\d{9}|HR\d{11}|HU\d{8}'
            '|IE\d[A-Z0-9+*]\d{5}[A-Z]{1,2}|IT\d{11}|LT(\d{9}|\d{12})|LU\d{8}|LV\d{11}|MT\d{8}'
            '|NL[A-Z0-9+*]{10}\d{2}|PL\d{10}|PT\d{9}|RO\d{2,10}|SE\d{12}|SI\d{8}|SK\d{10}'
            '|XI(\d{9}|\d{12}|GD\d{3}|HA\d{3}))$')
            or value ~ '^(GB|CHE|NO|IS|TR|US|MA)[A-Z0-9]{5,13}$'
    end;
$$;
comment on function private.is_vat_number is
    'A Belgian number is checked in full, another EU country''s by the structure VIES gives (ec.europa.eu/taxation_customs/vies, FAQ 11), elsewhere only roughly';

create or replace function private.tg_customers__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.email := lower(btrim(new.email));
    new.vat_number := upper(translate(new.vat_number, ' .-', ''));
    new.phone := regexp_replace(translate(new.phone, ' ./-()', ''), '^00', '+');
    if new.country_code = 'BE' then
        new.phone := regexp_replace(new.phone, '^0(?=[1-9][0-9]{7,8}$)', '+32');
    end if;
    if not private.is_email(new.email) then
        perform private.refuse('email_invalid', 'This is not an e-mail address',
            'Write it as name@example.be');
    elsif not private.is_phone(new.phone) then
        perform private.refuse('phone_invalid', 'This is not an international phone number',
            'Write it as +32470123456');
    elsif not private.is_vat_number(new.vat_number) then
        perform private.refuse('vat_number_invalid', 'This is not a valid VAT number',
            'Write the country code and the digits without points, for example BE0403170701');
    elsif new.merged_into_id is not null and new.archived_at is null then
        perform private.refuse('customer_is_merged', 'This customer was merged into another',
            'Work with the other one', 409);
    end if;
    return new;
end $$;
alter table public.customers
    add column merged_into_id uuid,
    add constraint customers_merged_into_fkey foreign key (garage_id, merged_into_id)
        references public.customers (garage_id, id),
    add constraint customers_merged_into_another check (merged_into_id <> id);
create index customers_merged_into_idx on public.customers (garage_id, merged_into_id);
create index customers_garage_id_email_idx on public.customers (garage_id, email);
create index customers_garage_id_phone_idx on public.customers (garage_id, phone);
create index customers_garage_id_vat_number_idx on public.customers (garage_id, vat_number);
comment on column public.customers.merged_into_id is
    'internal: the customer this one turned out to be; issued invoices stay where they were issued';
drop trigger _200_validate on public.customers;
create trigger _200_validate before insert or update of email, phone, country_code, vat_number,
    archived_at on public.customers
    for each row execute function private.tg_customers__validate();
comment on constraint customers_kind_check on public.customers is
    'customer_kind_unknown: A customer is a person or a company | Use person or company';
comment on constraint customers_full_name_check on public.customers is
    'name_invalid: A name has 1 to 120 characters | Shorten it';
comment on constraint customers_company_name_check on public.customers is
    'name_invalid: A company''s name has 1 to 120 characters | Shorten it';
comment on constraint customers_company_has_name on public.customers is
    'company_name_missing: A company has a name | Fill it in, or make the customer a person';
comment on constraint customers_street_check on public.customers is
    'address_invalid: A street has 1 to 120 characters | Shorten it';
comment on constraint customers_postal_code_check on public.customers is
    'address_invalid: A postal code has 1 to 12 characters | Shorten it';
comment on constraint customers_city_check on public.customers is
    'address_invalid: A city has 1 to 80 characters | Shorten it';
comment on constraint customers_country_code_check on public.customers is
    'country_unknown: A country is two capital letters | Write BE for Belgium';
comment on constraint customers_locale_check on public.customers is
    'locale_unknown: This language is not known | Use nl, fr or en';

-- The same customer twice.
create function private.name_key(value text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(word, ' ' order by word)
      from regexp_split_to_table(translate(lower(value), 'àáâäãåçèéêëìíîïñòóôöõùúûüýÿ',
          'aaaaaaceeeeiiiinooooouuuuyy'), '[^a-z0-9]+') as words (word)
     where word <> '';
$$;
comment on function private.name_key is
    'A name without capitals, accents, punctuation and order of words, to find it written otherwise';
grant execute on function private.name_key to authenticated;
create index customers_garage_id_name_key_idx
    on public.customers (garage_id, private.name_key(full_name));

create function private.find_duplicate_customers(customer_id uuid)
returns table (id uuid, full_name text, reasons text[])
language plpgsql
stable
security definer -- name_key is not leakproof: under a policy no index could find the name
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('customers.read');
begin
    return query
        select o.id, o.full_name, array_remove(array[
                   case when o.vat_number = c.vat_number then 'vat_number' end,
                   case when o.email = c.email then 'email' end,
                   case when o.phone = c.phone then 'phone' end,
                   case when private.name_key(o.full_name) = private.name_key(c.full_name)
                            and coalesce(o.postal_code = c.postal_code, true)
                        then 'name_and_address' end], null) as found
          from public.customers c
          join lateral (
            select v.* from public.customers v
             where v.garage_id = garage and v.vat_number = c.vat_number
            union
            select e.* from public.customers e where e.garage_id = garage and e.email = c.email
            union
            select p.* from public.customers p where p.garage_id = garage and p.phone = c.phone
            union
            select n.* from public.customers n
             where n.garage_id = garage
               and private.name_key(n.full_name) = private.name_key(c.full_name)
               and coalesce(n.postal_code = c.postal_code, true)
          ) o on o.id <> c.id and o.merged_into_id is null
         where c.garage_id = garage and c.id = find_duplicate_customers.customer_id
         order by cardinality(array_remove(array[o.vat_number = c.vat_number, o.email = c.email,
             o.phone = c.phone], null)) desc, o.full_name, o.id;
end $$;
grant execute on function private.find_duplicate_customers to authenticated;

create function public.find_duplicate_customers(customer_id uuid)
returns table (id uuid, full_name text, reasons text[])
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select d.* from private.find_duplicate_customers(find_duplicate_customers.customer_id) d;
end;
comment on function public.find_duplicate_customers is
    'Customers that may be this one: the same VAT number, e-mail or phone, or the same name (accents, capitals and order of words aside) in the same place';
grant execute on function public.find_duplicate_customers to authenticated;

create function private.merge_customers(keep_id uuid, duplicate_id uuid)
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
    update public.vehicle_ownerships o set customer_id = keep_id
     where o.garage_id = garage and o.customer_id = duplicate_id;
    update public.invoices i set customer_id = keep_id
     where i.garage_id = garage and i.customer_id = duplicate_id and i.issued_at is null
         and i.kind = 'invoice';
    insert into public.customer_opt_outs (garage_id, customer_id, channel, reason)
    select o.garage_id, keep_id, o.channel, o.reason from public.customer_opt_outs o
     where o.garage_id = garage and o.customer_id = duplicate_id
    on conflict do nothing;
    update public.customers c set merged_into_id = keep_id
     where c.garage_id = garage and c.merged_into_id = duplicate_id;
    update public.customers c
       set merged_into_id = keep_id, archived_at = coalesce(c.archived_at, now())
     where c.garage_id = garage and c.id = duplicate_id;
    update public.customers c
       set email = coalesce(c.email, d.email), phone = coalesce(c.phone, d.phone),
           vat_number = coalesce(c.vat_number, d.vat_number),
           company_name = coalesce(c.company_name, d.company_name)
      from public.customers d
     where c.garage_id = garage and c.id = keep_id and d.garage_id = garage and d.id = duplicate_id
    returning c.* into kept;
    return kept;
end $$;
grant execute on function private.merge_customers to authenticated;

create function public.merge_customers(keep_id uuid, duplicate_id uuid)
returns public.customers
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select c.* from private.merge_customers(merge_customers.keep_id, merge_customers.duplicate_id) c;
end;
comment on function public.merge_customers is
    'One customer entered twice becomes one: vehicles, drafts and opt-outs follow the kept one, missing contact data is filled in, the other is archived and keeps what was issued to it';
grant execute on function public.merge_customers to authenticated;

create view public.customer_cards with (security_invoker = on) as
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
           b.invoices, b.last_invoiced_on, b.invoiced_total, b.balance
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
comment on view public.customer_cards is
    'A customer with what a receptionist wants to see at once: vehicles, opt-outs, invoices (those of merged customers too) and what is still to be paid';

-- What is announced, and to whom.
alter table public.communications
    drop constraint communications_template_check,
    add constraint communications_template_check check (
        template in ('invoice_issued', 'credit_note_issued'));
alter table public.push_notifications
    drop constraint push_notifications_template_check,
    add constraint push_notifications_template_check check (
        template in ('invoice_issued', 'credit_note_issued', 'message_received'));

create or replace function private.notify_phones(garage_id uuid, customer_id uuid, template text,
    invoice_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.push_notifications (garage_id, push_device_id, invoice_id, template, locale)
    select p.garage_id, p.id, notify_phones.invoice_id, notify_phones.template, c.locale
      from public.push_devices p
      join public.portal_devices d on d.garage_id = p.garage_id and d.id = p.portal_device_id
      join public.portal_accounts a on a.garage_id = d.garage_id and a.id = d.account_id
      join public.customers c on c.garage_id = a.garage_id and c.id = a.customer_id
     where p.garage_id = notify_phones.garage_id and c.id = notify_phones.customer_id
       and p.retired_at is null and d.revoked_at is null and a.deactivated_at is null
       and private.has_module(p.garage_id, 'push')
       and private.wants(c.garage_id, c.id, 'push');
$$;

create or replace function private.announce_invoice(invoice_id uuid, document_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    invoice public.invoices;
begin
    select * into strict invoice from public.invoices i where i.id = announce_invoice.invoice_id;
    -- Told once: a document that is rendered after all has nothing new to say.
    if exists (select from public.communications c
                where c.garage_id = invoice.garage_id and c.invoice_id = invoice.id)
        or exists (select from public.push_notifications p
                    where p.garage_id = invoice.garage_id and p.invoice_id = invoice.id) then
        return;
    end if;
    insert into public.communications (garage_id, customer_id, invoice_id, document_id, template,
        locale, recipient)
    select c.garage_id, c.id, invoice.id, announce_invoice.document_id, invoice.kind || '_issued',
        c.locale, c.email
      from public.customers c
     where c.garage_id = invoice.garage_id and c.id = invoice.customer_id and c.email is not null
       and private.has_module(c.garage_id, 'email') and private.wants(c.garage_id, c.id, 'email');
    perform private.notify_phones(invoice.garage_id, invoice.customer_id, invoice.kind || '_issued',
        invoice.id);
end $$;

create or replace function private.communication_job(communication_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
    hindrance text;
begin
    select * into communication from public.communications t
     where t.id = communication_job.communication_id and t.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    hindrance := case
        when communication.status = 'sending' then 'worker_died'
        when not private.has_module(communication.garage_id, 'email') then 'module_closed'
    end;
    update public.communications t
       set status = case when hindrance is null then 'sending'
                         when t.status = 'sending' then 'unknown' else 'failed' end,
           attempt = t.attempt + 1,
           claimed_at = case when t.status = 'sending' then t.claimed_at else clock_timestamp() end,
           last_error = coalesce(hindrance, t.last_error)
     where t.id = communication.id
    returning * into communication;
    if hindrance is not null then
        perform private.record_attempt('send', communication.id, communication.attempt - (communication.status = 'unknown')::int,
            case communication.status when 'unknown' then 'unknown' else 'give_up' end, hindrance, '{}');
        return null;
    end if;
    return (
        select jsonb_build_object(
            'kind', 'send_message', 'subject_id', communication.id,
            'garage_id', communication.garage_id,
            'attempt', communication.attempt, 'channel', communication.channel,
            'template', communication.template, 'locale', communication.locale,
            'recipient', jsonb_build_object('address', communication.recipient, 'name',
                c.full_name),
            'sender', jsonb_build_object('address', 'no-reply@autexor.be', 'name', g.trade_name,
                'reply_to', g.email),
            'context', jsonb_build_object(
                'garage_name', g.trade_name, 'customer_name', c.full_name,
                'invoice_number', i.invoice_number,
                'issue_date', i.issue_date, 'due_date', i.due_date,
                'gross_total', i.gross_total::text,
                'structured_communication', i.structured_communication,
                'credits_number', i.snapshot #>> '{credits,number}',
                'iban', i.snapshot #>> '{garage,iban}'),
            'attachment', (
                select jsonb_build_object('bucket', 'invoices', 'path', d.storage_path,
                    'filename', i.invoice_number || '.pdf')
                  from public.invoice_documents d where d.id = communication.document_id))
          from public.garages g
          join public.customers c on c.garage_id = g.id and c.id = communication.customer_id
          left join public.invoices i on i.garage_id = g.id and i.id = communication.invoice_id
         where g.id = communication.garage_id);
end $$;