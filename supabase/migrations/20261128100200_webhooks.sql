-- What the edge may ask and tell for providers' webhooks: how to verify those of one account, and the
-- events of a batch, all of them or none. An account speaks of what was sent by it and of nothing else.

create function private.webhook_account(account_id uuid)
returns jsonb
language sql
stable
security definer -- the vault is closed to the edge
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('provider', a.provider, 'account_sid', a.account_sid,
               'public_key', case a.provider when 'sendgrid' then a.webhook_public_key end,
               'secret', s.decrypted_secret)
      from public.provider_accounts a
      left join vault.decrypted_secrets s on s.id = a.secret_id and a.provider = 'twilio'
     where a.id = webhook_account.account_id;
$$;
comment on function private.webhook_account is
    'What an account''s webhooks are verified with: SendGrid''s public key, Twilio''s auth token while the account is in use; null when there is no such account';

create function private.is_sent_by(communication public.communications,
    account public.provider_accounts)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
return communication.attempt > 0
    and case when account.id is null
        then communication.channel = 'email' and communication.provider_account_id is null
        else communication.garage_id = account.garage_id
            and communication.provider_account_id is not distinct from account.id end;
comment on function private.is_sent_by is
    'May this account tell of this message? No account is Autexor''s own';

create function private.own_events(events jsonb, account public.provider_accounts)
returns table (garage_id uuid, channel text, recipient text, customer_id uuid,
    communication_id uuid, event text, status text, provider_id text, code text, event_key text,
    occurred_at timestamptz, address text, suppression text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select c.garage_id, c.channel, c.recipient, c.customer_id, e.*
      from jsonb_to_recordset(events) as e (communication_id uuid, event text, status text,
               provider_id text, code text, event_key text, occurred_at timestamptz, address text,
               suppression text)
      join public.communications c on c.id = e.communication_id
     where private.is_sent_by(c, account);
$$;
comment on function private.own_events is
    'Events of messages that were sent by this account, with what they are about';

create function private.record_delivery_events(account_id uuid, events jsonb)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    account public.provider_accounts;
    owned int;
    stored text[];
    stopped record;
begin
    select * into account from public.provider_accounts a where a.id = account_id;
    if account_id is not null and not found then
        perform private.refuse('provider_account_not_found', 'There is no such account',
            'See the list of accounts', 404);
    end if;
    -- In one order for everybody, so that two batches never wait for each other.
    perform from public.communications c
      where c.id in (select o.communication_id from private.own_events(events, account) o)
      order by c.id for no key update;
    with new as (
        insert into public.delivery_events (garage_id, communication_id, provider, event, status,
            provider_id, code, event_key, occurred_at)
        select o.garage_id, o.communication_id, coalesce(account.provider, 'sendgrid'), o.event,
               o.status, o.provider_id, o.code, o.event_key, o.occurred_at
          from private.own_events(events, account) o
         order by o.garage_id, o.event_key
        on conflict do nothing
        returning event_key)
    select array_agg(event_key) into stored from new;
    perform private.settle_communications(array_agg(distinct o.communication_id))
       from private.own_events(events, account) o where o.event_key = any (stored);
    -- At the first telling alone: what was lifted since is not undone by a repetition.
    for stopped in
        select distinct on (o.garage_id, o.channel, o.recipient) o.*
          from private.own_events(events, account) o
         where o.event_key = any (stored) and o.suppression is not null
           and coalesce(lower(o.address) = lower(o.recipient), true)
         order by o.garage_id, o.channel, o.recipient, o.occurred_at
    loop
        perform private.suppress(stopped.garage_id, stopped.channel, stopped.recipient,
            stopped.suppression, stopped.code, stopped.customer_id);
        if stopped.suppression = 'stop' and stopped.customer_id is not null then
            perform private.opt_out(stopped.garage_id, array[stopped.customer_id],
                stopped.channel);
        end if;
    end loop;
    select count(*) into owned from private.own_events(events, account);
    return jsonb_build_object('stored', coalesce(cardinality(stored), 0),
        'known', owned - coalesce(cardinality(stored), 0),
        'refused', jsonb_array_length(events) - owned);
end $$;
comment on function private.record_delivery_events is
    'Stores what a provider told of messages sent by this account (null: Autexor''s own), and what follows from it. How many were new, known already, or of messages it may not speak of';
grant execute on function private.webhook_account, private.record_delivery_events to edge;
