-- Verifying a chain: the seals among themselves, their lists, the end of the chain, and every entry against
-- the hash it was sealed with. The first thing that is wrong is named.

create function private.first_broken_seal(garage uuid, out number bigint, out problem text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with chain as (
        select s.*, row_number() over by_number as expected, lag(s.hash, 1, '\x') over by_number as before
          from audit.seals s where s.garage_id = garage window by_number as (order by s.number)
    ), buried as (
        select t.month, t.number, t.entry_count, t.content_hash from chain t where t.kind = 'tombstone'
    ), found (number, problem) as (
        select c.expected, 'seal_missing' from chain c where c.number <> c.expected
        union all
        select c.number, 'seal_altered' from chain c
          join audit.seals s on s.garage_id = c.garage_id and s.number = c.number
         where c.number = c.expected
           and (c.hash <> private.seal_hash(s) or c.previous_hash <> c.before)
        union all
        select c.number, 'seal_altered' from chain c
          left join audit.sealed_rows r
            on r.garage_id = c.garage_id and r.number = c.number and r.month = c.month
         where c.kind = 'entries' and c.month not in (select b.month from buried b)
           and c.content_hash is distinct from private.list_hash(r.entry_ids, r.hashes)
        union all
        select b.number, 'seal_altered' from buried b
         where not exists (
            select from chain c where c.kind = 'entries' and c.month = b.month and c.number < b.number
            having sum(c.entry_count) = b.entry_count
               and sha256(string_agg(c.hash, null order by c.number)) = b.content_hash)
        union all
        select coalesce((select max(c.number) from chain c), 0) + 1, 'seal_missing'
          from audit.chains e
         where e.garage_id = garage
           and e.number > coalesce((select max(c.number) from chain c), 0)
        union all
        select c.number, 'end_altered' from chain c
         where c.number = (select max(l.number) from chain l)
           and not exists (select from audit.chains e where e.garage_id = garage
                and (e.number > c.number or (e.number, e.hash) = (c.number, c.hash)))
    )
    select f.number, f.problem from found f
     order by f.number, f.problem <> 'seal_missing', f.problem limit 1;
$$;
comment on function private.first_broken_seal is
    'The first seal that is missing (in the midst or at the end) or was altered, or whose list or tombstone was; else null';

create function private.first_broken_entry(garage uuid, out number bigint, out problem text,
    out entry_id bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with ends as (
        select coalesce(max(c.to_xid), '0') as to_xid, coalesce(max(c.since_id), 0) as since_id
          from audit.chains c
    ), sealed as (
        select r.number, u.place, u.id, substr(r.hashes, (u.place * 32 - 31)::int, 32) as hash
          from audit.sealed_rows r, unnest(r.entry_ids) with ordinality as u (id, place)
         where r.garage_id = garage
    ), present as (
        select e.id, e.xid, e.hash, date_trunc('month', e.occurred_at, 'UTC')::date as month
          from audit.hashed_entries e where e.garage_id = garage
    ), found as (
        select coalesce(s.number, (select min(c.number) from audit.seals c
                   where c.garage_id = garage and c.to_xid > p.xid and c.month = p.month)) as number,
               case when s.id is null then 'entry_inserted' when p.id is null then 'entry_missing'
                    else 'entry_altered' end as problem,
               coalesce(s.id, p.id) as entry_id, s.place
          from sealed s full join present p on p.id = s.id cross join ends
         where s.hash is distinct from p.hash
           and (s.id is not null or p.xid < ends.to_xid or p.id <= ends.since_id
                or p.month in (select t.month from audit.seals t
                    where t.garage_id = garage and t.kind = 'tombstone'))
    )
    select f.number, f.problem, f.entry_id from found f
     order by f.number, f.place, f.entry_id limit 1;
$$;
comment on function private.first_broken_entry is
    'The first entry that is not as it was sealed, is gone, or came into a sealed range afterwards; else null';

create function private.verify_audit(garage uuid, anchor_number bigint default null,
    anchor_hash text default null)
returns table (is_intact boolean, problem text, seal_number bigint, entry_id bigint, seals bigint,
    sealed_entries bigint, open_entries bigint, last_number bigint, last_hash text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    entry_problem text;
    entry_number bigint;
    touched_id bigint;
begin
    select f.number, f.problem into seal_number, problem from private.first_broken_seal(garage) f;
    if problem is null and anchor_number is not null and not exists (
        select from audit.seals s where s.garage_id = garage and s.number = anchor_number
           and encode(s.hash, 'hex') = lower(anchor_hash)) then
        seal_number := anchor_number;
        problem := 'anchor_missed';
    end if;
    select f.number, f.problem, f.entry_id into entry_number, entry_problem, touched_id
      from private.first_broken_entry(garage) f;
    -- A seal that is not what it was comes first: its list measures nothing.
    if entry_problem is not null and (problem is null or entry_number < seal_number) then
        seal_number := entry_number;
        problem := entry_problem;
        entry_id := touched_id;
    end if;
    is_intact := problem is null;
    select count(*), coalesce(sum(s.entry_count) filter (where s.kind = 'entries'), 0)
      into seals, sealed_entries from audit.seals s where s.garage_id = garage;
    select c.number, encode(c.hash, 'hex') into last_number, last_hash
      from audit.chains c where c.garage_id = garage;
    open_entries := (select count(*) from audit.entries e
        where e.garage_id = garage and e.xid >= (select coalesce(max(c.to_xid), '0') from audit.chains c)
          and e.id > (select coalesce(max(c.since_id), 0) from audit.chains c));
    return next;
end $$;
comment on function private.verify_audit is
    'Is the history of a garage as it was sealed? Names the first seal or entry that is not. With an anchor, a number and hash noted earlier, a chain that was rewritten as a whole is found, too';

create function private.verify_own_audit(anchor_number bigint, anchor_hash text)
returns table (is_intact boolean, problem text, seal_number bigint, entry_id bigint, seals bigint,
    sealed_entries bigint, open_entries bigint, last_number bigint, last_hash text)
language sql
stable
security definer -- the chain's ends and lists are closed to members; one's own garage alone is asked about
set search_path = pg_catalog, pg_temp
as $$
    select v.is_intact, v.problem, v.seal_number, v.entry_id, v.seals, v.sealed_entries,
           v.open_entries, v.last_number, v.last_hash
      from private.verify_audit(private.require('audit.read'), verify_own_audit.anchor_number,
          verify_own_audit.anchor_hash) v;
$$;
grant execute on function private.verify_own_audit to authenticated;

create function public.verify_audit(anchor_number bigint default null, anchor_hash text default null)
returns table (is_intact boolean, problem text, seal_number bigint, entry_id bigint, seals bigint,
    sealed_entries bigint, open_entries bigint, last_number bigint, last_hash text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select v.is_intact, v.problem, v.seal_number, v.entry_id, v.seals, v.sealed_entries,
           v.open_entries, v.last_number, v.last_hash
      from private.verify_own_audit(verify_audit.anchor_number, verify_audit.anchor_hash) v;
end;
comment on function public.verify_audit is
    'Is the history of your garage as it was sealed? Names the first seal or entry that is not; note last_number and last_hash elsewhere and give them the next time';
grant execute on function public.verify_audit to authenticated;

create view public.audit_seals with (security_invoker = on) as
    select s.garage_id, s.number, s.kind, s.month, s.entry_count, s.sealed_at,
           encode(s.hash, 'hex') as hash
      from audit.seals s;
comment on view public.audit_seals is
    'The seals over the history of the garage; a tombstone stands for a month whose time was over';
