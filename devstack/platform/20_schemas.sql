-- Schemas, Supabase's generous default privileges in public, and the Realtime publication.
create schema extensions authorization postgres;
create schema auth authorization supabase_auth_admin;
create schema storage authorization supabase_storage_admin;
create schema realtime authorization supabase_admin;
create schema vault authorization supabase_admin;

grant usage on schema extensions, auth, storage, realtime to postgres, anon, authenticated, service_role;
grant all on schema extensions to postgres;
grant usage on schema realtime to supabase_realtime_admin;
grant usage on schema vault to postgres, service_role;

grant usage on schema public to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;

create extension if not exists pgcrypto with schema extensions;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;
