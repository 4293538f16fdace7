-- One box to search in: customers, vehicles and invoices by any part of a name, plate, number or
-- reference. Trigrams find the part; the garage stands first in each index, so that a garage pays for
-- its own rows only.
create extension if not exists pg_trgm with schema extensions;
create extension if not exists btree_gin with schema extensions;

create function private.search_key(variadic words text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select translate(lower(string_agg(word, ' ')), 'àáâäãåçèéêëìíîïñòóôöõùúûüýÿ',
        'aaaaaaceeeeiiiinooooouuuuyy')
      from unnest(words) word where word <> '';
$$;
comment on function private.search_key is 'Texts without capitals and accents, to find a part of them';

create function private.code_key(variadic words text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(regexp_replace(upper(word), '[^A-Z0-9]', '', 'g'), ' ')
      from unnest(words) word where word <> '';
$$;
comment on function private.code_key is
    'Plates, numbers and references without dashes, dots, slashes and spaces, to find a part of them';

grant execute on function private.search_key, private.code_key to authenticated; -- asked by indexes

create index customers_search_idx on public.customers using gin (
    garage_id, private.search_key(full_name, company_name, email) extensions.gin_trgm_ops,
    private.code_key(phone, vat_number) extensions.gin_trgm_ops);
create index vehicles_search_idx on public.vehicles using gin (
    garage_id, private.code_key(vin) extensions.gin_trgm_ops);
create index vehicle_plates_search_idx on public.vehicle_plates using gin (
    garage_id, plate_key extensions.gin_trgm_ops);
create index invoices_search_idx on public.invoices using gin (
    garage_id, private.code_key(invoice_number, structured_communication) extensions.gin_trgm_ops)
    where issued_at is not null;

create type private.finding as (kind text, id uuid, title text, detail text, is_whole boolean);

create function private.find_customers(garage_id uuid, text_part text, code_part text)
returns setof private.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select ('customer', c.id, coalesce(c.company_name, c.full_name),
            concat_ws(', ', case when c.company_name is not null then c.full_name end, c.city, c.phone),
            text_part in (private.search_key(c.full_name), private.search_key(c.company_name),
                c.email) or code_part in (private.code_key(c.phone), private.code_key(c.vat_number))
           )::private.finding
      from public.customers c
     where c.garage_id = find_customers.garage_id and c.merged_into_id is null
       and (private.search_key(c.full_name, c.company_name, c.email) like '%' || text_part || '%'
            -- 0470 is written +32470 here.
            or private.code_key(c.phone, c.vat_number)
                like '%' || regexp_replace(code_part, '^0(?=[0-9])', '') || '%');
$$;

create function private.find_vehicles(garage_id uuid, code_part text)
returns setof private.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select ('vehicle', v.id, coalesce(private.plate_on(v.garage_id, v.id,
                private.today_at(v.garage_id)), v.vin),
            concat_ws(' ', v.make, v.model), code_part = v.vin or bool_or(f.is_whole))::private.finding
      from (select p.vehicle_id, p.plate_key = code_part as is_whole
              from public.vehicle_plates p
             where p.garage_id = find_vehicles.garage_id
                 and p.plate_key like '%' || code_part || '%'
            union all
            select w.id, false from public.vehicles w
             where w.garage_id = find_vehicles.garage_id
                 and private.code_key(w.vin) like '%' || code_part || '%') f
      join public.vehicles v on v.garage_id = find_vehicles.garage_id and v.id = f.vehicle_id
     group by v.garage_id, v.id;
$$;

create function private.find_invoices(garage_id uuid, code_part text)
returns setof private.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select (i.kind, i.id, i.invoice_number,
            concat_ws(', ', i.issue_date, coalesce(c.company_name, c.full_name)),
            code_part in (private.code_key(i.invoice_number),
                private.code_key(i.structured_communication)))::private.finding
      from public.invoices i
      join public.customers c on c.garage_id = i.garage_id and c.id = i.customer_id
     where i.garage_id = find_invoices.garage_id and i.issued_at is not null
       and private.code_key(i.invoice_number, i.structured_communication)
           like '%' || code_part || '%';
$$;

create function private.search(query text, max_results int)
returns table (kind text, id uuid, title text, detail text)
language plpgsql
stable
security definer -- "like" is not leakproof: under a policy no index could find the part
set search_path = pg_catalog, pg_temp
as $$
declare
    -- What a pattern would read otherwise is a letter like any other here.
    text_part text := regexp_replace(private.search_key(btrim(query)), '([\\%_])', '\\\1', 'g');
    code_part text := private.code_key(query);
begin
    if private.staff_garage_id() is null then
        perform private.require('garage.read');
    elsif coalesce(length(btrim(query)), 0) not between 3 and 100 then
        perform private.refuse('search_too_short', 'A search has 3 to 100 characters',
            'Type more of the name, the plate or the number');
    elsif coalesce(max_results, 0) not between 1 and 100 then
        perform private.refuse('limit_invalid', 'A search answers with 1 to 100 results',
            'Ask for fewer');
    end if;
    if coalesce(length(code_part), 0) < 3 then
        code_part := null;
    end if;
    return query
        select f.kind, f.id, f.title, f.detail
          from (select * from private.find_customers(private.garage_id_for('customers.read'),
                    text_part, code_part)
                union all
                select * from private.find_vehicles(private.garage_id_for('vehicles.read'), code_part)
                union all
                select * from private.find_invoices(private.garage_id_for('invoices.read'), code_part)
               ) f
         order by f.is_whole desc nulls last, f.kind, f.title desc, f.id
         limit max_results;
end $$;
grant execute on function private.search to authenticated;

create function public.search(query text, max_results int default 20)
returns table (kind text, id uuid, title text, detail text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select s.* from private.search(search.query, search.max_results) s;
end;
comment on function public.search is
    'Customers, vehicles, invoices and credit notes with this in a name, address, phone, VAT number, plate, VIN, number or reference, the exact ones first; of each kind only what the caller may read';
grant execute on function public.search to authenticated;

-- Conversations, payments and portal sessions say how they refuse.
comment on constraint conversations_garage_id_customer_id_fkey on public.conversations is
    'customer_not_found: This customer does not exist in this garage | Choose a customer of your own garage';
comment on constraint messages_garage_id_conversation_id_fkey on public.messages is
    'conversation_not_found: This conversation does not exist or is closed | Begin a new one';
comment on constraint payments_garage_id_invoice_id_fkey on public.payments is
    'invoice_not_found: There is no such issued invoice in this garage | Issue the invoice first';
comment on constraint portal_sessions_revoke_reason_check on public.portal_sessions is
    'revoke_reason_unknown: This reason is not known | Use garage';
call private.check_table('public.payments');
