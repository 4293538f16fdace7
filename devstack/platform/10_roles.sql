-- The roles of a Supabase cluster. They are cluster-wide: every statement may run again.
-- postgres is what migrations run as: no superuser, as on hosted Supabase.
do $$
declare
    wanted record;
begin
    for wanted in
        select *
          from (values
            ('postgres', 'login createrole createdb replication bypassrls'),
            ('anon', 'nologin noinherit'),
            ('authenticated', 'nologin noinherit'),
            ('service_role', 'nologin noinherit bypassrls'),
            ('authenticator', 'login noinherit'),
            ('supabase_auth_admin', 'login noinherit createrole'),
            ('supabase_storage_admin', 'login noinherit createrole'),
            ('supabase_realtime_admin', 'nologin noinherit')
          ) as roles (name, options)
         where to_regrole(name) is null
    loop
        execute format('create role %I %s password %L', wanted.name, wanted.options, 'postgres');
    end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role, authenticator to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

-- postgres makes policies on their tables: PostgreSQL asks for the owner's inherited privileges.
-- 90_guards.sql takes away everything else that this would allow.
do $$
begin
    if current_setting('server_version_num')::int >= 160000 then
        execute 'grant supabase_storage_admin, supabase_realtime_admin to postgres with inherit true, set false';
    else
        execute 'grant supabase_storage_admin, supabase_realtime_admin to postgres';
    end if;
end
$$;

grant set on parameter "pgrst.db_pre_request" to postgres;
grant set on parameter "pgrst.openapi_mode" to postgres;
grant set on parameter session_replication_role to postgres;

alter role postgres set search_path = "$user", public, extensions;
alter role supabase_auth_admin set search_path = auth;
alter role supabase_storage_admin set search_path = storage;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
