-- Payments of issued invoices: part by part, too much, and back. Whether an invoice is paid follows
-- from them and is stored nowhere.

insert into private.permissions (permission, module) values ('payments.write', 'invoicing');
insert into private.role_permissions (role, permission)
select role, 'payments.write' from unnest(
    array['owner', 'manager', 'receptionist', 'accountant']::public.member_role[]) role;

create table public.payments (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    invoice_id uuid not null,
    amount numeric not null,
    paid_on date not null,
    method text not null check (method in ('transfer', 'card', 'cash', 'other')),
    note text check (length(note) <= 200),
    recorded_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, invoice_id) references public.invoices (garage_id, id)
);
alter table public.payments enable row level security;
alter table public.payments force row level security;
comment on table public.payments is
    'controller=garage; retention=invoice. Money received for an invoice, or given back; never changed, only set right by another payment';
comment on column public.payments.id is 'internal';
comment on column public.payments.garage_id is 'internal';
comment on column public.payments.invoice_id is 'internal';
comment on column public.payments.amount is 'internal: EUR; below zero for a refund';
comment on column public.payments.paid_on is 'internal';
comment on column public.payments.method is 'internal';
comment on column public.payments.note is
    'personal(content; subject=customer; on_erasure=erase): for the garage alone';
comment on column public.payments.recorded_by is
    'personal(account; subject=staff; on_erasure=keep:invoice): user id of who recorded it';
comment on column public.payments.created_at is 'internal';
create index payments_invoice_idx on public.payments (garage_id, invoice_id);
create index payments_garage_id_paid_on_idx on public.payments (garage_id, paid_on desc);

grant execute on function private.today_at to authenticated, portal;

create function private.tg_payments__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from public.invoices i
                    where i.garage_id = new.garage_id and i.id = new.invoice_id
                        and i.issued_at is not null) then
        perform private.refuse('invoice_not_found',
            'There is no such issued invoice in this garage',
            'Issue the invoice first', 404);
    elsif new.amount = 0 or abs(new.amount) >= 10000000 or new.amount <> round(new.amount, 2) then
        perform private.refuse('payment_amount_invalid',
            'A payment is an amount in euro and whole cents, not 0',
            'Write a refund as an amount below 0');
    elsif new.paid_on > private.today_at(new.garage_id) then
        perform private.refuse('payment_date_invalid', 'A payment cannot lie in the future',
            'Record it on the day the money is there');
    end if;
    new.amount := round(new.amount, 2);
    return new;
end $$;

create trigger _050_require_permission before insert on public.payments
    for each statement execute function private.tg__require_permission('payments.write');
create trigger _200_validate before insert on public.payments
    for each row execute function private.tg_payments__validate();
create trigger _900_append_only before update or delete or truncate on public.payments
    for each statement execute function private.tg__append_only();
alter table public.payments enable always trigger _900_append_only;

create function private.payment_status(gross_total numeric, paid_total numeric)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when paid_total = 0 then 'unpaid'
        when paid_total < gross_total then 'partly_paid'
        when paid_total = gross_total then 'paid'
        else 'overpaid'
    end;
$$;
comment on function private.payment_status is 'unpaid, partly_paid, paid or overpaid';
grant execute on function private.payment_status to authenticated, portal;

create function private.paid_total(garage_id uuid, invoice_id uuid)
returns numeric
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(sum(p.amount), 0) from public.payments p
     where p.garage_id = paid_total.garage_id and p.invoice_id = paid_total.invoice_id;
end;
comment on function private.paid_total is
    'EUR received for an invoice, less what was given back; as far as the caller may see';
grant execute on function private.paid_total to authenticated, portal;

create view public.invoice_balances with (security_invoker = on) as
    select i.id as invoice_id, i.garage_id, i.customer_id, i.invoice_number, i.due_date,
           i.gross_total, p.paid_total, i.gross_total - p.paid_total as balance,
           private.payment_status(i.gross_total, p.paid_total) as payment_status,
           i.due_date < (select private.today_at(private.garage_id()))
               and p.paid_total < i.gross_total as is_overdue
      from public.invoices i
     cross join lateral (select private.paid_total(i.garage_id, i.id)) p (paid_total)
     where i.issued_at is not null;
comment on view public.invoice_balances is
    'What is still to be paid of each issued invoice, and whether it is overdue where the garage is';

create or replace view portal.invoices with (security_invoker = on) as
    select id, garage_id, customer_id, vehicle_id, invoice_number, issue_date, due_date, supply_date,
           odometer_km, currency, net_total, vat_total, gross_total, structured_communication, note,
           private.paid_total(garage_id, id) as paid_total,
           private.payment_status(gross_total, private.paid_total(garage_id, id)) as payment_status
      from public.invoices;
