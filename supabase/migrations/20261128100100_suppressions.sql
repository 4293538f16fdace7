-- Addresses that take no more messages of a garage: mails to them came back for good, somebody complained
-- or wrote STOP, or no phone answers there. Lifted by a colleague with a reason, or by START.

create table public.suppressions (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    channel text not null,
    address text,
    customer_id uuid,
    reason text not null,
    code text,
    since timestamptz not null default clock_timestamp(),
    lifted_at timestamptz,
    lifted_by uuid,
    lift_reason text,
    unique (garage_id, id),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id),
    constraint suppressions_channel check (channel in ('email', 'sms', 'whatsapp')),
    constraint suppressions_reason check (reason in ('bounce', 'complaint', 'stop', 'unreachable')),
    constraint suppressions_address check (length(address) between 3 and 254),
    constraint suppressions_code check (length(code) <= 80),
    constraint suppressions_lift_reason check (length(lift_reason) between 1 and 200),
    constraint suppressions_live_is_not_lifted check (
        lifted_at is not null or num_nonnulls(lifted_by, lift_reason) = 0)
);
alter table public.suppressions enable row level security;
alter table public.suppressions force row level security;
comment on table public.suppressions is
    'controller=garage; retention=garage policy. Addresses a garage does not write to on a channel, why, and who lifted it';
comment on column public.suppressions.id is 'internal';
comment on column public.suppressions.garage_id is 'internal';
comment on column public.suppressions.channel is 'internal';
comment on column public.suppressions.address is
    'personal(contact; subject=customer; on_erasure=erase): null once erased';
comment on column public.suppressions.customer_id is
    'internal: whose address it was; null is not known';
comment on column public.suppressions.reason is 'internal';
comment on column public.suppressions.code is 'internal: the provider''s word for it';
comment on column public.suppressions.since is 'internal';
comment on column public.suppressions.lifted_at is 'internal';
comment on column public.suppressions.lifted_by is
    'personal(account; subject=staff; on_erasure=keep:audit): null when the customer wrote START';
comment on column public.suppressions.lift_reason is
    'personal(content; subject=customer; on_erasure=erase)';
create unique index suppressions_live_idx on public.suppressions (garage_id, channel, address)
    where lifted_at is null;
create index suppressions_customer_idx on public.suppressions (garage_id, customer_id);
create index suppressions_garage_idx on public.suppressions (garage_id, since desc);

create or replace function private.is_suppressed(garage_id uuid, channel text, address text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from public.suppressions s
         where s.garage_id = is_suppressed.garage_id and s.channel = is_suppressed.channel
           and s.address = lower(is_suppressed.address) and s.lifted_at is null);
$$;
comment on function private.is_suppressed is
    'Does this garage write to this address on this channel no more?';

create function private.suppress(garage_id uuid, channel text, address text, reason text,
    code text, customer_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into public.suppressions (garage_id, channel, address, reason, code, customer_id)
    values (suppress.garage_id, suppress.channel, lower(suppress.address), suppress.reason,
        suppress.code, suppress.customer_id)
    on conflict do nothing;
$$;
comment on function private.suppress is
    'No more messages of this garage to this address on this channel; the first reason stays';

create function private.lift_suppression(suppression_id uuid, reason text)
returns void
language plpgsql
volatile
security definer -- suppressions are columns no member may write for themselves
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('deliveries.retry');
begin
    if coalesce(reason, '') !~ '\S' or length(reason) > 200 then
        perform private.refuse('reason_invalid', 'Say why, in 1 to 200 characters',
            'For example: the customer called, the mailbox works again');
    end if;
    update public.suppressions s
       set lifted_at = clock_timestamp(), lifted_by = auth.uid(),
           lift_reason = btrim(lift_suppression.reason)
     where s.garage_id = garage and s.id = suppression_id and s.lifted_at is null;
    if not found then
        perform private.refuse('suppression_not_found',
            'There is no such suppression, or it was lifted already',
            'See the list of suppressions', 404);
    end if;
end $$;
grant execute on function private.lift_suppression to authenticated;

create function public.lift_suppression(suppression_id uuid, reason text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.lift_suppression(lift_suppression.suppression_id, lift_suppression.reason);
end;
comment on function public.lift_suppression is
    'Lets messages go to an address again; the reason is kept. A customer''s own opt-out stays until it is deleted';
grant execute on function public.lift_suppression to authenticated;

create function private.tg_communications__refuse_suppressed()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    why text;
begin
    select s.reason into why from public.suppressions s
     where s.garage_id = new.garage_id and s.channel = new.channel
       and s.address = lower(new.recipient) and s.lifted_at is null
       and not (private.message_kind(new.template)).is_ours_alone;
    if found then
        perform private.refuse('recipient_suppressed', case why
            when 'bounce' then 'Messages to this address came back: it takes none any more'
            when 'complaint' then 'Whoever has this address complained about messages'
            when 'stop' then 'Whoever has this address wrote STOP'
            else 'Nothing can be reached at this address' end,
            'Correct the customer''s address, or lift the suppression and try again', 409);
    end if;
    return new;
end $$;
create trigger _250_refuse_suppressed before update of status on public.communications
    for each row when (old.status in ('failed', 'unknown') and new.status = 'queued')
    execute function private.tg_communications__refuse_suppressed();
