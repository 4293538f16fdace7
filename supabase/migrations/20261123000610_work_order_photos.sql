-- Photos of the work: a row first, which names the one path its file may take, then the file, by the
-- member's own token. Sizes and types are the bucket's to refuse, the number is counted here.

create table public.work_order_photos (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    work_order_id uuid not null,
    content_type text not null,
    caption text,
    storage_path text not null generated always as (garage_id::text || '/' || work_order_id::text || '/'
        || id::text || '.' || case content_type when 'image/jpeg' then 'jpg' when 'image/png' then 'png'
            else 'webp' end) stored,
    taken_by uuid default auth.uid(),
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    constraint work_order_photos_work_order_fkey foreign key (garage_id, work_order_id)
        references public.work_orders (garage_id, id),
    constraint work_order_photos_content_type check (
        content_type in ('image/jpeg', 'image/png', 'image/webp')),
    constraint work_order_photos_caption check (length(caption) between 1 and 200)
);
alter table public.work_order_photos enable row level security;
alter table public.work_order_photos force row level security;
comment on table public.work_order_photos is
    'controller=garage; retention=garage policy. Photos of a work order; the file is at storage_path in the bucket "work_order_photos"';
comment on column public.work_order_photos.id is 'internal';
comment on column public.work_order_photos.garage_id is 'internal';
comment on column public.work_order_photos.work_order_id is 'internal';
comment on column public.work_order_photos.content_type is 'internal';
comment on column public.work_order_photos.caption is
    'personal(content; subject=customer; on_erasure=erase)';
comment on column public.work_order_photos.storage_path is 'internal: where the file is to be put';
comment on column public.work_order_photos.taken_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column public.work_order_photos.created_at is 'internal';
create index work_order_photos_work_order_idx
    on public.work_order_photos (garage_id, work_order_id, created_at);
create index work_order_photos_path_idx on public.work_order_photos (storage_path);
comment on constraint work_order_photos_work_order_fkey on public.work_order_photos is
    'work_order_not_found: This work order does not exist in this garage | Look it up in the work list';
comment on constraint work_order_photos_content_type on public.work_order_photos is
    'photo_type_unknown: A photo is a JPEG, PNG or WebP image | Convert it, or take another';
comment on constraint work_order_photos_caption on public.work_order_photos is
    'caption_invalid: A caption has 1 to 200 characters | Shorten it, or leave it out';

create function private.tg_work_order_photos__count()
returns trigger
language plpgsql
security definer -- the row it locks and the files it looks for are not the member's to lock and see
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'DELETE' then
        if exists (select from storage.objects o
                    where o.bucket_id = 'work_order_photos' and o.name = old.storage_path) then
            perform private.refuse('photo_file_exists', 'The file of this photo is still there',
                'Remove the file first', 409);
        end if;
        return old;
    end if;
    -- Two at once would both count 29.
    perform from public.work_orders w
     where w.garage_id = new.garage_id and w.id = new.work_order_id for no key update;
    if 30 <= (select count(*) from public.work_order_photos p
               where p.garage_id = new.garage_id and p.work_order_id = new.work_order_id) then
        perform private.refuse('too_many_photos', 'A work order has at most 30 photos',
            'Remove one first', 409);
    end if;
    return new;
end $$;
create trigger _050_require_permission before insert or delete on public.work_order_photos
    for each statement execute function private.tg__require_permission('work_orders.write');
create trigger _300_count before insert or delete on public.work_order_photos
    for each row execute function private.tg_work_order_photos__count();

create function private.is_photo_path(name text)
returns boolean
language plpgsql
stable
security definer -- asked by Storage's policies, past those of the table
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from public.work_order_photos p
                    where p.storage_path = name
                      and p.garage_id = private.garage_id_for('work_orders.write'));
end $$;
comment on function private.is_photo_path is
    'Is this the path of a photo that the caller''s garage has announced? Never raises';
grant execute on function private.is_photo_path to authenticated;

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('work_order_photos', 'work_order_photos', false, 10485760,
    array['image/jpeg', 'image/png', 'image/webp'])
on conflict (id) do nothing;
