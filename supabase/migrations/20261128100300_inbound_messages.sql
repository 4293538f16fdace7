-- What customers answer by SMS and WhatsApp: a message in their conversation when the number is theirs
-- alone, else kept until a colleague says whose it is. STOP and START are obeyed whoever writes them.

create table public.inbound_messages (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    provider_account_id uuid not null,
    channel text not null,
    provider_id text not null,
    sender_address text not null,
    body text,
    media_count int not null default 0,
    customer_id uuid,
    message_id uuid,
    created_at timestamptz not null default clock_timestamp(),
    unique (garage_id, id),
    unique (garage_id, provider_id),
    foreign key (garage_id, provider_account_id)
        references public.provider_accounts (garage_id, id),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id),
    foreign key (garage_id, message_id) references public.messages (garage_id, id),
    constraint inbound_messages_channel check (channel in ('sms', 'whatsapp')),
    constraint inbound_messages_are_short check (length(provider_id) between 1 and 64
        and length(sender_address) between 1 and 64 and length(body) <= 4000
        and media_count between 0 and 100),
    constraint inbound_messages_body_is_once check (message_id is null or body is null)
);
alter table public.inbound_messages enable row level security;
alter table public.inbound_messages force row level security;
comment on table public.inbound_messages is
    'controller=garage; retention=garage policy. What came in by SMS and WhatsApp; the words are in the conversation once it is known whose they are';
comment on column public.inbound_messages.id is 'internal';
comment on column public.inbound_messages.garage_id is 'internal';
comment on column public.inbound_messages.provider_account_id is 'internal: where it came in';
comment on column public.inbound_messages.channel is 'internal';
comment on column public.inbound_messages.provider_id is
    'internal: the provider''s id of it, by which it is taken once';
comment on column public.inbound_messages.sender_address is
    'personal(contact; subject=customer; on_erasure=erase)';
comment on column public.inbound_messages.body is
    'personal(content; subject=customer; on_erasure=erase): null once it is in a conversation';
comment on column public.inbound_messages.media_count is
    'internal: pictures and files that came along and stayed at the provider';
comment on column public.inbound_messages.customer_id is 'internal: who wrote; null is not known';
comment on column public.inbound_messages.message_id is 'internal: where the words are';
comment on column public.inbound_messages.created_at is 'internal: when it came in';
create index inbound_messages_customer_idx
    on public.inbound_messages (garage_id, customer_id, created_at desc);
create index inbound_messages_account_idx
    on public.inbound_messages (garage_id, provider_account_id);
create index inbound_messages_message_idx on public.inbound_messages (garage_id, message_id);
create index inbound_messages_created_at_idx
    on public.inbound_messages (garage_id, created_at desc);

-- A text is from whoever says to have that number; only the app knows who somebody is.
alter table public.messages
    add column channel text not null default 'app',
    add constraint messages_channel check (channel in ('app', 'sms', 'whatsapp'));
comment on column public.messages.channel is
    'internal: where it was written; a number can be forged, a sign-in to the app cannot';
comment on constraint messages_channel on public.messages is
    'channel_unknown: This channel is not known | Use app, sms or whatsapp';
call private.audit_table('public.messages');
call private.check_table('public.messages');

create or replace function private.has_open_window(garage_id uuid, customer_id uuid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from public.inbound_messages i
         where i.garage_id = has_open_window.garage_id and i.channel = 'whatsapp'
           and i.customer_id = has_open_window.customer_id
           and i.created_at > clock_timestamp() - interval '24 hours');
$$;
comment on function private.has_open_window is
    'Did this customer write by WhatsApp within 24 hours? Only then may words of our own be sent there';

create function private.wish_in(body text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when word in ('STOP', 'STOPALL', 'STOP ALL', 'STOPPEN', 'UITSCHRIJVEN', 'AFMELDEN',
            'ARRET', 'ARRETER', 'ARRETEZ', 'DESABONNER', 'DESINSCRIRE', 'DESINSCRIPTION',
            'UNSUBSCRIBE', 'CANCEL', 'END', 'QUIT', 'OPTOUT', 'OPT OUT', 'REVOKE') then 'stop'
        when word in ('START', 'UNSTOP', 'STARTEN', 'INSCHRIJVEN', 'AANMELDEN', 'HERVATTEN',
            'REPRENDRE', 'REABONNER', 'SUBSCRIBE') then 'start' end
      from (select btrim(regexp_replace(translate(upper(translate(left(body, 40), 'éèêëÉÈÊË',
                'eeeeEEEE')), '.,;:!?"''()«»-', ''), '\s+', ' ', 'g'))) w (word);
$$;
comment on function private.wish_in is
    'stop or start when a message is nothing but such a word in Dutch, French or English; else null';

create function private.obey(garage_id uuid, channel text, address text, wish text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    customers uuid[] := array(
        select c.id from public.customers c
         where c.garage_id = obey.garage_id and c.phone = obey.address and c.merged_into_id is null
         order by c.id);
begin
    if wish = 'stop' then
        perform private.suppress(garage_id, channel, address, 'stop', null,
            private.customer_at(garage_id, channel, address));
        perform private.opt_out(garage_id, customers, channel);
    elsif wish = 'start' then
        update public.suppressions s
           set lifted_at = clock_timestamp(), lift_reason = 'START'
         where s.garage_id = obey.garage_id and s.channel = obey.channel
           and s.address = lower(obey.address) and s.reason in ('stop', 'unreachable')
           and s.lifted_at is null;
        delete from public.customer_opt_outs o
         where o.garage_id = obey.garage_id and o.customer_id = any (customers)
           and o.channel = obey.channel;
    end if;
end $$;
comment on function private.obey is
    'What STOP and START do for the number they come from, and for every customer who has it';

create function private.customer_at(garage_id uuid, channel text, address text)
returns uuid
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with known as (
        select c.id from public.customers c
         where c.garage_id = customer_at.garage_id and c.phone = customer_at.address
           and c.archived_at is null and c.merged_into_id is null)
    select coalesce(
        (select max(id::text)::uuid from known having count(*) = 1),
        (select m.customer_id from public.communications m
          where m.garage_id = customer_at.garage_id and m.customer_id in (select id from known)
            and m.channel = customer_at.channel and m.recipient = customer_at.address
            and m.attempt > 0
          order by m.created_at desc limit 1));
$$;
comment on function private.customer_at is
    'Whose number it is; of several who share it, who was last written to there, since it is their answer. Else null';

create function private.write_as_customer(inbound public.inbound_messages, customer_id uuid)
returns uuid
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    thread uuid;
    message_id uuid;
begin
    loop
        insert into public.conversations (garage_id, customer_id)
        values (inbound.garage_id, write_as_customer.customer_id)
        on conflict do nothing;
        select c.id into thread from public.conversations c
         where c.garage_id = inbound.garage_id
           and c.customer_id = write_as_customer.customer_id and c.closed_at is null for update;
        exit when found;
    end loop;
    insert into public.messages (garage_id, conversation_id, sender, author_user_id, channel, body,
        created_at)
    values (inbound.garage_id, thread, 'customer', null, inbound.channel,
        private.words_of(inbound), inbound.created_at)
    returning id into message_id;
    return message_id;
end $$;
comment on function private.write_as_customer is
    'What came in, as a message in the customer''s open conversation, begun if there is none; its id';

-- Pictures stay at the provider: that there are some is said where they would have been.
create function private.words_of(inbound public.inbound_messages)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select nullif(left(concat_ws(E'\n', substring(inbound.body from '\S(?:.*\S)?'),
               case when inbound.media_count > 0 then case g.locale
                   when 'fr' then '(avec pièce jointe, non reprise ici)'
                   when 'en' then '(with an attachment, not taken over here)'
                   else '(met een bijlage, hier niet overgenomen)' end end), 4000), '')
      from public.garages g where g.id = inbound.garage_id;
$$;

create function private.receive_message(account_id uuid, channel text, provider_id text,
    sender text, body text, media_count int, wish text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    account public.provider_accounts;
    inbound public.inbound_messages;
begin
    select * into account from public.provider_accounts a
     where a.id = account_id and a.is_active and a.provider = 'twilio';
    if not found then
        perform private.refuse('provider_account_not_found', 'There is no such account',
            'See the list of accounts', 404);
    end if;
    insert into public.inbound_messages (garage_id, provider_account_id, channel, provider_id,
        sender_address, body, media_count, customer_id)
    values (account.garage_id, account.id, receive_message.channel, receive_message.provider_id,
        receive_message.sender, left(receive_message.body, 4000),
        least(greatest(receive_message.media_count, 0), 100),
        private.customer_at(account.garage_id, receive_message.channel, receive_message.sender))
    on conflict do nothing
    returning * into inbound;
    if not found then
        return jsonb_build_object('is_new', false);
    end if;
    perform private.obey(account.garage_id, inbound.channel, inbound.sender_address,
        coalesce(receive_message.wish, private.wish_in(inbound.body)));
    if inbound.customer_id is not null and private.words_of(inbound) is not null
        and private.has_module(account.garage_id, 'conversations') then
        update public.inbound_messages i
           set body = null, message_id = private.write_as_customer(inbound, inbound.customer_id)
         where i.id = inbound.id
        returning * into inbound;
    end if;
    return jsonb_build_object('is_new', true, 'is_in_conversation', inbound.message_id is not null);
end $$;
comment on function private.receive_message is
    'Takes in what came by SMS or WhatsApp, once; STOP and START are obeyed. Whether it was new, and whether it is in a conversation';
grant execute on function private.receive_message to edge;

create function private.assign_inbound_message(inbound_message_id uuid, customer_id uuid)
returns uuid
language plpgsql
volatile
security definer -- writes in the customer's name what the customer wrote
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('conversations.write');
    inbound public.inbound_messages;
begin
    select * into inbound from public.inbound_messages i
     where i.garage_id = garage and i.id = inbound_message_id and i.message_id is null
       and private.words_of(i) is not null for update;
    if not found then
        perform private.refuse('inbound_message_not_found',
            'There is no such message that waits to be assigned', 'See the list', 404);
    elsif not exists (select from public.customers c
                       where c.garage_id = garage and c.id = assign_inbound_message.customer_id
                         and c.archived_at is null and c.merged_into_id is null) then
        perform private.refuse('customer_not_found', 'This customer does not exist in this garage',
            'Choose a customer of your own garage', 404);
    end if;
    update public.inbound_messages i
       set body = null, customer_id = assign_inbound_message.customer_id,
           message_id = private.write_as_customer(inbound, assign_inbound_message.customer_id)
     where i.id = inbound.id
    returning * into inbound;
    return inbound.message_id;
end $$;
grant execute on function private.assign_inbound_message to authenticated;

create function public.assign_inbound_message(inbound_message_id uuid, customer_id uuid)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.assign_inbound_message(assign_inbound_message.inbound_message_id,
        assign_inbound_message.customer_id);
end;
comment on function public.assign_inbound_message is
    'Says whose SMS or WhatsApp message it is: it goes into that customer''s conversation, who sees it there. The message''s id';
grant execute on function public.assign_inbound_message to authenticated;
