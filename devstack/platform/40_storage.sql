-- Schema storage: buckets and objects as Supabase Storage 1.11 has them.
-- Its server's own search functions are absent: nothing but that server calls them.
set local role supabase_storage_admin;

create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');

create table storage.buckets (
    id text primary key,
    name text not null,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    public boolean default false,
    avif_autodetection boolean default false,
    file_size_limit bigint,
    allowed_mime_types text[],
    owner_id text,
    type storage.buckettype not null default 'STANDARD',
    versioning_status text not null default 'DISABLED',
    constraint buckets_versioning_dark_check check (versioning_status = 'DISABLED'),
    constraint buckets_versioning_standard_only_check check (type = 'STANDARD' or versioning_status = 'DISABLED'),
    constraint buckets_versioning_status_check check (versioning_status in ('DISABLED', 'ENABLED', 'SUSPENDED'))
);
create unique index bname on storage.buckets (name);

create table storage.objects (
    id uuid primary key default gen_random_uuid(),
    bucket_id text constraint "objects_bucketId_fkey" references storage.buckets (id),
    name text,
    owner uuid,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    last_accessed_at timestamptz default now(),
    metadata jsonb,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    version text,
    owner_id text,
    user_metadata jsonb,
    archived_at timestamptz,
    is_delete_marker boolean not null default false,
    is_versioned boolean not null default false
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
create index idx_objects_bucket_id_name_lower on storage.objects (bucket_id, lower(name) collate "C");
create index name_prefix_search on storage.objects (name text_pattern_ops);

alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;

create function storage.foldername(name text) returns text[]
language plpgsql immutable set search_path = ''
as $$
declare
    parts text[] := pg_catalog.string_to_array(name, '/');
begin
    return parts[1:pg_catalog.array_length(parts, 1) - 1];
end
$$;

create function storage.filename(name text) returns text
language plpgsql immutable set search_path = ''
as $$
declare
    parts text[] := pg_catalog.string_to_array(name, '/');
begin
    return parts[pg_catalog.array_length(parts, 1)];
end
$$;

create function storage.extension(name text) returns text
language plpgsql immutable set search_path = ''
as $$
begin
    return coalesce(pg_catalog.reverse(
        pg_catalog.split_part(pg_catalog.reverse(storage.filename(name)), '.', 1)
    ), '');
end
$$;

create function storage.operation() returns text
language plpgsql stable set search_path = ''
as $$
begin
    return pg_catalog.current_setting('storage.operation', true);
end
$$;

create function storage.allow_any_operation(expected_operations text[]) returns boolean
language sql stable set search_path = ''
as $$
    select coalesce(
        pg_catalog.regexp_replace(storage.operation(), '^storage\.', '') = any (
            select pg_catalog.regexp_replace(expected, '^storage\.', '')
              from pg_catalog.unnest(expected_operations) as expected
        ),
        false
    )
$$;

create function storage.allow_only_operation(expected_operation text) returns boolean
language sql stable set search_path = ''
as $$
    select storage.allow_any_operation(array[expected_operation])
$$;

create function storage.can_insert_object(bucketid text, name text, owner uuid, metadata jsonb) returns void
language plpgsql set search_path = ''
as $$
begin
    insert into storage.objects (bucket_id, name, owner, metadata)
    values (bucketid, name, owner, metadata);
    raise sqlstate 'PT200' using message = 'ROLLBACK', detail = 'rollback successful insert';
end
$$;

create function storage.update_updated_at_column() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.updated_at := pg_catalog.now();
    return new;
end
$$;

create function storage.enforce_bucket_name_length() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if pg_catalog.length(new.name) > 100 then
        raise exception 'bucket name "%" is too long (% characters). Max is 100.',
            new.name, pg_catalog.length(new.name);
    end if;
    return new;
end
$$;

create function storage.protect_delete() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if coalesce(pg_catalog.current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
        raise sqlstate '42501' using
            message = 'Direct deletion from storage tables is not allowed. Use the Storage API instead.',
            hint = 'This prevents accidental data loss from orphaned objects.';
    end if;
    return null;
end
$$;

create trigger enforce_bucket_name_length_trigger
    before insert or update of name on storage.buckets
    for each row execute function storage.enforce_bucket_name_length();
create trigger protect_buckets_delete
    before delete on storage.buckets
    for each statement execute function storage.protect_delete();
create trigger protect_objects_delete
    before delete on storage.objects
    for each statement execute function storage.protect_delete();
create trigger update_objects_updated_at
    before update on storage.objects
    for each row execute function storage.update_updated_at_column();

grant all on storage.buckets, storage.objects to postgres, anon, authenticated, service_role;
reset role;
