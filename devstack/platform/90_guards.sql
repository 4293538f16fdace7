-- What hosted Supabase refuses to migrations, refused here: in auth, storage and realtime a role that
-- is no superuser may create, alter and drop policies, and nothing else.
create schema _devstack authorization supabase_admin;
grant usage on schema _devstack to public;

create function _devstack.refuse_platform_change(what text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    raise sqlstate '42501' using
        message = format('must be owner of %s', what),
        hint = 'In auth, storage and realtime a migration may create, alter and drop policies, nothing else.';
end
$$;

create function _devstack.is_superuser() returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select rolsuper from pg_roles where rolname = current_user
$$;

create function _devstack.platform_privileges() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select md5(string_agg(concat_ws('|', kind, name, acl), ',' order by kind, name))
      from (
        select 'schema', nspname, nspacl::text from pg_namespace
         where nspname in ('auth', 'storage', 'realtime')
        union all
        select 'relation', oid::regclass::text, relacl::text from pg_class
         where relnamespace in ('auth'::regnamespace, 'storage'::regnamespace, 'realtime'::regnamespace)
        union all
        select 'function', oid::regprocedure::text, proacl::text from pg_proc
         where pronamespace in ('auth'::regnamespace, 'storage'::regnamespace, 'realtime'::regnamespace)
      ) as privileges (kind, name, acl)
$$;

create function _devstack.guard_platform_ddl() returns event_trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    command record;
begin
    if _devstack.is_superuser() then
        return;
    end if;
    for command in select * from pg_event_trigger_ddl_commands() where classid is not null loop
        if command.command_tag not in ('CREATE POLICY', 'ALTER POLICY')
           and coalesce(
               command.schema_name,
               (pg_identify_object_as_address(command.classid, command.objid, command.objsubid)).object_names[1]
           ) in ('auth', 'storage', 'realtime')
        then
            perform _devstack.refuse_platform_change(command.object_identity);
        end if;
    end loop;
end
$$;

-- GRANT and REVOKE tell an event trigger nothing about their object: compare the outcome.
create function _devstack.guard_platform_privileges() returns event_trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if not _devstack.is_superuser()
       and _devstack.platform_privileges() is distinct from (
           select obj_description(oid, 'pg_event_trigger') from pg_event_trigger
            where evtname = 'guard_platform_privileges'
       )
    then
        perform _devstack.refuse_platform_change('the platform''s tables');
    end if;
end
$$;

create function _devstack.guard_platform_drop() returns event_trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    dropped record;
begin
    if _devstack.is_superuser() then
        return;
    end if;
    for dropped in select * from pg_event_trigger_dropped_objects() loop
        if dropped.object_type <> 'policy'
           and coalesce(dropped.schema_name, dropped.address_names[1]) in ('auth', 'storage', 'realtime')
        then
            perform _devstack.refuse_platform_change(dropped.object_identity);
        end if;
    end loop;
end
$$;

create event trigger guard_platform_ddl on ddl_command_end
    execute function _devstack.guard_platform_ddl();
create event trigger guard_platform_drop on sql_drop
    execute function _devstack.guard_platform_drop();
create event trigger guard_platform_privileges on ddl_command_end when tag in ('GRANT', 'REVOKE')
    execute function _devstack.guard_platform_privileges();

do $$
begin
    execute format(
        'comment on event trigger guard_platform_privileges is %L', _devstack.platform_privileges()
    );
end
$$;
