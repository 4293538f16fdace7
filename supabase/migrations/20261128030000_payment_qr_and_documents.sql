-- What a customer can do with an invoice: pay what is left of it by scanning a code, and see beforehand
-- whether there is a document to open.

create function private.payment_qr(garage_id uuid, invoice_id uuid, amount numeric)
returns text
language sql
stable
security definer -- the snapshot is closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
    select concat_ws(E'\n', 'BCD', '002', '1', 'SCT', coalesce(g.garage ->> 'bic', ''),
               left(btrim(regexp_replace(g.garage ->> 'legal_name', '\s+', ' ', 'g')), 70),
               g.garage ->> 'iban', 'EUR' || to_char(payment_qr.amount, 'FM999999990.00'), '',
               i.structured_communication)
      from public.invoices i
     cross join lateral (select i.snapshot -> 'garage') g (garage)
     where i.garage_id = payment_qr.garage_id and i.id = payment_qr.invoice_id
       and i.garage_id = private.portal_garage_id('invoicing')
       and i.customer_id = private.portal_customer_id()
       and i.kind = 'invoice' and i.issued_at is not null
       and i.structured_communication is not null
       and payment_qr.amount between 0.01 and 999999999.99
       and private.is_iban(g.garage ->> 'iban');
$$;
comment on function private.payment_qr is
    'The text of a payment QR code (EPC069-12, version 2) for an invoice of the caller''s own: the account holder and IBAN as on the document, the communication in the structured line; null when there is nothing to pay. Never raises';
grant execute on function private.payment_qr to portal;

create or replace view portal.invoices with (security_invoker = on) as
    select id, garage_id, customer_id, vehicle_id, invoice_number, issue_date, due_date, supply_date,
           odometer_km, currency, net_total, vat_total, gross_total, structured_communication, note,
           private.paid_total(garage_id, id) as paid_total,
           case kind when 'invoice' then private.payment_status(gross_total,
               private.credited_total(garage_id, id), private.paid_total(garage_id, id)) end
               as payment_status,
           kind, credits_invoice_id, discount_percent,
           private.credited_total(garage_id, id) as credited_total,
           case kind when 'invoice' then gross_total - private.credited_total(garage_id, id)
               - private.paid_total(garage_id, id) end as balance,
           private.payment_qr(garage_id, id, gross_total - private.credited_total(garage_id, id)
               - private.paid_total(garage_id, id)) as payment_qr
      from public.invoices;
comment on view portal.invoices is
    'The customer''s issued invoices and credit notes; balance is still to be paid, payment_qr the text of a QR code that pays it';

-- Its body was bound to the columns that invoices had.
create or replace function portal.credited_invoice(portal.invoices)
returns setof portal.invoices
rows 1
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select i.* from portal.invoices i
     where i.garage_id = $1.garage_id and i.id = $1.credits_invoice_id;
end;

create view portal.documents with (security_invoker = on) as
    select d.id, d.garage_id, d.invoice_id, d.version, d.byte_size, d.page_count, d.stored_at
      from public.invoice_documents d
     where not exists (select from public.invoice_documents later
                        where later.garage_id = d.garage_id and later.invoice_id = d.invoice_id
                            and later.version > d.version);
comment on view portal.documents is
    'The PDFs that the customer may open now, the newest of each invoice; a link to one comes from /functions/v1/portal/documents';
