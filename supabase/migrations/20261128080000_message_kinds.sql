-- The kinds of message there are, one row each: what it says (a function), what must be switched on, by
-- which channels it may go. A new kind is a new row: the queue asks nothing else about it.

create table private.message_kinds (
    kind text primary key,
    content_function text not null,
    modules text[] not null default '{}',
    channels text[] not null default '{email}',
    is_about_access boolean not null default false,
    is_ours_alone boolean not null default false,
    keeps_text boolean not null default true,
    delay_seconds int not null default 0,
    constraint message_kinds_channels check (
        channels <@ array['email', 'sms', 'whatsapp', 'push'] and cardinality(channels) > 0),
    constraint message_kinds_delay check (delay_seconds between 0 and 86400)
);
alter table private.message_kinds enable row level security;
alter table private.message_kinds force row level security;
comment on table private.message_kinds is
    'controller=autexor; retention=none. The kinds of message there are';
comment on column private.message_kinds.kind is 'public';
comment on column private.message_kinds.content_function is
    'public: the function in private that says what a communication of this kind tells; null from it: no longer';
comment on column private.message_kinds.modules is
    'public: what a garage must have on, beside the module of the channel';
comment on column private.message_kinds.channels is 'public: how it may be sent';
comment on column private.message_kinds.is_about_access is
    'public: asked for by its addressee, needed to get in or owed to them; neither opt-outs, quiet hours nor a closed channel hold it up';
comment on column private.message_kinds.is_ours_alone is
    'public: from Autexor, by its own account and in its own name and words, whatever the garage set or suppressed';
comment on column private.message_kinds.keeps_text is
    'public: false where the text holds a token that works';
comment on column private.message_kinds.delay_seconds is
    'public: so long it waits, in case it is not needed any more';

insert into private.message_kinds
    (kind, content_function, modules, channels, is_about_access, keeps_text, delay_seconds)
values
    ('invoice_issued', 'invoice_mail', '{invoicing}', '{email,sms,whatsapp,push}', false, true, 0),
    ('credit_note_issued', 'invoice_mail', '{invoicing}', '{email,sms,whatsapp,push}', false, true,
        0),
    ('payment_reminder', 'payment_reminder_mail', '{invoicing}', '{email,sms,whatsapp,push}', false,
        true, 0),
    ('work_ready', 'work_ready_mail', '{work_orders}', '{email,sms,whatsapp,push}', false, true, 0),
    ('message_received', 'message_mail', '{conversations}', '{email,sms,whatsapp,push}', false,
        true, 300),
    ('member_invited', 'invitation_mail', '{}', '{email}', true, false, 0),
    ('portal_invited', 'portal_mail', '{}', '{email,sms,whatsapp}', true, false, 0),
    ('portal_password_reset', 'portal_mail', '{}', '{email}', true, false, 0),
    ('portal_device_code', 'portal_mail', '{}', '{email}', true, false, 0),
    ('portal_email_change', 'portal_mail', '{}', '{email}', true, false, 0),
    ('portal_notice', 'portal_mail', '{}', '{email}', true, false, 0),
    ('provider_test', 'provider_test_mail', '{}', '{email,sms,whatsapp}', true, true, 0);

create function private.message_kind(kind text)
returns private.message_kinds
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select k from private.message_kinds k where k.kind = message_kind.kind;
$$;
comment on function private.message_kind is 'All about one kind of message';

-- The foreign keys are checked as the owner, so no role needs to read the kinds.
alter table public.communications
    drop constraint communications_template_check,
    add constraint communications_template_fkey foreign key (template)
        references private.message_kinds (kind);
create index communications_template_idx on public.communications (template);
alter table public.push_notifications
    drop constraint push_notifications_template_check,
    add constraint push_notifications_template_fkey foreign key (template)
        references private.message_kinds (kind);
create index push_notifications_template_idx on public.push_notifications (template);
