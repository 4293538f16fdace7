-- A stand-in for Supabase Vault with its tables, view and functions. It encodes and does not encrypt:
-- the real extension keeps its key outside of the database, for which a loopback stack has no use.
create table vault.secrets (
    id uuid primary key default gen_random_uuid(),
    name text,
    description text not null default '',
    secret text not null,
    key_id uuid,
    nonce bytea,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index secrets_name_idx on vault.secrets (name) where name is not null;
alter table vault.secrets enable row level security;

create view vault.decrypted_secrets as
    select id, name, description, secret,
           convert_from(decode(secret, 'base64'), 'utf8') as decrypted_secret,
           key_id, nonce, created_at, updated_at
      from vault.secrets;

create function vault.create_secret(
    new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid
language sql security definer set search_path = ''
as $$
    insert into vault.secrets (secret, name, description, key_id)
    values (
        pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'base64'),
        new_name, new_description, new_key_id
    )
    returning id
$$;

create function vault.update_secret(
    secret_id uuid, new_secret text default null, new_name text default null,
    new_description text default null, new_key_id uuid default null
) returns void
language sql security definer set search_path = ''
as $$
    update vault.secrets
       set secret = coalesce(
               pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'base64'), secret
           ),
           name = coalesce(new_name, name),
           description = coalesce(new_description, description),
           key_id = coalesce(new_key_id, key_id),
           updated_at = pg_catalog.now()
     where id = secret_id
$$;

revoke all on all functions in schema vault from public;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
grant execute on all functions in schema vault to postgres with grant option;
grant execute on all functions in schema vault to service_role;
