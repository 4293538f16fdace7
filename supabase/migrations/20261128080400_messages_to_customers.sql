-- Customers are told by the channel they prefer: invoices, messages, finished work, reminders. And an
-- account is tried out by a message to oneself.

create function private.tell(customer public.customers, kind text, invoice_id uuid default null,
    document_id uuid default null, conversation_id uuid default null,
    work_order_id uuid default null)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.communications (garage_id, customer_id, invoice_id, document_id,
        conversation_id, work_order_id, channel, template, locale, recipient)
    select customer.garage_id, customer.id, tell.invoice_id, tell.document_id,
           tell.conversation_id, tell.work_order_id, way.channel, tell.kind, customer.locale,
           private.address_of(customer, way.channel)
      from (select private.channel_for(customer, tell.kind)) way (channel)
     where way.channel is not null
    returning id;
$$;
comment on function private.tell is
    'Puts a message to a customer on its way; its communication, or null when there is no way to tell them';

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
    perform private.tell(c, invoice.kind || '_issued', invoice_id => invoice.id,
        document_id => announce_invoice.document_id)
       from public.customers c
      where c.garage_id = invoice.garage_id and c.id = invoice.customer_id;
    perform private.notify_phones(invoice.garage_id, invoice.customer_id, invoice.kind || '_issued',
        invoice.id);
end $$;

create or replace function private.tg_messages__notify()
returns trigger
language plpgsql
security definer -- a member may not write push notifications and mails
set search_path = pg_catalog, pg_temp
as $$
declare
    thread public.conversations;
begin
    select * into strict thread from public.conversations c
     where c.garage_id = new.garage_id and c.id = new.conversation_id;
    if private.notify_phones(thread.garage_id, thread.customer_id, 'message_received', null,
        thread.id) > 0 then
        return null;
    end if;
    perform private.tell(c, 'message_received', conversation_id => thread.id)
       from public.customers c
       join public.portal_accounts a on a.garage_id = c.garage_id and a.customer_id = c.id
      where c.garage_id = thread.garage_id and c.id = thread.customer_id
        and a.deactivated_at is null and private.has_module(c.garage_id, 'portal')
        and not exists (select from public.communications told
                         where told.garage_id = thread.garage_id
                           and told.conversation_id = thread.id and told.status <> 'failed'
                           and told.created_at >= coalesce(
                               (select max(m.read_at) from public.messages m
                                 where m.garage_id = thread.garage_id
                                   and m.conversation_id = thread.id and m.sender = 'garage'),
                               '-infinity'));
    return null;
end $$;

create function private.send_payment_reminder(invoice_id uuid)
returns uuid
language plpgsql
volatile
security definer -- a member may not write communications
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('invoices.issue');
    invoice public.invoices;
    told uuid;
begin
    -- Locked, so that two who click at once remind once.
    select * into invoice from public.invoices i
     where i.garage_id = garage and i.id = send_payment_reminder.invoice_id and i.issued_at is not null
       for no key update;
    if not found then
        perform private.refuse('invoice_not_found', 'This invoice does not exist, or is a draft',
            'Look it up in the list', 404);
    elsif invoice.kind <> 'invoice' or invoice.gross_total <= private.paid_total(garage, invoice.id)
        + private.credited_total(garage, invoice.id) then
        perform private.refuse('invoice_not_open', 'There is nothing left to pay here',
            'Remind of invoices with a balance only', 409);
    elsif invoice.due_date >= private.today_at(garage) then
        perform private.refuse('invoice_not_overdue', 'This invoice is not overdue yet',
            format('It is due on %s', invoice.due_date), 409);
    elsif exists (select from public.communications c
                   where c.garage_id = garage and c.invoice_id = invoice.id
                     and c.template = 'payment_reminder' and c.status <> 'failed'
                     and c.created_at > now() - interval '7 days') then
        perform private.refuse('reminded_already', 'The customer was reminded in the last seven days',
            'Wait, or call them', 409);
    end if;
    select private.tell(c, 'payment_reminder', invoice_id => invoice.id) into told
      from public.customers c where c.garage_id = garage and c.id = invoice.customer_id;
    if told is null then
        perform private.refuse('customer_unreachable', 'There is no way to write to this customer',
            'They opted out, gave no address, or the channel is switched off', 409);
    end if;
    perform private.notify_phones(garage, invoice.customer_id, 'payment_reminder', invoice.id);
    return told;
end $$;

create function private.announce_work_ready(work_order_id uuid)
returns uuid
language plpgsql
volatile
security definer -- a member may not write communications
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('work_orders.write');
    work_order public.work_orders;
    told uuid;
begin
    select * into work_order from public.work_orders w
     where w.garage_id = garage and w.id = announce_work_ready.work_order_id for no key update;
    if not found then
        perform private.refuse('work_order_not_found', 'This work order does not exist',
            'Look it up in the list', 404);
    elsif work_order.status not in ('ready', 'invoiced') then
        perform private.refuse('work_order_not_ready', 'This work is not finished',
            'Set the work order to ready first', 409);
    elsif exists (select from public.communications c
                   where c.garage_id = garage and c.work_order_id = work_order.id
                     and c.template = 'work_ready' and c.status <> 'failed') then
        perform private.refuse('told_already', 'The customer was told already',
            'Look at the deliveries of this customer', 409);
    end if;
    select private.tell(c, 'work_ready', work_order_id => work_order.id) into told
      from public.customers c where c.garage_id = garage and c.id = work_order.customer_id;
    if told is null then
        perform private.refuse('customer_unreachable', 'There is no way to write to this customer',
            'They opted out, gave no address, or the channel is switched off', 409);
    end if;
    perform private.notify_phones(garage, work_order.customer_id, 'work_ready', null);
    return told;
end $$;

create function private.test_provider_account(provider_account_id uuid, recipient text)
returns uuid
language plpgsql
volatile
security definer -- a member may not write communications
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('providers.write');
    account public.provider_accounts;
    communication_id uuid;
begin
    select * into account from public.provider_accounts a
     where a.garage_id = garage and a.id = provider_account_id and a.is_active for no key update;
    if not found then
        perform private.refuse('provider_account_not_found', 'No such account is in use',
            'Look at the list, or set up a new one', 404);
    elsif account.channel = 'email' and not private.is_email(recipient)
        or account.channel <> 'email' and not coalesce(recipient ~ '^\+[1-9][0-9]{6,14}$', false) then
        perform private.refuse('recipient_invalid', 'This is no address for this channel',
            'Give an e-mail address, or for texts a number like +32470123456', 422);
    elsif (select count(*) from public.communications c
            where c.garage_id = garage and c.template = 'provider_test'
              and c.created_at > now() - interval '1 hour') >= 10 then
        perform private.refuse('too_many_tests', 'Accounts were tried ten times in this hour',
            'Wait a little, and look at the reason of the last test', 429);
    end if;
    insert into public.communications (garage_id, channel, template, locale, recipient,
        provider_account_id)
    select garage, account.channel, 'provider_test', g.locale, test_provider_account.recipient,
           account.id
      from public.garages g where g.id = garage
    returning id into communication_id;
    return communication_id;
end $$;

create function public.send_payment_reminder(invoice_id uuid)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.send_payment_reminder(send_payment_reminder.invoice_id);
end;
comment on function public.send_payment_reminder is
    'Reminds the customer of an overdue invoice, at most once in seven days; the communication''s id';
create function public.announce_work_ready(work_order_id uuid)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.announce_work_ready(announce_work_ready.work_order_id);
end;
comment on function public.announce_work_ready is
    'Tells the customer, once, that the vehicle can be fetched; the communication''s id';
create function public.test_provider_account(provider_account_id uuid, recipient text)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.test_provider_account(test_provider_account.provider_account_id,
        test_provider_account.recipient);
end;
comment on function public.test_provider_account is
    'Sends a test message by an account; test_status says what became of it. The communication''s id';
grant execute on function private.send_payment_reminder, private.announce_work_ready,
    private.test_provider_account, public.send_payment_reminder, public.announce_work_ready,
    public.test_provider_account to authenticated;
