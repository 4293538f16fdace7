-- Rectification (art. 16 GDPR): the evidence says which columns changed and whom one told, with salted
-- hashes that prove what from and what to, to whoever knows the values; erasing the person says nothing.

create function private.salted_sha256(salt uuid, value text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select encode(sha256(convert_to(salt || coalesce(value, ''), 'UTF8')), 'hex');
$$;

create function private.rectify_customer(request_id uuid, changes jsonb, told text[])
returns public.rights_requests
language plpgsql
volatile
security definer -- writes evidence, which is not the member's to write
set search_path = pg_catalog, pg_temp
as $$
declare
    request public.rights_requests := private.rights_request(request_id, 'rights.execute',
        array['verified'], array['rectification']);
    open_columns text[] := array['full_name', 'company_name', 'email', 'phone', 'street', 'postal_code',
        'city', 'country_code', 'vat_number', 'locale'];
    before public.customers;
    later public.customers;
begin
    if coalesce(jsonb_typeof(changes), '') <> 'object' or changes = '{}'
        or exists (select from jsonb_object_keys(changes) k where k <> all (open_columns)) then
        perform private.refuse('rectification_invalid', 'This is not a change of what is known of a person',
            format('Send an object with some of: %s', array_to_string(open_columns, ', ')));
    end if;
    select * into before from public.customers c
     where c.garage_id = request.garage_id and c.id = request.customer_id for update;
    later := jsonb_populate_record(before, changes);
    insert into private.erasing (garage_id, as_of, kind)
    values (request.garage_id, now(), 'rectification');
    update public.customers c
       set full_name = later.full_name, company_name = later.company_name, email = later.email,
           phone = later.phone, street = later.street, postal_code = later.postal_code,
           city = later.city, country_code = later.country_code, vat_number = later.vat_number,
           locale = later.locale
     where c.garage_id = request.garage_id and c.id = request.customer_id
    returning * into later;
    delete from private.erasing e where e.garage_id = request.garage_id
        and e.xid = pg_current_xact_id();
    return private.finish_rights_request(request, jsonb_build_object(
        'told', to_jsonb(coalesce(told, '{}')),
        'changed', (
            select jsonb_object_agg(k.key, jsonb_build_object(
                       'from_sha256', private.salted_sha256(request.id, to_jsonb(before) ->> k.key),
                       'to_sha256', private.salted_sha256(request.id, to_jsonb(later) ->> k.key)))
              from jsonb_object_keys(changes) as k (key))));
end $$;

create function public.rectify_customer(request_id uuid, changes jsonb, told text[] default '{}')
returns public.rights_requests
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select r.* from private.rectify_customer(rectify_customer.request_id, rectify_customer.changes,
        rectify_customer.told) r;
end;
comment on function public.rectify_customer is
    'Corrects what is known of a customer; the evidence says which columns and whom one told, not what';

grant execute on function private.rectify_customer, public.rectify_customer to authenticated;
