-- What answers past the policies (search, duplicates, the trace of an invoice, locks) keeps to the third
-- lock, too: a restricted customer is not found by asking otherwise.

create or replace function public.search(query text, max_results int default 20)
returns table (kind text, id uuid, title text, detail text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select s.kind, s.id, s.title, s.detail
      from private.search(search.query, search.max_results) s
     where (s.id = any ((select private.hidden_ids('public.customers')
                || private.hidden_ids('public.vehicles')
                || private.hidden_ids('public.invoices'))::uuid[])) is not true;
end;

create or replace function public.find_duplicate_customers(customer_id uuid)
returns table (id uuid, full_name text, reasons text[])
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select d.id, d.full_name, d.reasons
      from private.find_duplicate_customers(find_duplicate_customers.customer_id) d
     where (d.id = any ((select private.hidden_ids('public.customers'))::uuid[])) is not true;
end;

create or replace function public.trace_invoice(invoice_number text)
returns table (at timestamptz, source text, actor text, event text, detail jsonb)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select t.at, t.source, t.actor, t.event, t.detail
      from private.trace_invoice(trace_invoice.invoice_number) t
     -- Of each row, so that the function is asked first: it says why when it refuses.
     where case when exists (
                select from public.invoices i
                 where i.invoice_number = trace_invoice.invoice_number and t.at is not null)
           then true end;
end;

create or replace function public.portal_locks()
returns table (account_id uuid, login text, device_id uuid, device_label text, failures int,
    locked_until timestamptz, last_failure_at timestamptz, last_address text, last_user_agent text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select l.account_id, l.login, l.device_id, l.device_label, l.failures, l.locked_until,
           l.last_failure_at, l.last_address, l.last_user_agent
      from private.portal_locks() l
     where (l.account_id = any ((select private.hidden_ids('public.portal_accounts'))::uuid[]))
               is not true;
end;
