-- A message may bring one photo: first a row, which names the one path the file may take, then the file
-- by the sender's own token, then the message. Sizes and types are the bucket's to refuse.

create table public.message_photos (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    conversation_id uuid not null,
    sender text not null default 'garage',
    content_type text not null,
    storage_path text not null generated always as (garage_id::text || '/' || conversation_id::text
        || '/' || id::text || '.' || case content_type when 'image/jpeg' then 'jpg'
            when 'image/png' then 'png' else 'webp' end) stored,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint message_photos_conversation_fkey foreign key (garage_id, conversation_id)
        references public.conversations (garage_id, id),
    constraint message_photos_sender check (sender in ('garage', 'customer')),
    constraint message_photos_content_type check (
        content_type in ('image/jpeg', 'image/png', 'image/webp'))
);
alter table public.message_photos enable row level security;
alter table public.message_photos force row level security;
comment on table public.message_photos is
    'controller=garage; retention=as the conversation. Photos of messages; the file is at storage_path in the bucket "message_photos"';
comment on column public.message_photos.id is 'internal';
comment on column public.message_photos.garage_id is 'internal';
comment on column public.message_photos.conversation_id is 'internal';
comment on column public.message_photos.sender is 'internal';
comment on column public.message_photos.content_type is 'internal';
comment on column public.message_photos.storage_path is
    'internal: where the file is to be put within 15 minutes';
comment on column public.message_photos.created_at is 'internal';
comment on constraint message_photos_conversation_fkey on public.message_photos is
    'conversation_not_found: This conversation does not exist or is closed | Begin a new one';
comment on constraint message_photos_content_type on public.message_photos is
    'photo_type_unknown: A photo is a JPEG, PNG or WebP image | Convert it, or take another';
create index message_photos_conversation_idx
    on public.message_photos (garage_id, conversation_id, created_at);
create index message_photos_path_idx on public.message_photos (storage_path);

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('message_photos', 'message_photos', false, 5242880,
    array['image/jpeg', 'image/png', 'image/webp'])
on conflict (id) do nothing;

alter table public.messages
    alter column body set default '',
    add column photo_id uuid,
    add constraint messages_photo_key unique (garage_id, photo_id),
    add constraint messages_photo_fkey foreign key (garage_id, photo_id)
        references public.message_photos (garage_id, id);
comment on column public.messages.photo_id is 'internal';
comment on constraint messages_photo_key on public.messages is
    'photo_already_sent: This photo was sent already | Announce another';
comment on constraint messages_photo_fkey on public.messages is
    'photo_not_found: There is no such photo ready to be sent in this conversation | Announce it, upload its file, then send it';

create function private.is_photo_ready(
    garage_id uuid, conversation_id uuid, sender text, photo_id uuid)
returns boolean
language sql
stable
security definer -- files are not a member's to look for
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from public.message_photos p
          join storage.objects o on o.bucket_id = 'message_photos' and o.name = p.storage_path
         where p.garage_id = is_photo_ready.garage_id and p.id = is_photo_ready.photo_id
           and p.conversation_id = is_photo_ready.conversation_id
           and p.sender = is_photo_ready.sender);
$$;
comment on function private.is_photo_ready is
    'Did this side announce this photo for this conversation, and is its file there?';
grant execute on function private.is_photo_ready to authenticated;

create or replace function private.tg_messages__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if (coalesce(new.body, '') !~ '\S' and new.photo_id is null) or length(new.body) > 4000 then
        perform private.refuse('message_body_invalid', 'A message has 1 to 4000 characters',
            'Write something, or split it in two');
    elsif not exists (select from public.conversations c
                       where c.garage_id = new.garage_id and c.id = new.conversation_id
                           and c.closed_at is null) then
        perform private.refuse('conversation_not_found',
            'This conversation does not exist or is closed',
            'Begin a new one', 404);
    elsif new.photo_id is not null and not private.is_photo_ready(new.garage_id,
        new.conversation_id, new.sender, new.photo_id) then
        perform private.refuse('photo_not_found',
            'There is no such photo ready to be sent in this conversation',
            'Announce it, upload its file, then send it', 404);
    end if;
    return new;
end $$;

create function private.tg_message_photos__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from public.conversations c
                    where c.garage_id = new.garage_id and c.id = new.conversation_id
                        and c.closed_at is null) then
        perform private.refuse('conversation_not_found',
            'This conversation does not exist or is closed', 'Begin a new one', 404);
    end if;
    return new;
end $$;
create trigger _050_require_permission before insert on public.message_photos
    for each statement execute function private.tg__require_permission('conversations.write');
create trigger _200_validate before insert on public.message_photos
    for each row execute function private.tg_message_photos__validate();

create function private.is_message_photo_path(name text, side text)
returns boolean
language plpgsql
stable
security definer -- asked by Storage's policies, past those of the table
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from public.message_photos p
          join public.conversations c
            on c.garage_id = p.garage_id and c.id = p.conversation_id and c.closed_at is null
         where p.storage_path = name and p.created_at > now() - interval '15 minutes'
           and p.sender = side
           and case side
               when 'garage' then p.garage_id = private.garage_id_for('conversations.write')
               else p.garage_id = private.portal_garage_id('conversations')
                   and c.customer_id = private.portal_customer_id() end);
end $$;
comment on function private.is_message_photo_path is
    'Is this the path of a photo that the caller announced a moment ago, for this side? Never raises';
grant execute on function private.is_message_photo_path to authenticated, portal;

-- A link to a photo is asked for and given as a link to a document is.
alter table private.document_grants
    alter column document_id drop not null,
    add column photo_id uuid,
    add foreign key (garage_id, photo_id) references public.message_photos (garage_id, id),
    add constraint document_grants_one_file check (num_nonnulls(document_id, photo_id) = 1);
comment on column private.document_grants.photo_id is 'internal';
create index document_grants_photo_idx on private.document_grants (garage_id, photo_id);

create or replace function private.granted_object_name()
returns text
language plpgsql
stable
security definer -- grants are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
declare
    nonce text;
begin
    nonce := current_setting('request.headers', true)::jsonb ->> 'x-document-grant';
    return (select g.object_name from private.document_grants g
             where g.nonce_sha256 = encode(sha256(convert_to(nonce, 'UTF8')), 'hex')
               and g.session_id = (private.portal_session()).id and g.expires_at > now()
               and private.has_module(g.garage_id,
                   case when g.photo_id is null then 'pdf_storage' else 'conversations' end));
exception when others then
    return null;
end $$;

create function private.portal_grant_photo(
    session_id uuid, account_id uuid, garage_id uuid, message_id uuid, grant_sha256 text,
    client_ip text, user_agent text)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    session public.portal_sessions := private.live_portal_session(session_id, account_id,
        garage_id);
    photo public.message_photos;
begin
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    select p.* into photo
      from public.messages m
      join public.message_photos p on p.garage_id = m.garage_id and p.id = m.photo_id
      join public.conversations c on c.garage_id = m.garage_id and c.id = m.conversation_id
      join public.portal_accounts a on a.garage_id = c.garage_id and a.customer_id = c.customer_id
     where a.garage_id = session.garage_id and a.id = session.account_id
       and m.id = portal_grant_photo.message_id
       and private.has_module(m.garage_id, 'conversations');
    if not found then
        return jsonb_build_object('error', 'document_not_found');
    end if;
    insert into private.document_grants (nonce_sha256, garage_id, session_id, photo_id,
        object_name, expires_at)
    values (grant_sha256, session.garage_id, session.id, photo.id, photo.storage_path,
        now() + interval '1 minute');
    perform private.log_access(session.garage_id, 'document_link_issued',
        'customer:' || session.account_id, photo.id, session.id, client_ip, user_agent);
    return jsonb_build_object('bucket', 'message_photos', 'path', photo.storage_path,
        'filename', regexp_replace(photo.storage_path, '^.*/', ''));
end $$;
comment on function private.portal_grant_photo is
    'Logs that a customer asks for the photo of a message, and lets the edge have one link to it signed within a minute';
grant execute on function private.portal_grant_photo to edge;
