-- A hash chain per garage over its history. Entries are sealed in batches by housekeeping, never at write:
-- those of transactions older than every one still running, so that nothing can come late into a sealed
-- range. A seal lists its entries and their hashes and holds the hash of the seal before. Months that
-- retention drops leave a tombstone in the chain. Whoever rewrites all of it, the last seal included, is
-- found by a number and hash that was noted elsewhere.

set local lock_timeout = '5s';

create table audit.chains (
    garage_id uuid primary key,
    number bigint not null,
    hash bytea not null,
    to_xid xid8 not null,
    since_id bigint not null default 0
);
alter table audit.chains enable row level security;
alter table audit.chains force row level security;
comment on table audit.chains is
    'controller=garage; retention=10 years. The end of each garage''s chain: a seal that is taken from there is missed';
comment on column audit.chains.garage_id is
    'internal: zeros for what is about no garage, such as a truncate';
comment on column audit.chains.number is 'internal: the last seal';
comment on column audit.chains.hash is 'internal: of the last seal';
comment on column audit.chains.to_xid is
    'internal: all entries of transactions below this are sealed';
comment on column audit.chains.since_id is
    'internal: entries up to this were sealed when transaction numbers began anew';

create table audit.seals (
    garage_id uuid not null,
    number bigint not null constraint seals_number_positive check (number > 0),
    kind text not null constraint seals_kind_check check (kind in ('entries', 'tombstone')),
    month date not null,
    to_xid xid8 not null,
    entry_count int not null,
    content_hash bytea not null,
    previous_hash bytea not null,
    hash bytea not null,
    sealed_at timestamptz not null,
    primary key (garage_id, number)
);
alter table audit.seals enable row level security;
alter table audit.seals force row level security;
comment on table audit.seals is
    'controller=garage; retention=10 years. The chain: each seal is over some entries of one month and over the seal before';
comment on column audit.seals.garage_id is 'internal';
comment on column audit.seals.number is 'internal: 1, 2, 3 … per garage, without a gap';
comment on column audit.seals.kind is
    'internal: entries, or the tombstone of a month whose time was over';
comment on column audit.seals.month is 'internal: first day, in UTC';
comment on column audit.seals.to_xid is 'internal: entries of transactions below this';
comment on column audit.seals.entry_count is
    'internal: entries sealed, or all those of the month that went';
comment on column audit.seals.content_hash is
    'internal: SHA-256 of the list of ids and hashes, or of the seals of the month';
comment on column audit.seals.previous_hash is 'internal: hash of the seal before';
comment on column audit.seals.hash is
    'internal: SHA-256 of everything else in the row; see private.seal_hash';
comment on column audit.seals.sealed_at is 'internal';

create table audit.sealed_rows (
    garage_id uuid not null,
    number bigint not null,
    month date not null,
    entry_ids bigint[] not null,
    hashes bytea not null,
    primary key (garage_id, number, month)
) partition by range (month);
alter table audit.sealed_rows enable row level security;
alter table audit.sealed_rows force row level security;
comment on table audit.sealed_rows is
    'controller=garage; retention=10 years. The entries of each seal and their hashes, to name the one that was touched; goes with its month';
comment on column audit.sealed_rows.garage_id is 'internal';
comment on column audit.sealed_rows.number is 'internal: of the seal';
comment on column audit.sealed_rows.month is 'internal';
comment on column audit.sealed_rows.entry_ids is 'internal: by transaction, then id';
comment on column audit.sealed_rows.hashes is 'internal: 32 bytes for each, in the same order';

create trigger _900_append_only before update or delete or truncate on audit.seals
    for each statement execute function private.tg__append_only();
create trigger _900_append_only before update or delete or truncate on audit.sealed_rows
    for each statement execute function private.tg__append_only();
alter table audit.seals enable always trigger _900_append_only;
alter table audit.sealed_rows enable always trigger _900_append_only;
select private.add_default_partition('audit.sealed_rows');
select private.add_month('audit.sealed_rows', m.month)
  from private.months_of('audit.entries') m where m.month is not null;

-- A view, not a function: it is expanded in place, for a hundred thousand rows at once.
create view audit.hashed_entries with (security_invoker = on) as
    select e.garage_id, e.id, e.xid, e.occurred_at,
           -- Columns by name, time as seconds: neither a new column nor a time zone changes a hash.
           sha256(convert_to(jsonb_build_array(e.id, e.garage_id, e.xid::text,
               extract(epoch from e.occurred_at), e.table_name, e.row_id, e.op, e.actor, e.changed,
               e.changes)::text, 'UTF8')) as hash
      from audit.entries e;
comment on view audit.hashed_entries is
    'Every entry with the hash that seals it';

create function private.seal_hash(seal audit.seals)
returns bytea
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select sha256(convert_to(jsonb_build_array(seal.garage_id, seal.number, seal.kind, seal.month,
        seal.to_xid::text, seal.entry_count, encode(seal.content_hash, 'hex'),
        encode(seal.previous_hash, 'hex'), extract(epoch from seal.sealed_at))::text, 'UTF8'));
$$;

create function private.list_hash(entry_ids bigint[], hashes bytea)
returns bytea
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select sha256(convert_to(array_to_string(entry_ids, ',') || ';', 'UTF8') || hashes);
$$;
comment on function private.list_hash is 'What a seal holds of the list of its entries';

create function private.add_seal(garage_id uuid, kind text, month date, to_xid xid8,
    entry_count int, content_hash bytea, at timestamptz)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    chain audit.chains;
    seal audit.seals;
begin
    select c.* into chain from audit.chains c where c.garage_id = add_seal.garage_id for update;
    seal.garage_id := add_seal.garage_id;
    seal.number := coalesce(chain.number, 0) + 1;
    seal.kind := add_seal.kind;
    seal.month := add_seal.month;
    seal.to_xid := add_seal.to_xid;
    seal.entry_count := add_seal.entry_count;
    seal.content_hash := add_seal.content_hash;
    seal.previous_hash := coalesce(chain.hash, '\x');
    seal.sealed_at := at;
    seal.hash := private.seal_hash(seal);
    insert into audit.seals select (seal).*;
    insert into audit.chains as c (garage_id, number, hash, to_xid)
    values (seal.garage_id, seal.number, seal.hash, seal.to_xid)
    on conflict on constraint chains_pkey do update
       set number = excluded.number, hash = excluded.hash, to_xid = excluded.to_xid;
    return seal.number;
end $$;

create function private.seal_lists(from_xid xid8, to_xid xid8, since_id bigint, at timestamptz)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    list record;
    sealed bigint := 0;
    number bigint;
begin
    for list in
        select e.garage_id, date_trunc('month', e.occurred_at, 'UTC')::date as month,
               array_agg(e.id order by e.xid, e.id) as ids,
               string_agg(e.hash, null order by e.xid, e.id) as hashes
          from audit.hashed_entries e
         where e.xid >= from_xid and e.xid < seal_lists.to_xid and e.id > seal_lists.since_id
         group by 1, 2 order by 1, 2
    loop
        number := private.add_seal(list.garage_id, 'entries', list.month, seal_lists.to_xid,
            cardinality(list.ids), private.list_hash(list.ids, list.hashes), at);
        insert into audit.sealed_rows (garage_id, number, month, entry_ids, hashes)
        values (list.garage_id, number, list.month, list.ids, list.hashes);
        sealed := sealed + cardinality(list.ids);
    end loop;
    return sealed;
end $$;
comment on function private.seal_lists is
    'Seals the entries of these transactions, one seal per garage and month; how many entries';

create function private.seal_audit(at timestamptz, max_entries int default 500000)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    sealed_to xid8;
    since bigint;
    horizon xid8;
    cut xid8;
begin
    perform pg_advisory_xact_lock(hashtext('private.seal_audit'));
    select coalesce(max(c.to_xid), '0'), coalesce(max(c.since_id), 0) into sealed_to, since
      from audit.chains c;
    -- Every transaction below this has ended, and what it wrote is visible to the next statement.
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    if horizon < sealed_to then
        return private.restart_chains(at);
    end if;
    select e.xid into cut from audit.entries e
     where e.xid >= sealed_to and e.xid < horizon and e.id > since
     order by e.xid offset max_entries limit 1;
    -- A transaction is sealed whole, however much it wrote.
    select min(e.xid) into cut from audit.entries e where e.xid > cut and e.xid < horizon;
    return private.seal_lists(sealed_to, coalesce(cut, horizon), since, at);
end $$;
comment on function private.seal_audit is
    'Seals the entries of every transaction older than all that still run, up to about max_entries; how many. Entries of a transaction that is still open wait for the next time';

create function private.restart_chains(at timestamptz)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    list record;
    sealed bigint := 0;
    number bigint;
    horizon xid8;
    last_id bigint;
begin
    lock table audit.entries in share row exclusive mode;
    horizon := pg_current_xact_id();
    last_id := (select coalesce(max(e.id), 0) from audit.entries e);
    for list in
        select e.garage_id, date_trunc('month', e.occurred_at, 'UTC')::date as month,
               array_agg(e.id order by e.xid, e.id) as ids,
               string_agg(e.hash, null order by e.xid, e.id) as hashes
          from audit.hashed_entries e
         where e.id not in (select unnest(r.entry_ids) from audit.sealed_rows r)
         group by 1, 2 order by 1, 2
    loop
        number := private.add_seal(list.garage_id, 'entries', list.month, horizon,
            cardinality(list.ids), private.list_hash(list.ids, list.hashes), at);
        insert into audit.sealed_rows (garage_id, number, month, entry_ids, hashes)
        values (list.garage_id, number, list.month, list.ids, list.hashes);
        sealed := sealed + cardinality(list.ids);
    end loop;
    update audit.chains set to_xid = horizon, since_id = last_id;
    return sealed;
end $$;
comment on function private.restart_chains is
    'After a restore into a new cluster, whose transaction numbers are lower: seals all that is not, and goes on from here';

create function private.bury_month(month date, at timestamptz)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    grave record;
begin
    for grave in
        select s.garage_id, sum(s.entry_count)::int as entry_count,
               sha256(string_agg(s.hash, null order by s.number)) as content_hash
          from audit.seals s
         where s.month = bury_month.month and s.kind = 'entries'
         group by s.garage_id order by s.garage_id
    loop
        perform private.add_seal(grave.garage_id, 'tombstone', bury_month.month,
            (select c.to_xid from audit.chains c where c.garage_id = grave.garage_id),
            grave.entry_count, grave.content_hash, at);
    end loop;
end $$;
comment on function private.bury_month is
    'One tombstone per garage for a month that goes: how many entries it had, and the hash over its seals';

create function private.month_kept_until(log regclass, month date)
returns timestamptz
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- Ten years count from the end of the calendar year, as for the invoices that history tells of (art. 60
    -- of the Belgian VAT code); the log of looks goes a year after its month.
    select (case when kept >= interval '10 years' then date_trunc('year', month) + interval '1 year'
                 else month + interval '1 month' end + kept) at time zone 'UTC'
      from (select substring(obj_description(log, 'pg_class') from 'retention=([^.;]+)')::interval)
        as rule (kept);
$$;
comment on function private.month_kept_until is
    'When a month of a log may go: by the retention in the table''s comment, the one place that says it';

create function private.drop_months(at timestamptz)
returns int
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    dropped int := 0;
    is_open boolean;
begin
    for old in
        select m.name, m.month from private.months_of('audit.entries') m
         where private.month_kept_until('audit.entries', m.month) <= at
    loop
        execute format('lock table %s in access exclusive mode', old.name);
        execute format('select exists (select from %s e where e.xid >= coalesce('
            '(select max(c.to_xid) from audit.chains c), ''0'') and e.id > coalesce('
            '(select max(c.since_id) from audit.chains c), 0))', old.name) into is_open;
        continue when is_open; -- not sealed yet: the next time
        perform private.bury_month(old.month, at);
        execute format('drop table %s', old.name);
        execute format('drop table if exists audit.sealed_rows%s',
            to_char(old.month, '_YYYY_MM'));
        dropped := dropped + 1;
    end loop;
    for old in
        select m.name, m.month from private.months_of('audit.access_entries') m
         where private.month_kept_until('audit.access_entries', m.month) <= at
    loop
        execute format('drop table %s', old.name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
comment on function private.drop_months is
    'Drops the months whose time is over; of history only what is sealed, leaving a tombstone per garage';

create function private.keep_audit_partitions(at timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s' -- rather the next hour than everybody waiting behind us
as $$
declare
    log regclass;
    made int := 0;
    first_month date := date_trunc('month', at, 'UTC');
begin
    foreach log in array array['audit.entries', 'audit.access_entries', 'audit.sealed_rows']::regclass[]
    loop
        made := made + private.empty_default_partition(log);
        made := made + (select sum(private.add_month(log, month::date))
            from generate_series(first_month::timestamp, first_month + interval '6 months', '1 month')
                as months (month));
    end loop;
    return jsonb_build_object('months_made', made, 'months_dropped', private.drop_months(at));
exception when lock_not_available then
    return jsonb_build_object('months_made', 0, 'months_dropped', 0, 'months_waiting', true);
end $$;
comment on function private.keep_audit_partitions is
    'Makes the months of the next half year and drops those whose time is over; how many of each';

create function private.keep_history(at timestamptz)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('audit_sealed', private.seal_audit(at))
        || private.keep_audit_partitions(at);
$$;
comment on function private.keep_history is
    'What housekeeping does for the logs: seal what is new, make months ahead, drop old ones';

