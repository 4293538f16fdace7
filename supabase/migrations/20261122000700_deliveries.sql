-- What leaves the database: documents to render, e-mails and pushes to send. The row is the truth of
-- what happened; the queue's message only says "look at this row"; the wake-up holds no data at all.

do $$
begin
    if to_regnamespace('pgmq') is null then
        create extension pgmq;
    end if;
end $$;
select pgmq.create(queue) from unnest(array['render', 'send', 'push']) as queues (queue);

create table private.wakeups (
    id bigint primary key generated always as identity,
    queue text not null,
    created_at timestamptz not null default now()
);
alter table private.wakeups enable row level security;
alter table private.wakeups force row level security;
comment on table private.wakeups is
    'controller=autexor; retention=1 hour. A doorbell for workers, rung through Realtime';
comment on column private.wakeups.id is 'public';
comment on column private.wakeups.queue is 'public';
comment on column private.wakeups.created_at is 'public';
grant select on private.wakeups to service_role;
alter publication supabase_realtime add table private.wakeups;

create table public.invoice_documents (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    invoice_id uuid not null,
    version int not null default 1,
    template_version text,
    status text not null default 'pending'
        check (status in ('pending', 'rendering', 'stored', 'failed')),
    attempt int not null default 0,
    attempt_limit int not null default 5,
    last_error text,
    storage_path text not null generated always as (garage_id::text || '/' || invoice_id::text ||
        '/' || id::text || '.pdf') stored,
    byte_size int,
    sha256 text,
    page_count int,
    claimed_at timestamptz,
    stored_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, invoice_id, version),
    foreign key (garage_id, invoice_id) references public.invoices (garage_id, id),
    constraint invoice_documents_stored_is_complete
        check (status <> 'stored' or num_nulls(byte_size, sha256, page_count, template_version,
            stored_at) = 0)
);
alter table public.invoice_documents enable row level security;
alter table public.invoice_documents force row level security;
comment on table public.invoice_documents is
    'controller=garage; retention=invoice. The PDF of an invoice, one row per version';
comment on column public.invoice_documents.id is 'internal';
comment on column public.invoice_documents.garage_id is 'internal';
comment on column public.invoice_documents.invoice_id is 'internal';
comment on column public.invoice_documents.version is 'internal';
comment on column public.invoice_documents.template_version is 'internal';
comment on column public.invoice_documents.status is 'internal';
comment on column public.invoice_documents.attempt is 'internal: raised by each claim, never reset';
comment on column public.invoice_documents.attempt_limit is
    'internal: raised when a person retries';
comment on column public.invoice_documents.last_error is 'internal';
comment on column public.invoice_documents.storage_path is
    'internal: object in the bucket "invoices"';
comment on column public.invoice_documents.byte_size is 'internal';
comment on column public.invoice_documents.sha256 is 'internal';
comment on column public.invoice_documents.page_count is 'internal';
comment on column public.invoice_documents.claimed_at is 'internal';
comment on column public.invoice_documents.stored_at is 'internal';
comment on column public.invoice_documents.created_at is 'internal';

create table public.communications (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    invoice_id uuid,
    document_id uuid,
    channel text not null default 'email' check (channel = 'email'),
    template text not null check (template in ('invoice_issued')),
    template_version text,
    locale text not null check (locale in ('nl', 'fr', 'en')),
    recipient text not null,
    subject text,
    body_text text,
    body_html text,
    status text not null default 'queued'
        check (status in ('queued', 'sending', 'sent', 'delivered', 'unknown', 'failed')),
    attempt int not null default 0,
    attempt_limit int not null default 8,
    last_error text,
    provider text,
    provider_message_id text,
    claimed_at timestamptz,
    sent_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id),
    foreign key (garage_id, invoice_id) references public.invoices (garage_id, id),
    foreign key (garage_id, document_id) references public.invoice_documents (garage_id, id)
);
alter table public.communications enable row level security;
alter table public.communications force row level security;
comment on table public.communications is
    'controller=garage; retention=garage policy. E-mails to customers, as they were sent, and what became of them';
comment on column public.communications.id is 'internal';
comment on column public.communications.garage_id is 'internal';
comment on column public.communications.customer_id is 'internal';
comment on column public.communications.invoice_id is 'internal';
comment on column public.communications.document_id is 'internal: attached';
comment on column public.communications.channel is 'internal';
comment on column public.communications.template is 'internal';
comment on column public.communications.template_version is 'internal';
comment on column public.communications.locale is 'internal';
comment on column public.communications.recipient is
    'personal(contact; subject=customer; on_erasure=erase)';
comment on column public.communications.subject is
    'personal(content; subject=customer; on_erasure=erase): as sent';
comment on column public.communications.body_text is
    'personal(content; subject=customer; on_erasure=erase): as sent';
comment on column public.communications.body_html is
    'personal(content; subject=customer; on_erasure=erase): as sent';
comment on column public.communications.status is 'internal';
comment on column public.communications.attempt is 'internal: raised by each claim, never reset';
comment on column public.communications.attempt_limit is 'internal: raised when a person retries';
comment on column public.communications.last_error is 'internal';
comment on column public.communications.provider is 'internal';
comment on column public.communications.provider_message_id is 'internal';
comment on column public.communications.claimed_at is 'internal';
comment on column public.communications.sent_at is 'internal';
comment on column public.communications.created_at is 'internal';
create index communications_garage_id_created_at_idx on public.communications (garage_id,
    created_at desc);
create index communications_customer_idx on public.communications (garage_id, customer_id);
create index communications_invoice_idx on public.communications (garage_id, invoice_id);
create index communications_document_idx on public.communications (garage_id, document_id);

create table public.push_devices (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    portal_device_id uuid not null,
    expo_token text not null check (expo_token ~ '^Expo(nent)?PushToken\[[A-Za-z0-9_-]{10,100}\]$'),
    retired_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, portal_device_id),
    foreign key (garage_id, portal_device_id) references public.portal_devices (garage_id, id)
);
alter table public.push_devices enable row level security;
alter table public.push_devices force row level security;
comment on table public.push_devices is
    'controller=garage; retention=garage policy. Where pushes go: the Expo token of one bound device';
comment on column public.push_devices.id is 'internal';
comment on column public.push_devices.garage_id is 'internal';
comment on column public.push_devices.portal_device_id is 'internal';
comment on column public.push_devices.expo_token is 'secret';
comment on column public.push_devices.retired_at is
    'internal: the push service said the token is dead';
comment on column public.push_devices.created_at is 'internal';
comment on column public.push_devices.updated_at is 'internal';

create table public.push_notifications (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    push_device_id uuid not null,
    invoice_id uuid,
    template text not null check (template in ('invoice_issued', 'message_received')),
    locale text not null check (locale in ('nl', 'fr', 'en')),
    status text not null default 'queued'
        check (status in ('queued', 'sending', 'sent', 'delivered', 'unknown', 'failed')),
    attempt int not null default 0,
    attempt_limit int not null default 8,
    last_error text,
    ticket_id text,
    claimed_at timestamptz,
    sent_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, push_device_id) references public.push_devices (garage_id, id),
    foreign key (garage_id, invoice_id) references public.invoices (garage_id, id)
);
alter table public.push_notifications enable row level security;
alter table public.push_notifications force row level security;
comment on table public.push_notifications is
    'controller=garage; retention=90 days. Pushes to customers'' phones and what became of them; no personal data in the payload';
comment on column public.push_notifications.id is 'internal';
comment on column public.push_notifications.garage_id is 'internal';
comment on column public.push_notifications.push_device_id is 'internal';
comment on column public.push_notifications.invoice_id is 'internal';
comment on column public.push_notifications.template is 'internal';
comment on column public.push_notifications.locale is 'internal';
comment on column public.push_notifications.status is 'internal';
comment on column public.push_notifications.attempt is
    'internal: raised by each claim, never reset';
comment on column public.push_notifications.attempt_limit is
    'internal: raised when a person retries';
comment on column public.push_notifications.last_error is 'internal';
comment on column public.push_notifications.ticket_id is 'internal: the push service''s';
comment on column public.push_notifications.claimed_at is 'internal';
comment on column public.push_notifications.sent_at is 'internal';
comment on column public.push_notifications.created_at is 'internal';
create index push_notifications_device_idx on public.push_notifications (garage_id, push_device_id);
create index push_notifications_invoice_idx on public.push_notifications (garage_id, invoice_id);

create table public.delivery_attempts (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    document_id uuid,
    communication_id uuid,
    push_notification_id uuid,
    attempt int not null,
    outcome text not null check (outcome in ('done', 'retry', 'give_up', 'unknown')),
    reason text,
    provider text,
    provider_message_id text,
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp(),
    unique (garage_id, id),
    foreign key (garage_id, document_id) references public.invoice_documents (garage_id, id),
    foreign key (garage_id, communication_id) references public.communications (garage_id, id),
    foreign key (garage_id, push_notification_id)
        references public.push_notifications (garage_id, id),
    constraint delivery_attempts_one_subject
        check (num_nonnulls(document_id, communication_id, push_notification_id) = 1)
);
alter table public.delivery_attempts enable row level security;
alter table public.delivery_attempts force row level security;
comment on table public.delivery_attempts is
    'controller=garage; retention=garage policy. One row for every attempt to render or send';
comment on column public.delivery_attempts.id is 'internal';
comment on column public.delivery_attempts.garage_id is 'internal';
comment on column public.delivery_attempts.document_id is 'internal';
comment on column public.delivery_attempts.communication_id is 'internal';
comment on column public.delivery_attempts.push_notification_id is 'internal';
comment on column public.delivery_attempts.attempt is 'internal';
comment on column public.delivery_attempts.outcome is 'internal';
comment on column public.delivery_attempts.reason is 'internal: kind of error, never content';
comment on column public.delivery_attempts.provider is 'internal';
comment on column public.delivery_attempts.provider_message_id is 'internal';
comment on column public.delivery_attempts.started_at is 'internal';
comment on column public.delivery_attempts.finished_at is 'internal';
create index delivery_attempts_document_idx on public.delivery_attempts (garage_id, document_id);
create index delivery_attempts_communication_idx on public.delivery_attempts (garage_id,
    communication_id);
create index delivery_attempts_push_idx on public.delivery_attempts (garage_id,
    push_notification_id);

create function private.enqueue(queue text, subject_id uuid)
returns void
language plpgsql
volatile
security definer -- nobody but the owner may name pgmq
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pgmq.send(enqueue.queue, jsonb_build_object('id', enqueue.subject_id));
    insert into private.wakeups (queue) values (enqueue.queue);
end $$;

create function private.tg__enqueue()
returns trigger
language plpgsql
security definer -- as private.enqueue
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.enqueue(tg_argv[0], new.id);
    return null;
end $$;
create trigger _500_enqueue after insert on public.invoice_documents
    for each row execute function private.tg__enqueue('render');
create trigger _500_enqueue after insert on public.communications
    for each row execute function private.tg__enqueue('send');
create trigger _500_enqueue after insert on public.push_notifications
    for each row execute function private.tg__enqueue('push');

-- From an issue to its document, and from there to the customer.
create function private.notify_phones(garage_id uuid, customer_id uuid, template text,
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
       and private.has_module(p.garage_id, 'push');
$$;

create function private.announce_invoice(invoice_id uuid, document_id uuid)
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
    select c.garage_id, c.id, invoice.id, announce_invoice.document_id, 'invoice_issued', c.locale,
        c.email
      from public.customers c
     where c.garage_id = invoice.garage_id and c.id = invoice.customer_id and c.email is not null
       and private.has_module(c.garage_id, 'email');
    perform private.notify_phones(invoice.garage_id, invoice.customer_id, 'invoice_issued',
        invoice.id);
end $$;

create function private.tg_invoices__request_document()
returns trigger
language plpgsql
security definer -- a member may not write documents or communications
set search_path = pg_catalog, pg_temp
as $$
begin
    if private.has_module(new.garage_id, 'pdf_storage') then
        insert into public.invoice_documents (garage_id, invoice_id) values (new.garage_id, new.id);
    else
        perform private.announce_invoice(new.id, null);
    end if;
    return null;
end $$;
create trigger _500_request_document after update on public.invoices
    for each row when (old.issued_at is null and new.issued_at is not null)
    execute function private.tg_invoices__request_document();

create function private.tg_invoice_documents__announce()
returns trigger
language plpgsql
security definer -- the worker may not write communications
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.announce_invoice(new.invoice_id, new.id);
    return null;
end $$;
create trigger _500_announce after update on public.invoice_documents
    for each row when (old.status <> 'stored' and new.status = 'stored' and new.version = 1)
    execute function private.tg_invoice_documents__announce();

create function private.tg_messages__notify()
returns trigger
language plpgsql
security definer -- a member may not write push notifications
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.notify_phones(c.garage_id, c.customer_id, 'message_received', null)
       from public.conversations c where c.garage_id = new.garage_id and c.id = new.conversation_id;
    return null;
end $$;
create trigger _500_notify after insert on public.messages
    for each row when (new.sender = 'garage') execute function private.tg_messages__notify();
