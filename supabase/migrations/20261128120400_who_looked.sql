-- Who looked at whose data: a customer's card opened by staff, a document opened by staff, an export made,
-- a member signed in. The same person looking at the same thing again within a quarter of an hour is one
-- row. And all of it about one customer, for a garage that is asked, and for the customer.

create or replace function private.actor()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    -- Only the API's own login speaks for others: a database user could set any claims.
    if session_user <> 'authenticator' then
        return session_user;
    end if;
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' = 'authenticated' then
        -- Members have a garage in their token and are not looked up here.
        return case when claims ? 'support_grant' then 'support:' || (claims ->> 'support_grant')
            when claims ->> 'garage_id' is null and private.is_operator()
                then 'operator:' || (claims ->> 'sub')
            else 'staff:' || (claims ->> 'sub') end;
    end if;
    return case claims ->> 'role' when 'portal' then 'customer:' || (claims ->> 'sub')
        else coalesce(claims ->> 'role', 'anon') end;
end $$;
comment on function private.actor is
    'Who is doing this: staff:<user id>, customer:<portal account id>, support:<request id> or operator:<user id> for staff of Autexor, or the database role that logged in';

create function private.sign_in_id()
returns uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (current_setting('request.jwt.claims', true)::jsonb ->> 'session_id')::uuid;
exception when others then
    return null;
end $$;
comment on function private.sign_in_id is
    'The sign-in or portal session that the token names; null when it names none. Never raises';

create function private.log_look(garage_id uuid, event text, subject_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into audit.access_entries (garage_id, event, actor, subject_id, session_id)
    select log_look.garage_id, log_look.event, private.actor(), log_look.subject_id,
           private.sign_in_id()
     where not exists (
        select from audit.access_entries a
         where a.garage_id = log_look.garage_id and a.subject_id = log_look.subject_id
           and a.event = log_look.event and a.actor = private.actor()
           and a.occurred_at > clock_timestamp() - interval '15 minutes');
$$;
comment on function private.log_look is
    'Writes that the caller looked at something, once per quarter of an hour';

create function private.log_customer_opened(customer_id uuid)
returns void
language plpgsql
volatile
security definer -- writes the access log, which no member may
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('customers.read');
begin
    if not exists (select from public.customers c
                    where c.garage_id = garage and c.id = log_customer_opened.customer_id) then
        perform private.refuse('customer_not_found', 'This customer does not exist',
            'Look them up in the list', 404);
    end if;
    perform private.log_look(garage, 'customer_opened', log_customer_opened.customer_id);
end $$;
grant execute on function private.log_customer_opened to authenticated;

create function public.open_customer(customer_id uuid)
returns setof public.customer_cards
language sql
volatile
rows 1
set search_path = pg_catalog, pg_temp
begin atomic
    -- Two statements: joined to nothing, the call would not be made at all.
    select private.log_customer_opened(open_customer.customer_id);
    select c.* from public.customer_cards c where c.id = open_customer.customer_id;
end;
comment on function public.open_customer is
    'The card of a customer; that you opened it is written to the access log. Lists and searches are not';
grant execute on function public.open_customer to authenticated;

create function private.log_document_opened(document_id uuid)
returns void
language plpgsql
volatile
security definer -- writes the access log, which no member may
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('documents.read');
    document public.invoice_documents;
begin
    perform private.require('invoices.read');
    select d.* into document from public.invoice_documents d
     where d.garage_id = garage and d.id = log_document_opened.document_id and d.status = 'stored';
    if not found then
        perform private.refuse('document_not_found', 'This document does not exist, or is not kept',
            'See whether it is stored', 404);
    end if;
    perform private.log_look(garage, 'document_opened', document.invoice_id);
end $$;
grant execute on function private.log_document_opened to authenticated;

create function public.open_document(document_id uuid)
returns table (bucket text, path text)
language sql
volatile
rows 1
set search_path = pg_catalog, pg_temp
begin atomic
    select private.log_document_opened(open_document.document_id);
    select 'invoices', d.storage_path
      from public.invoice_documents d where d.id = open_document.document_id;
end;
comment on function public.open_document is
    'Where a stored document is, for a download or a signed URL of a minute; that you opened it is written to the access log';
grant execute on function public.open_document to authenticated;

create or replace function private.render_source(invoice_id uuid)
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
     where i.garage_id = garage and i.id = render_source.invoice_id and i.issued_at is not null
       and (i.id = any (private.hidden_ids('public.invoices'))) is not true; -- the third lock holds here, too
    if source is null then
        perform private.refuse('invoice_not_found',
            'There is no such issued invoice in this garage', 'Issue the invoice first', 404);
    end if;
    perform private.log_access(garage, 'document_rendered', private.actor(),
        render_source.invoice_id, private.sign_in_id(), null, null);
    return source;
end $$;

create function private.access_to_customer(garage_id uuid, customer_id uuid)
returns table (at timestamptz, event text, actor text, subject_id uuid, session_id uuid)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with persons as ( -- a customer who was merged into this one was the same person
        select c.id from public.customers c
         where c.garage_id = access_to_customer.garage_id
           and access_to_customer.customer_id in (c.id, c.merged_into_id)
    ), accounts as (
        select a.id from public.portal_accounts a
         where a.garage_id = access_to_customer.garage_id and a.customer_id in (select p.id from persons p)
    ), subjects as (
        select p.id from persons p
        union all select a.id from accounts a
        union all select i.id from public.invoices i
         where i.garage_id = access_to_customer.garage_id and i.customer_id in (select p.id from persons p)
        union all select f.id from public.message_photos f
          join public.conversations c on c.garage_id = f.garage_id and c.id = f.conversation_id
         where f.garage_id = access_to_customer.garage_id and c.customer_id in (select p.id from persons p)
    )
    select e.occurred_at, e.event, e.actor, e.subject_id, e.session_id
      from audit.access_entries e
     where e.garage_id = access_to_customer.garage_id
       and (e.subject_id in (select s.id from subjects s)
            or e.actor in (select 'customer:' || a.id from accounts a))
     order by e.occurred_at, e.id;
$$;
comment on function private.access_to_customer is
    'Everything the access log holds about one customer: their own sign-ins, and who opened their card, documents or exports';

create function private.own_access_to_customer(customer_id uuid)
returns table (at timestamptz, event text, actor text, subject_id uuid, session_id uuid)
language plpgsql
stable
security definer -- joins accounts and photos, which the permission does not open, to the log, which it does
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('audit.read');
begin
    if not exists (select from public.customers c
                    where c.garage_id = private.require('customers.read')
                      and c.id = own_access_to_customer.customer_id) then
        perform private.refuse('customer_not_found', 'This customer does not exist',
            'Look them up in the list', 404);
    end if;
    return query select a.at, a.event, a.actor, a.subject_id, a.session_id
      from private.access_to_customer(garage, own_access_to_customer.customer_id) a;
end $$;
grant execute on function private.own_access_to_customer to authenticated;

create function public.access_to_customer(customer_id uuid)
returns table (at timestamptz, event text, actor text, subject_id uuid, session_id uuid)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select a.at, a.event, a.actor, a.subject_id, a.session_id
      from private.own_access_to_customer(access_to_customer.customer_id) a;
end;
comment on function public.access_to_customer is
    'Who looked at the data of one customer, in order of time: what to answer when the customer asks';
grant execute on function public.access_to_customer to authenticated;

create function private.portal_access_log()
returns table (at timestamptz, event text, who text)
language sql
stable
security definer -- the log is closed to customers; who of the garage it was is the garage's to tell
set search_path = pg_catalog, pg_temp
as $$
    select a.at, a.event,
           case when a.actor like 'customer:%' then 'you' when a.actor like 'staff:%' then 'garage'
                when a.actor ~ '^(support|operator):' then 'support' else 'system' end
      from private.access_to_customer(private.portal_garage_id(), private.portal_customer_id()) a;
$$;
grant execute on function private.portal_access_log to portal;

create function portal.access_log()
returns table (at timestamptz, event text, who text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select a.at, a.event, a.who from private.portal_access_log() a;
end;
comment on function portal.access_log is
    'Who looked at your data: you, the garage, or support of Autexor';
grant execute on function portal.access_log to portal;
