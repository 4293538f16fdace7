-- Billing in full: VAT categories with their legal mentions, discounts, credit notes with a series of
-- their own, drafts that two people cannot overwrite for each other, and the lists a garage works from.

-- What a line and an invoice may be.
drop view portal.invoice_lines;
alter table public.invoice_lines
    add column discount_percent numeric not null default 0,
    add column vat_category text not null default 'standard',
    add column revision int not null default 1,
    drop column net_amount,
    add constraint invoice_lines_discount_percent check (
        discount_percent between 0 and 100 and discount_percent = round(discount_percent, 2)),
    add constraint invoice_lines_vat_category check (vat_category in (
        'standard', 'reverse_charge', 'intra_community', 'margin', 'exempt')),
    add constraint invoice_lines_rate_fits_category check (
        vat_category = 'standard' or vat_rate = 0);
alter table public.invoice_lines add column net_amount numeric(12, 2) not null
    generated always as (round(quantity * unit_price * (100 - discount_percent) / 100, 2)) stored;
comment on column public.invoice_lines.discount_percent is 'internal: per cent off this line';
comment on column public.invoice_lines.vat_category is
    'internal: standard, reverse_charge, intra_community, margin or exempt (EN 16931: S or Z, AE, K, E, E)';
comment on column public.invoice_lines.revision is
    'internal: a change carries the revision it read plus 1';
comment on column public.invoice_lines.net_amount is 'internal: EUR without VAT, discount taken off';
comment on constraint invoice_lines_position_check on public.invoice_lines is
    'position_invalid: A position lies between 1 and 9999 | Number the lines from 1';
comment on constraint invoice_lines_garage_id_invoice_id_position_key on public.invoice_lines is
    'position_taken: Another line of this invoice has this position | Number the lines from 1, each once';
comment on constraint invoice_lines_garage_id_invoice_id_fkey on public.invoice_lines is
    'invoice_not_found: This invoice does not exist | Look it up in the list';
comment on constraint invoice_lines_discount_percent on public.invoice_lines is
    'discount_invalid: A discount lies between 0 and 100 per cent and has at most two decimals | Correct the discount';
comment on constraint invoice_lines_vat_category on public.invoice_lines is
    'vat_category_unknown: This VAT category is not known | Use standard, reverse_charge, intra_community, margin or exempt';
comment on constraint invoice_lines_rate_fits_category on public.invoice_lines is
    'vat_rate_not_zero: Only ordinary lines carry VAT | Set the rate to 0, or the category to standard';
create view portal.invoice_lines with (security_invoker = on) as
    select id, garage_id, invoice_id, position, description, quantity, unit_price, vat_rate,
           net_amount, discount_percent, vat_category
      from public.invoice_lines;
comment on view portal.invoice_lines is 'The lines of the customer''s issued invoices';

alter table public.invoice_vat_totals
    add column vat_category text not null default 'standard',
    add column discount numeric(12, 2) not null default 0,
    drop constraint invoice_vat_totals_pkey,
    add primary key (garage_id, invoice_id, vat_category, vat_rate);
comment on column public.invoice_vat_totals.vat_category is 'internal: as on the lines';
comment on column public.invoice_vat_totals.discount is
    'internal: EUR, this group''s part of the document''s discount; the base is without it';
create or replace view portal.invoice_vat_totals with (security_invoker = on) as
    select garage_id, invoice_id, vat_rate, base, vat, vat_category, discount
      from public.invoice_vat_totals;

alter table public.invoices
    add column kind text not null default 'invoice',
    add column credits_invoice_id uuid,
    add column discount_percent numeric not null default 0,
    add column revision int not null default 1,
    add constraint invoices_kind check (kind in ('invoice', 'credit_note')),
    add constraint invoices_credit_note_has_invoice check (
        (kind = 'credit_note') = (credits_invoice_id is not null)),
    add constraint invoices_credits_invoice_fkey foreign key (garage_id, credits_invoice_id)
        references public.invoices (garage_id, id),
    add constraint invoices_discount_percent check (
        discount_percent between 0 and 100 and discount_percent = round(discount_percent, 2)),
    drop constraint invoices_issued_is_complete,
    add constraint invoices_issued_is_complete check (
        (issued_at is null) = (invoice_number is null)
        and case when issued_at is null
            then num_nonnulls(year, number, issue_date, due_date, net_total, vat_total, gross_total,
                structured_communication, snapshot) = 0
            else num_nulls(year, number, issue_date, due_date, net_total, vat_total, gross_total,
                    snapshot) = 0
                and (structured_communication is null) = (kind = 'credit_note') end);
create index invoices_credits_idx on public.invoices (garage_id, credits_invoice_id);
comment on column public.invoices.kind is 'internal: invoice or credit_note';
comment on column public.invoices.credits_invoice_id is
    'internal: the issued invoice that a credit note corrects';
comment on column public.invoices.discount_percent is
    'internal: per cent off the whole document, after the lines'' own discounts';
comment on column public.invoices.revision is
    'internal: a change of a draft carries the revision it read plus 1';
comment on column public.invoices.gross_total is
    'internal: EUR to pay; of a credit note, EUR given back';
comment on constraint invoices_odometer_km_check on public.invoices is
    'odometer_invalid: An odometer shows 0 to 9999999 kilometres | Check the reading';
comment on constraint invoices_supply_date_check on public.invoices is
    'date_invalid: A supply is dated between 2000 and 2100 | Check the date';
comment on constraint invoices_note_check on public.invoices is
    'note_too_long: A note has at most 1000 characters | Shorten it';
comment on constraint invoices_internal_note_check on public.invoices is
    'note_too_long: An internal note has at most 4000 characters | Shorten it';
comment on constraint invoices_discount_percent on public.invoices is
    'discount_invalid: A discount lies between 0 and 100 per cent and has at most two decimals | Correct the discount';
comment on constraint invoices_garage_id_customer_id_fkey on public.invoices is
    'customer_not_found: This customer does not exist in this garage | Choose a customer of your own garage';
comment on constraint invoices_garage_id_vehicle_id_fkey on public.invoices is
    'vehicle_not_found: This vehicle does not exist in this garage | Choose a vehicle of your own garage';
comment on constraint payments_method_check on public.payments is
    'payment_method_unknown: This way of paying is not known | Use transfer, card, cash or other';
comment on constraint payments_note_check on public.payments is
    'note_too_long: A note has at most 200 characters | Shorten it';

-- Two people at one draft: the second to save is told, never silently overwritten.
create function private.tg__next_revision()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_user = 'authenticated' and new.revision <> old.revision + 1 then
        perform private.refuse('changed_meanwhile',
            format('Somebody changed this meanwhile: it is at revision %s', old.revision),
            'Read it again, and send its revision plus 1 with the change', 409);
    end if;
    return new;
end $$;
comment on function private.tg__next_revision is
    'Optimistic locking: a member''s change carries the revision it read plus 1';
create trigger _910_next_revision before update on public.invoices
    for each row execute function private.tg__next_revision();
create trigger _910_next_revision before update on public.invoice_lines
    for each row execute function private.tg__next_revision();
alter table public.invoices enable always trigger _910_next_revision;
alter table public.invoice_lines enable always trigger _910_next_revision;

-- A credit note stays with the invoice it corrects.
drop trigger _200_validate on public.invoices;
create or replace function private.tg_invoices__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.kind = 'credit_note' and (new.customer_id, new.vehicle_id)
        is distinct from (old.customer_id, old.vehicle_id) then
        perform private.refuse('credit_note_keeps_parties',
            'A credit note is for the customer and the vehicle of its invoice',
            'Credit the other invoice instead', 409);
    end if;
    return new;
end $$;
create trigger _200_validate before update of customer_id, vehicle_id on public.invoices
    for each row execute function private.tg_invoices__validate();

drop function private.refuse_unissuable(public.invoices);
create function private.refuse_unissuable(invoice public.invoices)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    line_total numeric;
begin
    if invoice.issued_at is not null then
        perform private.refuse('invoice_already_issued', format('This invoice is issued: %s',
            invoice.invoice_number),
            'Correct it with a credit note', 409);
    end if;
    select sum(l.net_amount) into line_total from public.invoice_lines l
     where l.garage_id = invoice.garage_id and l.invoice_id = invoice.id;
    if line_total is null then
        perform private.refuse('invoice_without_lines', 'An invoice needs at least one line',
            'Add what was done or sold');
    elsif round(line_total * (100 - invoice.discount_percent) / 100, 2) <= 0 then
        perform private.refuse('invoice_total_not_positive',
            'The total of an invoice must be more than 0',
            'Check the unit prices and the discounts');
    elsif invoice.vehicle_id is not null and (invoice.odometer_km is null or not exists (
        select from public.vehicles v where v.garage_id = invoice.garage_id
            and v.id = invoice.vehicle_id and v.vin is not null)) then
        perform private.refuse('vin_and_odometer_required',
            'An invoice for work on a vehicle states its VIN and its odometer reading',
            'Fill in the VIN of the vehicle and the kilometres on the invoice');
    elsif invoice.supply_date > private.today_at(invoice.garage_id) then
        perform private.refuse('supply_date_in_future', 'The date of supply lies in the future',
            'Issue the invoice when the work is done');
    elsif invoice.kind = 'invoice' then
        perform private.refuse_vat(invoice);
    end if;
end $$;
comment on function private.refuse_unissuable is
    'What stands in the way of issuing. VIN and odometer: law of 11 June 2004 against odometer fraud';

create function private.refuse_vat(invoice public.invoices)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    vat_number text;
    country text;
    has_attest boolean;
    line record;
begin
    select c.vat_number, g.country_code into vat_number, country
      from public.customers c join public.garages g on g.id = c.garage_id
     where c.garage_id = invoice.garage_id and c.id = invoice.customer_id;
    has_attest := coalesce((
        select v.attest_717_valid_from <= coalesce(invoice.supply_date,
                private.today_at(invoice.garage_id))
          from public.vehicles v
         where v.garage_id = invoice.garage_id and v.id = invoice.vehicle_id), false);
    for line in
        select l.position, l.vat_category, l.vat_rate from public.invoice_lines l
         where l.garage_id = invoice.garage_id and l.invoice_id = invoice.id order by l.position
    loop
        if line.vat_category = 'reverse_charge' and vat_number is null then
            perform private.refuse('vat_number_required',
                format('Line %s: VAT is reversed only to a customer with a VAT number', line.position),
                'Fill in the customer''s VAT number, or charge VAT');
        elsif line.vat_category = 'intra_community'
            and coalesce(left(vat_number, 2) = country, true) then
            perform private.refuse('foreign_vat_number_required',
                format('Line %s: this needs a customer with a VAT number of another EU country',
                    line.position),
                'Fill in the customer''s VAT number, or charge VAT');
        elsif line.vat_rate = 6 and invoice.vehicle_id is not null and not has_attest then
            perform private.refuse('attest_717_required',
                format('Line %s: a car is repaired at 6 %% only with an attest 717', line.position),
                'Record the attest on the vehicle, or charge 21 %');
        end if;
    end loop;
end $$;
comment on function private.refuse_vat is
    'Which lines may go without VAT or at 6 %. Cars at 6 %: royal decree no 20, table A, heading XXII, on the attest 717 of the VAT office';

-- Totals: VAT is computed on each group's total. A credit note gives back no more than is left.
create function private.group_lines(invoice public.invoices)
returns setof public.invoice_vat_totals
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select g.garage_id, g.invoice_id, g.vat_rate, g.base, round(g.base * g.vat_rate / 100, 2),
           g.vat_category, g.lines_total - g.base
      from (select l.garage_id, l.invoice_id, round(l.vat_rate, 2) as vat_rate, l.vat_category,
                   sum(l.net_amount) as lines_total,
                   round(sum(l.net_amount) * (100 - invoice.discount_percent) / 100, 2) as base
              from public.invoice_lines l
             where l.garage_id = invoice.garage_id and l.invoice_id = invoice.id
             group by l.garage_id, l.invoice_id, round(l.vat_rate, 2), l.vat_category) g;
$$;
comment on function private.group_lines is 'Base, VAT and discount of an invoice per category and rate';

create function private.uncredited(invoice_id uuid, garage_id uuid)
returns table (vat_category text, vat_rate numeric, base numeric, vat numeric)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select t.vat_category, t.vat_rate,
           t.base - coalesce(sum(c.base), 0), t.vat - coalesce(sum(c.vat), 0)
      from public.invoice_vat_totals t
      left join public.invoices note
        on note.garage_id = t.garage_id and note.credits_invoice_id = t.invoice_id
            and note.issued_at is not null
      left join public.invoice_vat_totals c
        on c.garage_id = note.garage_id and c.invoice_id = note.id
            and c.vat_category = t.vat_category and c.vat_rate = t.vat_rate
     where t.garage_id = uncredited.garage_id and t.invoice_id = uncredited.invoice_id
     group by t.vat_category, t.vat_rate, t.base, t.vat;
$$;
comment on function private.uncredited is
    'What of an issued invoice was not given back yet, per category and rate';

create function private.total_invoice(invoice public.invoices)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.invoice_vat_totals (garage_id, invoice_id, vat_rate, base, vat, vat_category,
        discount)
    select g.garage_id, g.invoice_id, g.vat_rate, g.base, g.vat, g.vat_category, g.discount
      from private.group_lines(invoice) g;
$$;

create function private.total_credit_note(invoice public.invoices)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- One credit note of an invoice at a time.
    perform from public.invoices i
     where i.garage_id = invoice.garage_id and i.id = invoice.credits_invoice_id for update;
    if exists (
        select from private.group_lines(invoice) g
          left join private.uncredited(invoice.credits_invoice_id, invoice.garage_id) u
            on u.vat_category = g.vat_category and u.vat_rate = g.vat_rate
         where g.base > coalesce(u.base, 0)) then
        perform private.refuse('credit_exceeds_invoice',
            'This gives back more than is left of the invoice at one of its VAT rates',
            'Take lines out, or lower quantities', 409);
    end if;
    -- The last part takes the cents that rounding left.
    insert into public.invoice_vat_totals (garage_id, invoice_id, vat_rate, base, vat, vat_category,
        discount)
    select g.garage_id, g.invoice_id, g.vat_rate, g.base,
           case when g.base = u.base then u.vat else least(g.vat, u.vat) end,
           g.vat_category, g.discount
      from private.group_lines(invoice) g
      join private.uncredited(invoice.credits_invoice_id, invoice.garage_id) u
        on u.vat_category = g.vat_category and u.vat_rate = g.vat_rate;
end $$;

create function private.vat_mentions(invoice public.invoices)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(m.mention order by m.mention), '[]')
      from (select distinct case
                when l.vat_category <> 'standard' then l.vat_category
                when l.vat_rate = 6 and invoice.vehicle_id is not null then 'attest_717' end
              from public.invoice_lines l
             where l.garage_id = invoice.garage_id and l.invoice_id = invoice.id) m (mention)
     where m.mention is not null;
$$;
comment on function private.vat_mentions is
    'The legal mentions a document must bear, as codes; the renderer has the words';

create or replace function private.invoice_snapshot(invoice public.invoices)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'schema', 2, 'kind', invoice.kind, 'number', invoice.invoice_number,
        'issue_date', invoice.issue_date,
        'supply_date', coalesce(invoice.supply_date, invoice.issue_date),
        'due_date', invoice.due_date,
        'credits', (
            select jsonb_build_object('number', o.invoice_number, 'issue_date', o.issue_date)
              from public.invoices o where o.garage_id = invoice.garage_id
                  and o.id = invoice.credits_invoice_id),
        'locale', c.locale, 'currency', invoice.currency,
        'garage', jsonb_build_object(
            'legal_name', g.legal_name, 'trade_name', g.trade_name, 'vat_number', g.vat_number,
            'enterprise_number', g.enterprise_number, 'street', g.street,
            'postal_code', g.postal_code, 'city', g.city, 'country_code', g.country_code,
            'email', g.email, 'phone', g.phone, 'iban', g.iban, 'bic', g.bic,
            'accent_color', g.accent_color, 'logo_sha256', g.logo_sha256),
        'customer', jsonb_build_object(
            'name', c.full_name, 'company_name', c.company_name, 'street', c.street,
            'postal_code', c.postal_code, 'city', c.city, 'country_code', c.country_code,
            'vat_number', c.vat_number),
        'vehicle', (
            select jsonb_build_object(
                'plate', private.plate_on(v.garage_id, v.id,
                    coalesce(invoice.supply_date, invoice.issue_date)),
                'make', v.make, 'model', v.model, 'vin', v.vin, 'odometer_km', invoice.odometer_km,
                'attest_717_reference', case when private.vat_mentions(invoice) ? 'attest_717'
                    then v.attest_717_reference end)
              from public.vehicles v where v.garage_id = invoice.garage_id
                  and v.id = invoice.vehicle_id),
        'lines', (
            select jsonb_agg(jsonb_build_object(
                'position', l.position, 'description', l.description, 'quantity', l.quantity::text,
                'unit_price', l.unit_price::text,
                'discount_percent', round(l.discount_percent, 2)::text,
                'vat_category', l.vat_category, 'vat_rate', l.vat_rate::text,
                'net_amount', l.net_amount::text) order by l.position)
              from public.invoice_lines l where l.garage_id = invoice.garage_id
                  and l.invoice_id = invoice.id),
        'discount_percent', round(invoice.discount_percent, 2)::text,
        'vat', (
            select jsonb_agg(jsonb_build_object(
                'category', t.vat_category, 'rate', t.vat_rate::text,
                'discount', t.discount::text, 'base', t.base::text, 'vat', t.vat::text)
                    order by t.vat_rate desc, t.vat_category)
              from public.invoice_vat_totals t where t.garage_id = invoice.garage_id
                  and t.invoice_id = invoice.id),
        'totals', jsonb_build_object('net', invoice.net_total::text, 'vat', invoice.vat_total::text,
            'gross', invoice.gross_total::text),
        'mentions', private.vat_mentions(invoice),
        'structured_communication', invoice.structured_communication, 'note', invoice.note)
      from public.garages g, public.customers c
     where g.id = invoice.garage_id and c.garage_id = invoice.garage_id
         and c.id = invoice.customer_id;
$$;

create function private.number_invoice(inout invoice public.invoices)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    invoice.series := case invoice.kind when 'credit_note' then 'CN' else '' end;
    invoice.issue_date := private.today_at(invoice.garage_id);
    invoice.year := extract(year from invoice.issue_date);
    insert into public.invoice_series as s (garage_id, series, year, last_number, last_issue_date)
    values (invoice.garage_id, invoice.series, invoice.year, 1, invoice.issue_date)
    on conflict (garage_id, series, year) do update
        set last_number = s.last_number + 1,
            last_issue_date = greatest(s.last_issue_date, excluded.last_issue_date)
    returning s.last_number, s.last_issue_date into invoice.number, invoice.issue_date;
    invoice.invoice_number := format('%s%s-%s', invoice.series, invoice.year,
        lpad(invoice.number::text, greatest(5, length(invoice.number::text)), '0'));
    invoice.due_date := invoice.issue_date;
    if invoice.kind = 'invoice' then
        invoice.due_date := invoice.issue_date + (
            select g.payment_days from public.garages g where g.id = invoice.garage_id);
        invoice.structured_communication := private.structured_communication(
            (invoice.year % 100)::bigint * 100000000 + invoice.number);
    end if;
end $$;
comment on function private.number_invoice is
    'Number, dates and structured communication. Locks the row of the series until the end: call it last. Credit notes have a series of their own, and nothing to pay with a reference';

create or replace function private.issue_invoice(invoice_id uuid)
returns public.invoices
language plpgsql
volatile
security definer -- numbers, totals and snapshot are columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('invoices.issue');
    invoice public.invoices;
begin
    select * into invoice from public.invoices i
     where i.garage_id = garage and i.id = issue_invoice.invoice_id for update;
    if not found then
        perform private.refuse('invoice_not_found', 'This invoice does not exist',
            'Look it up in the list', 404);
    end if;
    perform from public.vehicles v
     where v.garage_id = garage and v.id = invoice.vehicle_id for share;
    perform private.refuse_unissuable(invoice);
    if invoice.kind = 'credit_note' then
        perform private.total_credit_note(invoice);
    else
        perform private.total_invoice(invoice);
    end if;
    select sum(t.base), sum(t.vat), sum(t.base) + sum(t.vat)
      into invoice.net_total, invoice.vat_total, invoice.gross_total
      from public.invoice_vat_totals t where t.garage_id = garage and t.invoice_id = invoice.id;
    invoice := private.number_invoice(invoice);
    update public.invoices i
       set issued_at = now(), issued_by = auth.uid(), series = invoice.series,
           issue_date = invoice.issue_date, due_date = invoice.due_date, year = invoice.year,
           number = invoice.number, invoice_number = invoice.invoice_number,
           net_total = invoice.net_total, vat_total = invoice.vat_total,
           gross_total = invoice.gross_total,
           structured_communication = invoice.structured_communication,
           snapshot = private.invoice_snapshot(invoice)
     where i.garage_id = garage and i.id = invoice.id
    returning * into invoice;
    return invoice;
end $$;

drop trigger _400_record_odometer on public.invoices;
create trigger _400_record_odometer after update on public.invoices
    for each row when (old.issued_at is null and new.issued_at is not null
        and new.vehicle_id is not null and new.kind = 'invoice')
    execute function private.tg_invoices__record_odometer();

create function private.credit_invoice(invoice_id uuid, reason text)
returns public.invoices
language plpgsql
volatile
security definer -- the kind and what it credits are columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('invoices.write');
    original public.invoices;
    note public.invoices;
begin
    select * into original from public.invoices i
     where i.garage_id = garage and i.id = credit_invoice.invoice_id and i.issued_at is not null;
    if not found then
        perform private.refuse('invoice_not_found',
            'There is no such issued invoice in this garage', 'Issue the invoice first', 404);
    elsif original.kind = 'credit_note' then
        perform private.refuse('credit_note_not_creditable', 'A credit note cannot be credited',
            'Make a new invoice instead', 409);
    elsif coalesce(btrim(reason), '') = '' then
        perform private.refuse('credit_reason_missing', 'A credit note says why it is given',
            'Say it in a few words');
    end if;
    insert into public.invoices (garage_id, customer_id, vehicle_id, odometer_km, supply_date, note,
        kind, credits_invoice_id, discount_percent)
    values (garage, original.customer_id, original.vehicle_id, original.odometer_km,
        coalesce(original.supply_date, original.issue_date), reason, 'credit_note', original.id,
        original.discount_percent)
    returning * into note;
    insert into public.invoice_lines (garage_id, invoice_id, position, description, quantity,
        unit_price, discount_percent, vat_category, vat_rate)
    select garage, note.id, l.position, l.description, l.quantity, l.unit_price,
           l.discount_percent, l.vat_category, l.vat_rate
      from public.invoice_lines l
     where l.garage_id = garage and l.invoice_id = original.id;
    return note;
end $$;
grant execute on function private.credit_invoice to authenticated;

create function public.credit_invoice(invoice_id uuid, reason text)
returns public.invoices
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select i.* from private.credit_invoice(credit_invoice.invoice_id, credit_invoice.reason) i;
end;
comment on function public.credit_invoice is
    'Drafts a credit note of a whole invoice. Take lines out or lower quantities for a partial one, then issue it like an invoice';
grant execute on function public.credit_invoice to authenticated;

-- What is still to be paid: the total, less what was given back, less what was paid.
create function private.credited_total(garage_id uuid, invoice_id uuid)
returns numeric
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(sum(i.gross_total), 0) from public.invoices i
     where i.garage_id = credited_total.garage_id
       and i.credits_invoice_id = credited_total.invoice_id and i.issued_at is not null;
end;
comment on function private.credited_total is
    'EUR given back by issued credit notes of an invoice; as far as the caller may see';
grant execute on function private.credited_total to authenticated, portal;

create function private.payment_status(gross_total numeric, credited_total numeric,
    paid_total numeric)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when paid_total = 0 and credited_total >= gross_total then 'credited'
        when paid_total = 0 then 'unpaid'
        when paid_total < gross_total - credited_total then 'partly_paid'
        when paid_total = gross_total - credited_total then 'paid'
        else 'overpaid'
    end;
$$;
comment on function private.payment_status(numeric, numeric, numeric) is
    'credited, unpaid, partly_paid, paid or overpaid';
grant execute on function private.payment_status(numeric, numeric, numeric) to authenticated, portal;

drop view public.invoice_balances;
create view public.invoice_balances with (security_invoker = on) as
    select i.id as invoice_id, i.garage_id, i.customer_id, i.invoice_number, i.due_date,
           i.gross_total, c.credited_total, p.paid_total,
           i.gross_total - c.credited_total - p.paid_total as balance,
           private.payment_status(i.gross_total, c.credited_total, p.paid_total) as payment_status,
           i.due_date < (select private.today_at(private.garage_id()))
               and p.paid_total + c.credited_total < i.gross_total as is_overdue
      from public.invoices i
     cross join lateral (select private.paid_total(i.garage_id, i.id)) p (paid_total)
     cross join lateral (select private.credited_total(i.garage_id, i.id)) c (credited_total)
     where i.issued_at is not null and i.kind = 'invoice';
comment on view public.invoice_balances is
    'What is still to be paid of each issued invoice, and whether it is overdue where the garage is';

create or replace view portal.invoices with (security_invoker = on) as
    select id, garage_id, customer_id, vehicle_id, invoice_number, issue_date, due_date, supply_date,
           odometer_km, currency, net_total, vat_total, gross_total, structured_communication, note,
           private.paid_total(garage_id, id) as paid_total,
           case kind when 'invoice' then private.payment_status(gross_total,
               private.credited_total(garage_id, id), private.paid_total(garage_id, id)) end
               as payment_status,
           kind, credits_invoice_id, discount_percent,
           private.credited_total(garage_id, id) as credited_total
      from public.invoices;
comment on view portal.invoices is 'The customer''s issued invoices and credit notes';
drop function private.payment_status(numeric, numeric);

create function portal.credited_invoice(portal.invoices)
returns setof portal.invoices
rows 1
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select i.* from portal.invoices i
     where i.garage_id = $1.garage_id and i.id = $1.credits_invoice_id;
end;
comment on function portal.credited_invoice is
    'The invoice that a credit note corrects: a computed relationship, select=*,credited_invoice(*)';
grant execute on function portal.credited_invoice to portal;

-- The lists.
create view public.open_invoices with (security_invoker = on) as
    select b.*, greatest(b.days_overdue, 0) as overdue_days,
           case when b.days_overdue <= 0 then 'not_due' when b.days_overdue <= 30 then '1-30'
                when b.days_overdue <= 60 then '31-60' when b.days_overdue <= 90 then '61-90'
                else '90+' end as ageing
      from (
        select i.id as invoice_id, i.garage_id, i.customer_id, i.invoice_number, i.issue_date,
               i.due_date, i.gross_total, coalesce(c.total, 0) as credited_total,
               coalesce(p.total, 0) as paid_total,
               i.gross_total - coalesce(c.total, 0) - coalesce(p.total, 0) as balance,
               (select private.today_at(private.garage_id())) - i.due_date as days_overdue
          from public.invoices i
          left join (select n.garage_id, n.credits_invoice_id, sum(n.gross_total) as total
                       from public.invoices n
                      where n.kind = 'credit_note' and n.issued_at is not null
                      group by n.garage_id, n.credits_invoice_id) c
            on c.garage_id = i.garage_id and c.credits_invoice_id = i.id
          left join (select q.garage_id, q.invoice_id, sum(q.amount) as total from public.payments q
                      group by q.garage_id, q.invoice_id) p
            on p.garage_id = i.garage_id and p.invoice_id = i.id
         where i.issued_at is not null and i.kind = 'invoice') b
     where b.balance > 0;
comment on view public.open_invoices is
    'Issued invoices with something left to pay, and how long they are overdue where the garage is: not_due, 1-30, 31-60, 61-90 or 90+ days';

create view public.day_totals with (security_invoker = on) as
    select garage_id, day, sum(invoices) as invoices, sum(credit_notes) as credit_notes,
           sum(net) as net_total, sum(vat) as vat_total, sum(gross) as gross_total,
           sum(paid) as paid_total, sum(cash) as paid_cash, sum(card) as paid_card,
           sum(transfer) as paid_transfer, sum(other) as paid_other
      from (
        select i.garage_id, i.issue_date as day, (i.kind = 'invoice')::int as invoices,
               (i.kind = 'credit_note')::int as credit_notes, s.sign * i.net_total as net,
               s.sign * i.vat_total as vat, s.sign * i.gross_total as gross, 0 as paid,
               0 as cash, 0 as card, 0 as transfer, 0 as other
          from public.invoices i
         cross join lateral (select case i.kind when 'invoice' then 1 else -1 end) s (sign)
         where i.issued_at is not null
        union all
        select p.garage_id, p.paid_on, 0, 0, 0, 0, 0, p.amount,
               case p.method when 'cash' then p.amount else 0 end,
               case p.method when 'card' then p.amount else 0 end,
               case p.method when 'transfer' then p.amount else 0 end,
               case p.method when 'other' then p.amount else 0 end
          from public.payments p) e
     group by garage_id, day;
comment on view public.day_totals is
    'Per day where the garage is: what was invoiced, credit notes taken off, and what was paid, by method';

create function public.vat_totals(from_date date, to_date date)
returns table (vat_category text, vat_rate numeric, base numeric, vat numeric, credited_base numeric,
    credited_vat numeric)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select t.vat_category, t.vat_rate,
           coalesce(sum(t.base) filter (where i.kind = 'invoice'), 0),
           coalesce(sum(t.vat) filter (where i.kind = 'invoice'), 0),
           coalesce(sum(t.base) filter (where i.kind = 'credit_note'), 0),
           coalesce(sum(t.vat) filter (where i.kind = 'credit_note'), 0)
      from public.invoices i
      join public.invoice_vat_totals t on t.garage_id = i.garage_id and t.invoice_id = i.id
     where i.issue_date between vat_totals.from_date and vat_totals.to_date
     group by t.vat_category, t.vat_rate
     order by t.vat_category, t.vat_rate desc;
end;
comment on function public.vat_totals is
    'For the VAT return: base and VAT per category and rate of what was issued from one day to another, both included; credit notes apart';
grant execute on function public.vat_totals to authenticated;

-- Its body was bound to the columns that invoices had.
create or replace function public.issue_invoice(invoice_id uuid)
returns public.invoices
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select i.* from private.issue_invoice(issue_invoice.invoice_id) i;
end;
