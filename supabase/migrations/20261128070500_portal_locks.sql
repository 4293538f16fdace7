-- Staff see who is locked out and why, let a customer try again at once, and close an access.

create function private.portal_locks()
returns table (account_id uuid, login text, device_id uuid, device_label text, failures int,
    locked_until timestamptz, last_failure_at timestamptz, last_address text, last_user_agent text)
language plpgsql
stable
security definer -- counters and attempts are closed to everybody
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('portal_accounts.read');
begin
    return query
    select a.id, a.login, t.device_id, d.label, r.hits, r.blocked_until, l.created_at,
           host(l.client_ip), l.user_agent
      from public.portal_accounts a
     cross join lateral (
           select null::uuid union all
           select o.id from public.portal_devices o
            where o.garage_id = a.garage_id and o.account_id = a.id) t (device_id)
      left join public.portal_devices d on d.garage_id = a.garage_id and d.id = t.device_id
      join private.rate_limits r
        on r.key = (private.login_keys(a.garage_id, a.login, t.device_id, null))[1]
      left join lateral (
           select f.created_at, f.client_ip, f.user_agent from private.login_attempts f
            where f.garage_id = a.garage_id and f.account_id = a.id
              and f.device_id is not distinct from t.device_id and not coalesce(f.is_ok, false)
            order by f.created_at desc limit 1) l on true
     where a.garage_id = garage
       and (r.blocked_until > now() or r.window_started_at > now() - interval '15 minutes')
     order by r.blocked_until desc nulls last;
end $$;

create function private.unlock_portal_account(account_id uuid)
returns int
language plpgsql
volatile
security definer -- counters are closed to everybody
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('portal_accounts.write');
    account public.portal_accounts;
    unlocked int;
begin
    select * into account from public.portal_accounts a
     where a.garage_id = garage and a.id = unlock_portal_account.account_id;
    if not found then
        perform private.refuse('account_not_found', 'This customer has no access to the portal',
            'Choose an account of the list', 404);
    end if;
    delete from private.rate_limits r
     using (select null::uuid as id union all
            select d.id from public.portal_devices d
             where d.garage_id = garage and d.account_id = account.id) device
     where r.key = (private.login_keys(garage, account.login, device.id, null))[1];
    get diagnostics unlocked = row_count;
    perform private.log_access(garage, 'login_unlocked', private.actor(), account.id, null, null,
        null);
    return unlocked;
end $$;

create function private.close_portal_account(account_id uuid)
returns void
language plpgsql
volatile
security definer -- devices, sessions and secrets end along with the account
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('portal_accounts.write');
    account public.portal_accounts;
begin
    select * into account from public.portal_accounts a
     where a.garage_id = garage and a.id = close_portal_account.account_id
       and a.deactivated_at is null for update;
    if not found then
        perform private.refuse('account_not_found', 'This customer has no access to the portal',
            'Choose an account of the list', 404);
    end if;
    perform private.close_account(account);
    perform private.log_access(garage, 'account_closed', private.actor(), account.id, null, null,
        null);
end $$;
grant execute on function private.portal_locks, private.unlock_portal_account,
    private.close_portal_account to authenticated;

create function public.portal_locks()
returns table (account_id uuid, login text, device_id uuid, device_label text, failures int,
    locked_until timestamptz, last_failure_at timestamptz, last_address text, last_user_agent text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select * from private.portal_locks();
end;
comment on function public.portal_locks is
    'Logins that were tried in vain lately: on which device (null: unknown ones), how often, until when locked, and from where';

create function public.unlock_portal_account(account_id uuid)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.unlock_portal_account(unlock_portal_account.account_id);
end;
comment on function public.unlock_portal_account is
    'Forgets an account''s failed tries, so that its owner can sign in at once; how many counters there were';

create function public.close_portal_account(account_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.close_portal_account(close_portal_account.account_id);
end;
comment on function public.close_portal_account is
    'Ends a customer''s access to the portal; a new invitation gives it back';
grant execute on function public.portal_locks, public.unlock_portal_account,
    public.close_portal_account to authenticated;

create function private.portal_account_id()
returns uuid
language plpgsql
stable
security definer -- sessions are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
begin
    return (private.portal_session()).account_id;
end $$;
comment on function private.portal_account_id is
    'The account of a live portal session; else null. Never raises';

create function private.portal_session_id()
returns uuid
language plpgsql
stable
security definer -- sessions are closed to the role portal
set search_path = pg_catalog, pg_temp
as $$
begin
    return (private.portal_session()).id;
end $$;
comment on function private.portal_session_id is 'The live portal session; else null. Never raises';
grant execute on function private.portal_account_id, private.portal_session_id to portal;

create view portal.sessions with (security_invoker = on) as
    select id, garage_id, device_id, id = (select private.portal_session_id()) as is_this_session,
           refreshed_at, idle_expires_at, expires_at, created_at
      from public.portal_sessions
     where revoked_at is null and idle_expires_at > now() and expires_at > now();
comment on view portal.sessions is 'Where the customer is signed in at this garage';

create view portal.devices with (security_invoker = on) as
    select d.id, d.garage_id, d.label, d.key_thumbprint is not null as has_key,
           exists (select from public.portal_sessions s
                    where s.device_id = d.id and s.id = (select private.portal_session_id()))
               as is_this_device,
           d.last_seen_at, d.revoked_at, d.created_at
      from public.portal_devices d;
comment on view portal.devices is 'The installations bound to the customer''s account at this garage';
