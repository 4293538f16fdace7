-- A conversation belongs to somebody at the garage, can be closed and taken up again, counts what is
-- unread, and tells both sides over Realtime that something happened, never what.

alter table public.conversations
    add column assigned_to uuid,
    add constraint conversations_assignee_fkey foreign key (garage_id, assigned_to)
        references public.memberships (garage_id, id);
comment on column public.conversations.assigned_to is 'internal: a membership';
comment on constraint conversations_assignee_fkey on public.conversations is
    'member_not_found: Nobody of this garage has this membership | Choose a colleague';
create index conversations_assignee_idx on public.conversations (garage_id, assigned_to);
create index messages_unread_idx on public.messages (garage_id, conversation_id, sender)
    where read_at is null;

create function private.tg_conversations__validate()
returns trigger
language plpgsql
security definer -- colleagues may be hidden from who assigns
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.assigned_to is not null and exists (select from public.memberships m
        where m.garage_id = new.garage_id and m.id = new.assigned_to
            and m.deactivated_at is not null) then
        perform private.refuse('member_not_active', 'This colleague no longer works here',
            'Choose another', 409);
    elsif new.closed_at is null and old.closed_at is not null and exists (
        select from public.conversations c where c.garage_id = new.garage_id
            and c.customer_id = new.customer_id and c.closed_at is null) then
        perform private.refuse('conversation_open_already',
            'Another conversation with this customer is open',
            'Go on in that one, or close it first', 409);
    end if;
    if new.closed_at is not null then
        new.closed_at := coalesce(old.closed_at, now()); -- the moment is the database's to say
    end if;
    return new;
end $$;
create trigger _200_validate before update on public.conversations
    for each row execute function private.tg_conversations__validate();

create function private.unread_count(garage_id uuid, conversation_id uuid, sender text)
returns int
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select count(*)::int from public.messages m
     where m.garage_id = unread_count.garage_id
       and m.conversation_id = unread_count.conversation_id
       and m.sender = unread_count.sender and m.read_at is null;
end;
comment on function private.unread_count is
    'How much of what this side wrote the other has not read; as far as the caller may see';
grant execute on function private.unread_count to authenticated, portal;

create function public.unread_count(public.conversations)
returns int
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select private.unread_count($1.garage_id, $1.id, 'customer');
end;
comment on function public.unread_count is
    'How much of what the customer wrote the garage has not read: a computed column, select=*,unread_count';
grant execute on function public.unread_count to authenticated;

create or replace view portal.conversations with (security_invoker = on) as
    select id, garage_id, closed_at, created_at,
           private.unread_count(garage_id, id, 'garage') as unread_count
      from public.conversations;
comment on view portal.conversations is
    'The customer''s threads with the garage; unread_count is what the garage wrote and the customer has not read';

create or replace view portal.messages with (security_invoker = on) as
    select id, garage_id, conversation_id, sender, body, read_at, created_at, photo_id
      from public.messages;

create view portal.message_photos with (security_invoker = on) as
    select id, garage_id, conversation_id, sender, content_type, storage_path, created_at
      from public.message_photos;
comment on view portal.message_photos is
    'Photos of the customer''s messages; a link to one comes from /functions/v1/portal/photos';

-- Told to both sides: the garage's channel, and the customer's own.
create function private.tell_conversation(garage_id uuid, conversation_id uuid, event text,
    notice jsonb)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select realtime.send(jsonb_build_object('conversation_id', c.id) || tell_conversation.notice,
               tell_conversation.event, topic, true)
      from public.conversations c,
           unnest(array[format('garage:%s:conversations', c.garage_id),
               format('garage:%s:customer:%s', c.garage_id, c.customer_id)]) as topics (topic)
     where c.garage_id = tell_conversation.garage_id
       and c.id = tell_conversation.conversation_id;
$$;

create or replace function private.tg_messages__broadcast()
returns trigger
language plpgsql
security definer -- members may not write to Realtime
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.tell_conversation(new.garage_id, new.conversation_id, 'message',
        jsonb_build_object('message_id', new.id, 'sender', new.sender));
    return null;
end $$;

create function private.tg_conversations__broadcast()
returns trigger
language plpgsql
security definer -- members may not write to Realtime
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.tell_conversation(new.garage_id, new.id, 'conversation',
        jsonb_build_object('is_open', new.closed_at is null));
    return null;
end $$;
create trigger _600_broadcast after update of closed_at on public.conversations
    for each row when ((old.closed_at is null) <> (new.closed_at is null))
    execute function private.tg_conversations__broadcast();

create or replace function private.mark_conversation_read(conversation_id uuid)
returns int
language plpgsql
volatile
security definer -- read_at is a column no member may write for itself
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('conversations.write');
    marked int;
begin
    update public.messages m set read_at = now()
     where m.garage_id = garage
       and m.conversation_id = mark_conversation_read.conversation_id
       and m.sender = 'customer' and m.read_at is null;
    get diagnostics marked = row_count;
    if marked > 0 then
        perform private.tell_conversation(garage, conversation_id, 'read', '{"reader": "garage"}');
    end if;
    return marked;
end $$;

-- What the portal writes.
drop function portal.send_message(text, uuid);
drop function private.portal_send_message(text, uuid);

create function private.portal_thread(conversation_id uuid)
returns public.conversations
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.portal_garage_id('conversations');
    customer uuid := private.portal_customer_id();
    thread public.conversations;
begin
    if garage is null or customer is null then
        perform private.refuse('module_closed', 'Messages are switched off at this garage',
            'Call the garage instead', 403);
    elsif private.take(private.limit_key('message', customer::text), 20, interval '1 minute',
        interval '1 minute') > 0 then
        perform private.refuse('too_many_messages', 'Too many messages in one minute',
            'Wait a minute', 429);
    end if;
    if portal_thread.conversation_id is null then
        insert into public.conversations (garage_id, customer_id) values (garage, customer)
        on conflict do nothing;
    end if;
    select * into thread from public.conversations c
     where c.garage_id = garage and c.customer_id = customer and c.closed_at is null
       and c.id = coalesce(portal_thread.conversation_id, c.id);
    if not found then
        perform private.refuse('conversation_not_found',
            'This conversation does not exist or is closed', 'Begin a new one', 404);
    end if;
    return thread;
end $$;
comment on function private.portal_thread is
    'The open conversation that a customer writes in, begun if they have none; counts what they write';

create function private.portal_send_message(body text, conversation_id uuid, photo_id uuid)
returns portal.messages
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    thread public.conversations := private.portal_thread(conversation_id);
    sent portal.messages;
begin
    insert into public.messages as m (garage_id, conversation_id, sender, author_user_id, body,
        photo_id)
    values (thread.garage_id, thread.id, 'customer', null, coalesce(portal_send_message.body, ''),
        portal_send_message.photo_id)
    returning m.id, m.garage_id, m.conversation_id, m.sender, m.body, m.read_at, m.created_at,
        m.photo_id into sent;
    return sent;
end $$;

create function private.portal_announce_photo(content_type text, conversation_id uuid)
returns portal.message_photos
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    thread public.conversations := private.portal_thread(conversation_id);
    photo portal.message_photos;
begin
    if private.take(private.limit_key('photo', thread.customer_id::text), 50, interval '1 day',
        interval '1 hour') > 0 then
        perform private.refuse('too_many_photos_today', 'At most 50 photos a day',
            'Send the others by e-mail, or tomorrow', 429);
    end if;
    insert into public.message_photos as p (garage_id, conversation_id, sender, content_type)
    values (thread.garage_id, thread.id, 'customer', portal_announce_photo.content_type)
    returning p.id, p.garage_id, p.conversation_id, p.sender, p.content_type, p.storage_path,
        p.created_at into photo;
    return photo;
end $$;

create or replace function private.portal_mark_conversation_read(conversation_id uuid)
returns int
language plpgsql
volatile
security definer -- the role portal may write no table
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.portal_garage_id('conversations');
    marked int;
begin
    update public.messages m set read_at = now()
      from public.conversations c
     where c.garage_id = garage and c.customer_id = private.portal_customer_id()
       and c.id = portal_mark_conversation_read.conversation_id
       and m.garage_id = c.garage_id and m.conversation_id = c.id and m.sender = 'garage'
       and m.read_at is null;
    get diagnostics marked = row_count;
    if marked > 0 then
        perform private.drop_notices(garage, conversation_id);
        perform private.tell_conversation(garage, conversation_id, 'read',
            '{"reader": "customer"}');
    end if;
    return marked;
end $$;
grant execute on function private.portal_send_message, private.portal_announce_photo to portal;

create function portal.send_message(body text default '', conversation_id uuid default null,
    photo_id uuid default null)
returns portal.messages
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.portal_send_message(send_message.body, send_message.conversation_id,
        send_message.photo_id) m;
end;
comment on function portal.send_message is
    'Writes to the garage, in the open conversation or a new one, with a photo or without; the message as stored';

create function portal.announce_photo(content_type text, conversation_id uuid default null)
returns portal.message_photos
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select p.* from private.portal_announce_photo(announce_photo.content_type,
        announce_photo.conversation_id) p;
end;
comment on function portal.announce_photo is
    'Opens one path in the bucket "message_photos" for 15 minutes: upload the file to storage_path, then send_message with the photo''s id. JPEG, PNG or WebP, 5 MB at most';
grant execute on function portal.send_message, portal.announce_photo to portal;
