-- The link in a mail by which whoever gets it ends such mails (RFC 8058: one POST, no login). Its token is
-- the message's id and a keyed hash of it: nothing is kept per mail, and nobody can make one up.

select vault.create_secret(encode(extensions.gen_random_bytes(32), 'hex'), 'opt_out_links',
    'What the links by which mails are stopped are signed with');

create function private.opt_out_token(communication_id uuid)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select encode(uuid_send(communication_id)
               || substring(extensions.hmac(uuid_send(communication_id), decode(s.decrypted_secret, 'hex'),
                      'sha256') from 1 for 16), 'hex')
      from vault.decrypted_secrets s where s.name = 'opt_out_links';
$$;
comment on function private.opt_out_token is
    'What the link of this mail carries: 64 hexadecimal digits, the id and half of its HMAC-SHA256';

create function private.mail_of_token(token text)
returns public.communications
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select c from public.communications c
     where token ~ '^[0-9a-f]{64}$' and c.id = left(token, 32)::uuid and c.channel = 'email'
       and c.customer_id is not null and c.recipient is not null
       and private.opt_out_token(c.id) = token
       and not (private.message_kind(c.template)).is_about_access;
$$;

create function private.read_opt_out(token text)
returns jsonb
language sql
stable
security definer -- the edge reads no table
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('garage_name', g.trade_name, 'locale', m.locale)
      from private.mail_of_token(token) m
      join public.garages g on g.id = m.garage_id;
$$;
comment on function private.read_opt_out is
    'Whose mails this link stops, and the language of the one it came in; null when it stops none';

-- The customer's own word, beside what is known of an address: it outlives one that changes hands.
create function private.opt_out(garage_id uuid, customer_ids uuid[], channel text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.customer_opt_outs (garage_id, customer_id, channel, reason)
    select opt_out.garage_id, c, opt_out.channel, 'STOP' from unnest(customer_ids) c order by c
    on conflict do nothing;
$$;

create function private.take_opt_out(token text)
returns jsonb
language plpgsql
volatile
security definer -- the edge writes no table
set search_path = pg_catalog, pg_temp
as $$
declare
    mail public.communications := private.mail_of_token(token);
    -- Who has the address now: a mail that went to a stranger by mistake stops nothing for the customer.
    holders uuid[] := array(
        select c.id from public.customers c
         where c.garage_id = mail.garage_id and c.email = lower(mail.recipient)
           and c.merged_into_id is null
         order by c.id);
begin
    perform private.opt_out(mail.garage_id, holders, 'email');
    return private.read_opt_out(token) || jsonb_build_object('is_known', cardinality(holders) > 0);
end $$;
comment on function private.take_opt_out is
    'Opts every customer of that garage with the mail''s address out of its mails; as read_opt_out, and whether any has it';
grant execute on function private.read_opt_out, private.take_opt_out to edge;
