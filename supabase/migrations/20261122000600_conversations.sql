-- Customer and garage write to each other: the one thing the portal writes.

create table public.conversations (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    closed_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id)
);
alter table public.conversations enable row level security;
alter table public.conversations force row level security;
comment on table public.conversations is
    'controller=garage; retention=garage policy. A thread between one customer and the garage';
comment on column public.conversations.id is 'internal';
comment on column public.conversations.garage_id is 'internal';
comment on column public.conversations.customer_id is 'internal';
comment on column public.conversations.closed_at is 'internal';
comment on column public.conversations.created_at is 'internal';
create unique index conversations_one_open_idx
    on public.conversations (garage_id, customer_id) where closed_at is null;
create index conversations_customer_idx on public.conversations (garage_id, customer_id,
    created_at desc);

create table public.messages (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    conversation_id uuid not null,
    sender text not null default 'garage' check (sender in ('garage', 'customer')),
    author_user_id uuid default auth.uid(),
    body text not null,
    read_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    foreign key (garage_id, conversation_id) references public.conversations (garage_id, id)
);
alter table public.messages enable row level security;
alter table public.messages force row level security;
comment on table public.messages is
    'controller=garage; retention=garage policy. What was written, by which side, and when the other side read it';
comment on column public.messages.id is 'internal';
comment on column public.messages.garage_id is 'internal';
comment on column public.messages.conversation_id is 'internal';
comment on column public.messages.sender is 'internal';
comment on column public.messages.author_user_id is
    'personal(account; subject=staff; on_erasure=keep:audit): who wrote for the garage';
comment on column public.messages.body is 'personal(content; subject=customer; on_erasure=erase)';
comment on column public.messages.read_at is
    'personal(usage; subject=customer; on_erasure=erase): when the other side read it';
comment on column public.messages.created_at is 'internal';
create index messages_conversation_idx on public.messages (garage_id, conversation_id,
    created_at desc);

create function private.tg_messages__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(new.body, '') !~ '\S' or length(new.body) > 4000 then
        perform private.refuse('message_body_invalid', 'A message has 1 to 4000 characters',
            'Write something, or split it in two');
    elsif not exists (select from public.conversations c
                       where c.garage_id = new.garage_id and c.id = new.conversation_id
                           and c.closed_at is null) then
        perform private.refuse('conversation_not_found',
            'This conversation does not exist or is closed',
            'Begin a new one', 404);
    end if;
    return new;
end $$;

create trigger _050_require_permission before insert or update on public.conversations
    for each statement execute function private.tg__require_permission('conversations.write');
create trigger _050_require_permission before insert or update on public.messages
    for each statement execute function private.tg__require_permission('conversations.write');
create trigger _200_validate before insert on public.messages
    for each row execute function private.tg_messages__validate();

create function private.mark_conversation_read(conversation_id uuid)
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
    return marked;
end $$;
grant execute on function private.mark_conversation_read to authenticated;

create function public.mark_conversation_read(conversation_id uuid)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.mark_conversation_read(mark_conversation_read.conversation_id);
end;
comment on function public.mark_conversation_read is
    'Marks what the customer wrote as read by the garage; the number of messages it marked';
grant execute on function public.mark_conversation_read to authenticated;

-- Who listens learns that there is something to read, not what it says. The table itself is not
-- published: Realtime would then ask it as every role that may read some of its columns, and one role
-- that cannot name its schema would stop the changes for everybody.
create function private.tg_messages__broadcast()
returns trigger
language plpgsql
security definer -- members may not write to Realtime
set search_path = pg_catalog, pg_temp
as $$
begin
    perform realtime.send(
        jsonb_build_object('message_id', new.id, 'conversation_id', new.conversation_id, 'sender', new.sender),
        'message', format('garage:%s:conversations', new.garage_id), true);
    return null;
end $$;
create trigger _600_broadcast after insert on public.messages
    for each row execute function private.tg_messages__broadcast();
