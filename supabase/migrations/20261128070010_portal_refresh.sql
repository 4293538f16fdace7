-- A refresh with the proof of the device's key, where it has one.

drop function private.portal_refresh(text, text, text, text, text);
create function private.portal_refresh(
    refresh_token_sha256 text, next_token_sha256 text, device_id text, fingerprint text,
    client_ip text, key_thumbprint text default null)
returns jsonb
language plpgsql
volatile
security definer -- the edge reads and writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    token private.portal_refresh_tokens;
    session public.portal_sessions;
    is_first boolean;
begin
    select * into token from private.portal_refresh_tokens t
     where t.token_sha256 = refresh_token_sha256 for update;
    if not found then
        return jsonb_build_object('error', 'refresh_token_invalid');
    end if;
    is_first := token.used_at is null;
    if not is_first and token.used_at < clock_timestamp() - interval '10 seconds' then
        perform private.end_portal_session(token.session_id, 'refresh_token_reused', client_ip);
        return jsonb_build_object('error', 'refresh_token_reused');
    end if;
    select l.* into session
      from public.portal_sessions s
     cross join private.live_portal_session(s.id, s.account_id, s.garage_id) l
     where s.id = token.session_id;
    if session.id is null then
        return jsonb_build_object('error', 'session_ended');
    end if;
    if not exists (
        select from public.portal_accounts a
         cross join private.known_device(a, portal_refresh.device_id, fingerprint,
             portal_refresh.key_thumbprint) d
         where a.garage_id = session.garage_id and a.id = session.account_id
           and d.id = session.device_id) then
        perform private.end_portal_session(session.id, 'device_mismatch', client_ip);
        return jsonb_build_object('error', 'device_mismatch');
    end if;
    if is_first then
        update private.portal_refresh_tokens t set used_at = clock_timestamp()
         where t.token_sha256 = token.token_sha256;
        insert into private.portal_refresh_tokens (token_sha256, garage_id, session_id)
        values (next_token_sha256, session.garage_id, session.id);
        update public.portal_sessions s
           set refreshed_at = now(),
               idle_expires_at = now() + (select make_interval(mins => g.portal_idle_minutes)
                                            from public.garages g where g.id = s.garage_id)
         where s.id = session.id;
    end if;
    return private.session_facts(session);
end $$;
comment on function private.portal_refresh is
    'Spends a refresh token. Within ten seconds a repeat gets the same successor; later it ends the session';
grant execute on function private.portal_refresh to edge;
