-- Who Autexor's own staff are. An operator is a user of Supabase Auth with a row here; being a member of
-- a garage makes nobody one, and an operator is nobody at a garage. Rows come by SQL alone, from a DBA.

create table private.operators (
    user_id uuid primary key references auth.users (id),
    added_at timestamptz not null default now(),
    note text not null default '',
    revoked_at timestamptz
);
alter table private.operators enable row level security;
alter table private.operators force row level security;
comment on table private.operators is
    'controller=autexor; retention=contract. Staff of Autexor: who handles the website and supports garages';
comment on column private.operators.user_id is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column private.operators.added_at is 'internal';
comment on column private.operators.note is
    'personal(name; subject=staff; on_erasure=anonymise): who this is, and who asked for it';
comment on column private.operators.revoked_at is
    'internal: from this moment the person is no operator';

create function private.operator_id()
returns uuid
language plpgsql -- a cached plan: policies ask this in every statement
stable
security definer -- operators are closed to every role
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'authenticated' then
        return null;
    end if;
    return (
        select o.user_id from private.operators o
         where o.user_id = (claims ->> 'sub')::uuid and o.revoked_at is null
           and exists (select from auth.sessions s
                        where s.id = (claims ->> 'session_id')::uuid and s.user_id = o.user_id)
    );
exception when others then
    return null;
end $$;
comment on function private.operator_id is
    'The caller, if they are an operator of Autexor who is still signed in; else null. Never raises';

create function private.is_operator()
returns boolean
language plpgsql -- a cached plan: policies ask this in every statement
stable
security definer -- asks a function that reads closed tables
set search_path = pg_catalog, pg_temp
as $$
begin
    return private.operator_id() is not null;
end $$;
comment on function private.is_operator is
    'Is the caller an operator of Autexor who is still signed in? Never raises, never null';

create function private.require_operator()
returns uuid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.operator_id();
begin
    if operator is null then
        perform private.refuse('operator_required', 'This is for staff of Autexor',
            'Sign in as an operator, or ask Autexor', 403);
    end if;
    return operator;
end $$;
comment on function private.require_operator is
    'The operator who calls; else refuses';
grant execute on function private.operator_id, private.is_operator, private.require_operator
    to authenticated;
