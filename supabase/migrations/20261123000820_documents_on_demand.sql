-- A garage that keeps no PDFs still shows its own: the edge renders one from the frozen snapshot when a
-- member asks, and nobody keeps it. A stored document can be made again, as a version of its own.

alter table audit.access_entries
    drop constraint access_entries_event_check,
    add constraint access_entries_event_check check (event in ('login', 'login_failed',
        'login_locked', 'logout', 'refresh_token_reused', 'device_mismatch', 'document_link_issued',
        'document_rendered'));

create function private.render_source(invoice_id uuid)
returns jsonb
language plpgsql
volatile
security definer -- writes the access log, which no member may
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('invoices.read');
    source jsonb;
begin
    select jsonb_build_object('invoice_number', i.invoice_number, 'snapshot', i.snapshot,
               'logo_png_base64', translate(encode(l.png, 'base64'), E'\n', ''))
      into source
      from public.invoices i
      left join public.garage_logos l
        on l.garage_id = i.garage_id and l.sha256 = i.snapshot #>> '{garage,logo_sha256}'
     where i.garage_id = garage and i.id = render_source.invoice_id and i.issued_at is not null;
    if source is null then
        perform private.refuse('invoice_not_found',
            'There is no such issued invoice in this garage', 'Issue the invoice first', 404);
    end if;
    perform private.log_access(garage, 'document_rendered', 'staff:' || auth.uid(),
        render_source.invoice_id, (auth.jwt() ->> 'session_id')::uuid, null, null);
    return source;
end $$;
grant execute on function private.render_source to authenticated;

create function public.render_source(invoice_id uuid)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.render_source(render_source.invoice_id);
end;
comment on function public.render_source is
    'What a document is rendered from: {invoice_number, snapshot, logo_png_base64}; logged. POST /functions/v1/invoices/pdf asks it with the caller''s own token';
grant execute on function public.render_source to authenticated;

create function private.render_again(invoice_id uuid)
returns public.invoice_documents
language plpgsql
volatile
security definer -- a member may not write documents
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('invoices.issue');
    latest public.invoice_documents;
begin
    garage := private.require('documents.read');
    perform from public.invoices i
     where i.garage_id = garage and i.id = render_again.invoice_id and i.issued_at is not null
       for no key update;
    if not found then
        perform private.refuse('invoice_not_found',
            'There is no such issued invoice in this garage', 'Issue the invoice first', 404);
    end if;
    select * into latest from public.invoice_documents d
     where d.garage_id = garage and d.invoice_id = render_again.invoice_id
     order by d.version desc limit 1;
    if latest.status in ('pending', 'rendering') then
        perform private.refuse('document_in_progress', 'This document is being made already',
            'Wait a moment', 409);
    end if;
    insert into public.invoice_documents (garage_id, invoice_id, version)
    values (garage, render_again.invoice_id, coalesce(latest.version, 0) + 1)
    returning * into latest;
    return latest;
end $$;
grant execute on function private.render_again to authenticated;

create function public.render_again(invoice_id uuid)
returns public.invoice_documents
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select d.* from private.render_again(render_again.invoice_id) d;
end;
comment on function public.render_again is
    'Makes a new version of an issued invoice''s document, with the template of today and the content of then; earlier versions are kept';
grant execute on function public.render_again to authenticated;
