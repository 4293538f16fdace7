-- What came in by text, what stops an address, and what is open of the person's rights follow a customer
-- who is merged.

create or replace function private.move_history(garage_id uuid, from_id uuid, to_id uuid)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.vehicle_ownerships o set customer_id = to_id
     where o.garage_id = move_history.garage_id and o.customer_id = from_id;
    update public.work_orders w set customer_id = to_id, revision = w.revision + 1
     where w.garage_id = move_history.garage_id and w.customer_id = from_id;
    update public.invoices i set customer_id = to_id, revision = i.revision + 1
     where i.garage_id = move_history.garage_id and i.customer_id = from_id
       and i.issued_at is null and i.kind = 'invoice';
    -- Of two open conversations the kept customer's goes on.
    update public.conversations c set closed_at = now()
     where c.garage_id = move_history.garage_id and c.customer_id = from_id and c.closed_at is null
       and exists (select from public.conversations k
                    where k.garage_id = c.garage_id and k.customer_id = to_id
                        and k.closed_at is null);
    update public.conversations c set customer_id = to_id
     where c.garage_id = move_history.garage_id and c.customer_id = from_id;
    update public.communications c set customer_id = to_id
     where c.garage_id = move_history.garage_id and c.customer_id = from_id;
    insert into public.customer_opt_outs (garage_id, customer_id, channel, reason)
    select o.garage_id, to_id, o.channel, o.reason from public.customer_opt_outs o
     where o.garage_id = move_history.garage_id and o.customer_id = from_id
    on conflict do nothing;
    update public.inbound_messages i set customer_id = to_id
     where i.garage_id = move_history.garage_id and i.customer_id = from_id;
    update public.suppressions s set customer_id = to_id
     where s.garage_id = move_history.garage_id and s.customer_id = from_id;
    -- What was answered or lifted stays, as what was issued does.
    update public.rights_requests r set customer_id = to_id
     where r.garage_id = move_history.garage_id and r.customer_id = from_id
       and r.finished_at is null;
    update public.legal_holds h set customer_id = to_id
     where h.garage_id = move_history.garage_id and h.customer_id = from_id
       and h.lifted_at is null;
    update public.customers c set merged_into_id = to_id
     where c.garage_id = move_history.garage_id and c.merged_into_id = from_id;
end $$;
