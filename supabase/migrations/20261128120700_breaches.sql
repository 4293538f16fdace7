-- The register of breaches (art. 33 GDPR). Autexor, the processor, records what happened and tells every garage
-- that it concerns; a garage reads what it was told, word for word, and confirms that it has read it. What
-- kinds of data and of people are in it comes from the data map: the comments of the tables concerned.

insert into private.permissions (permission, module) values
    ('breaches.read', null), ('breaches.acknowledge', null);
insert into private.role_permissions (role, permission)
select role, 'breaches.' || unnest(array['read', 'acknowledge'])
  from unnest(array['owner', 'manager']::public.member_role[]) role;

create table private.breaches (
    id uuid primary key default gen_random_uuid(),
    title text not null constraint breaches_title_length check (length(title) between 3 and 120),
    nature text not null constraint breaches_nature_length check (length(nature) between 10 and 4000),
    tables text[] not null constraint breaches_tables_named check (cardinality(tables) > 0),
    subject_count int constraint breaches_subject_count_positive check (subject_count >= 0),
    consequences text not null default '',
    measures text not null default '',
    began_at timestamptz,
    ended_at timestamptz,
    noticed_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    recorded_by uuid not null references private.operators (user_id),
    closed_at timestamptz,
    constraint breaches_times_in_order check (began_at <= ended_at and began_at <= noticed_at)
);
alter table private.breaches enable row level security;
alter table private.breaches force row level security;
comment on table private.breaches is
    'controller=autexor; retention=10 years. Breaches of personal data: the facts as Autexor knows them today; what garages were told is in breach_notices';
comment on column private.breaches.id is 'internal';
comment on column private.breaches.title is 'internal';
comment on column private.breaches.nature is 'internal: what happened';
comment on column private.breaches.tables is 'internal: the tables concerned; their comments say what data that is';
comment on column private.breaches.subject_count is 'internal: people concerned in all, approximately';
comment on column private.breaches.consequences is 'internal: what may come of it for them';
comment on column private.breaches.measures is 'internal: taken or proposed';
comment on column private.breaches.began_at is 'internal';
comment on column private.breaches.ended_at is 'internal';
comment on column private.breaches.noticed_at is 'internal: when Autexor became aware';
comment on column private.breaches.recorded_at is 'internal';
comment on column private.breaches.recorded_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column private.breaches.closed_at is 'internal';
create index breaches_recorded_by_idx on private.breaches (recorded_by);

create table public.breach_notices (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    breach_id uuid not null references private.breaches (id),
    version int not null constraint breach_notices_version_positive check (version > 0),
    facts jsonb not null,
    told_by uuid not null,
    told_at timestamptz not null default now(),
    acknowledged_at timestamptz,
    acknowledged_by uuid,
    unique (garage_id, id),
    unique (garage_id, breach_id, version),
    constraint breach_notices_acknowledged_by_somebody check (
        (acknowledged_at is null) = (acknowledged_by is null))
);
alter table public.breach_notices enable row level security;
alter table public.breach_notices force row level security;
comment on table public.breach_notices is
    'controller=garage; retention=10 years. What Autexor told a garage about a breach, each time as it was told, and when the garage confirmed it';
comment on column public.breach_notices.id is 'internal';
comment on column public.breach_notices.garage_id is 'internal';
comment on column public.breach_notices.breach_id is 'internal';
comment on column public.breach_notices.version is 'internal: 1, then one for each time more was known';
comment on column public.breach_notices.facts is
    'internal: title, nature, categories of data and people, numbers, consequences, measures, times (art. 33(3))';
comment on column public.breach_notices.told_by is
    'personal(account; subject=staff; on_erasure=keep:audit): of Autexor';
comment on column public.breach_notices.told_at is
    'internal: from here the garage has 72 hours to tell the authority (art. 33(1))';
comment on column public.breach_notices.acknowledged_at is 'internal';
comment on column public.breach_notices.acknowledged_by is
    'personal(account; subject=staff; on_erasure=keep:audit)';
create index breach_notices_breach_idx on public.breach_notices (breach_id);

create function private.tg_breach_notices__freeze()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- What has been kept long enough goes.
    if tg_op = 'DELETE' and (private.erasure_under_way()).xid is not null then
        return old;
    end if;
    if tg_op = 'UPDATE' and old.acknowledged_at is null
        and to_jsonb(old) - '{acknowledged_at,acknowledged_by}'::text[]
            = to_jsonb(new) - '{acknowledged_at,acknowledged_by}'::text[] then
        return new;
    end if;
    perform private.refuse('notice_is_frozen', 'What a garage was told stays as it was told',
        'Tell it again, with what is known now', 409);
    return null;
end $$;
create trigger _900_freeze before update or delete on public.breach_notices
    for each row execute function private.tg_breach_notices__freeze();
create trigger _900_freeze_truncate before truncate on public.breach_notices
    for each statement execute function private.tg_breach_notices__freeze();
alter table public.breach_notices enable always trigger _900_freeze;
alter table public.breach_notices enable always trigger _900_freeze_truncate;

create function private.data_categories(tables text[])
returns table (table_name text, column_name text, category text, subject text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select t.name, a.attname::text, found[1], found[2]
      from unnest(tables) as t (name)
      join pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
      cross join lateral (select regexp_match(coalesce(col_description(a.attrelid, a.attnum), ''),
          '^personal\(([a-z]+); subject=([a-z]+);')) m (found)
     where found is not null
     union all
    select t.name, a.attname::text, 'secret', null
      from unnest(tables) as t (name)
      join pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
     where col_description(a.attrelid, a.attnum) ~ '^secret\M'
     order by 1, 2;
$$;
comment on function private.data_categories is
    'The personal and secret columns of some tables, by the data map: what kind of data, about whom';

create function private.rows_of(table_name text, garage_id uuid)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found bigint;
begin
    execute format('select count(*) from %s t where t.%I = $1', to_regclass(table_name),
        case table_name when 'public.garages' then 'id' else 'garage_id' end)
       into found using garage_id;
    return found;
end $$;

create function private.refuse_unknown_tables(tables text[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    unknown text;
begin
    -- Only what looks like a name is looked up: PostgreSQL 15 raises for what does not.
    select t.name into unknown
      from unnest(tables) as t (name)
     cross join lateral (select case when t.name ~ '^(public|private|audit)\.[a-z][a-z0-9_]{0,62}$'
                                     then to_regclass(t.name) end) as known (as_table)
     where known.as_table::text is distinct from t.name
        or t.name <> 'public.garages' and not exists (
            select from pg_attribute a where a.attrelid = known.as_table and a.attname = 'garage_id');
    if unknown is not null then
        perform private.refuse('table_unknown', format('"%s" is no table of a garage', unknown),
            'Write it with its schema, such as public.customers');
    end if;
end $$;

create function private.breach_scope(breach_id uuid)
returns table (garage_id uuid, trade_name text, records jsonb, notices int, told_at timestamptz,
    acknowledged_at timestamptz)
language plpgsql
stable
security definer -- counts rows of every garage; operators read no table of one
set search_path = pg_catalog, pg_temp
as $$
declare
    breach private.breaches := private.known_breach(breach_id);
begin
    return query
    select g.id, g.trade_name, counted.records,
           (select count(*)::int from public.breach_notices n
             where n.garage_id = g.id and n.breach_id = breach.id),
           (select max(n.told_at) from public.breach_notices n
             where n.garage_id = g.id and n.breach_id = breach.id),
           (select max(n.acknowledged_at) from public.breach_notices n
             where n.garage_id = g.id and n.breach_id = breach.id)
      from public.garages g
     cross join lateral (
        select coalesce(jsonb_object_agg(t.name, t.found) filter (where t.found > 0), '{}')
          from (select name, private.rows_of(name, g.id) as found
                  from unnest(breach.tables) as names (name)) t) counted (records)
     where counted.records <> '{}'
     order by g.trade_name, g.id;
end $$;

create function private.known_breach(breach_id uuid)
returns private.breaches
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    breach private.breaches;
begin
    perform private.require_operator();
    select b.* into breach from private.breaches b where b.id = known_breach.breach_id;
    if not found then
        perform private.refuse('breach_not_found', 'There is no such breach on record',
            'See `autexor breaches list`', 404);
    end if;
    return breach;
end $$;

create function private.breach_facts(breach private.breaches, garage_id uuid)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('title', breach.title, 'nature', breach.nature,
        'categories', (select coalesce(jsonb_agg(distinct c.category), '[]')
                         from private.data_categories(breach.tables) c),
        'subjects', (select coalesce(jsonb_agg(distinct c.subject), '[]')
                       from private.data_categories(breach.tables) c where c.subject is not null),
        'records', (select jsonb_object_agg(t.name, private.rows_of(t.name, breach_facts.garage_id))
                      from unnest(breach.tables) as t (name)),
        'subject_count', breach.subject_count, 'consequences', breach.consequences,
        'measures', breach.measures, 'began_at', breach.began_at, 'ended_at', breach.ended_at,
        'noticed_at', breach.noticed_at);
$$;
comment on function private.breach_facts is
    'What a garage is told: the facts of art. 33(3), with the numbers of rows of that garage';

create function private.save_breach(breach_id uuid, facts jsonb)
returns private.breaches
language plpgsql
volatile
security definer -- the register is closed to every role
set search_path = pg_catalog, pg_temp
as $$
declare
    operator uuid := private.require_operator();
    breach private.breaches;
    unknown text := (select min(k) from jsonb_object_keys(facts) k
        where k not in ('title', 'nature', 'tables', 'subject_count', 'consequences', 'measures',
            'began_at', 'ended_at', 'noticed_at', 'closed_at'));
begin
    if unknown is not null then
        perform private.refuse('fact_unknown', format('"%s" is no fact of a breach', unknown),
            'See the manual for the facts there are');
    end if;
    if breach_id is not null then
        breach := private.known_breach(breach_id);
        if breach.closed_at is not null then
            perform private.refuse('breach_closed', 'This breach is closed', 'Record another one', 409);
        end if;
    end if;
    breach := jsonb_populate_record(breach, facts);
    if coalesce(length(breach.title), 0) not between 3 and 120
        or coalesce(length(breach.nature), 0) not between 10 and 4000
        or coalesce(cardinality(breach.tables), 0) = 0 or breach.noticed_at is null
        or breach.began_at > breach.noticed_at or breach.began_at > breach.ended_at
        or breach.subject_count < 0 then
        perform private.refuse('facts_missing',
            'A breach has a title, its nature, the tables concerned and when it was noticed',
            'Say what is known; more can be added later');
    end if;
    perform private.refuse_unknown_tables(breach.tables);
    if breach_id is null then
        insert into private.breaches (title, nature, tables, subject_count, consequences, measures,
            began_at, ended_at, noticed_at, recorded_by)
        values (breach.title, breach.nature, breach.tables, breach.subject_count,
            coalesce(breach.consequences, ''), coalesce(breach.measures, ''), breach.began_at,
            breach.ended_at, breach.noticed_at, operator)
        returning * into breach;
    else
        update private.breaches b
           set title = breach.title, nature = breach.nature, tables = breach.tables,
               subject_count = breach.subject_count, consequences = breach.consequences,
               measures = breach.measures, began_at = breach.began_at, ended_at = breach.ended_at,
               noticed_at = breach.noticed_at, closed_at = breach.closed_at
         where b.id = breach.id
        returning * into breach;
    end if;
    return breach;
end $$;

create function private.list_breaches()
returns table (id uuid, title text, nature text, tables text[], categories text[], subject_count int,
    consequences text, measures text, began_at timestamptz, ended_at timestamptz, noticed_at timestamptz,
    recorded_at timestamptz, closed_at timestamptz, garages_told bigint, garages_acknowledged bigint)
language plpgsql
stable
security definer -- the register is closed to every role
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require_operator();
    return query
    select b.id, b.title, b.nature, b.tables,
           array(select distinct c.category from private.data_categories(b.tables) c order by 1),
           b.subject_count, b.consequences, b.measures, b.began_at, b.ended_at, b.noticed_at,
           b.recorded_at, b.closed_at,
           (select count(distinct n.garage_id) from public.breach_notices n where n.breach_id = b.id),
           (select count(distinct n.garage_id) from public.breach_notices n
             where n.breach_id = b.id and n.acknowledged_at is not null)
      from private.breaches b order by b.noticed_at desc, b.id;
end $$;

create function private.tell_garages(breach_id uuid, garage_ids uuid[])
returns int
language plpgsql
volatile
security definer -- operators write no table of a garage
set search_path = pg_catalog, pg_temp
as $$
declare
    breach private.breaches := private.known_breach(breach_id);
    told int;
begin
    -- One at a time, so that versions follow each other.
    perform from private.breaches b where b.id = breach.id for update;
    insert into public.breach_notices (garage_id, breach_id, version, facts, told_by)
    select g.id, breach.id,
           1 + (select count(*) from public.breach_notices n
                 where n.garage_id = g.id and n.breach_id = breach.id),
           private.breach_facts(breach, g.id), private.operator_id()
      from public.garages g
     where g.id = any (coalesce(tell_garages.garage_ids,
         array(select s.garage_id from private.breach_scope(breach.id) s)));
    get diagnostics told = row_count;
    if told = 0 then
        perform private.refuse('nobody_to_tell', 'No garage has rows in these tables',
            'Name the garages it concerns', 422);
    end if;
    return told;
end $$;
comment on function private.tell_garages is
    'Tells garages (null: all that have rows in the tables concerned) the facts as they are known now; how many';

create function private.acknowledge_breach(breach_notice_id uuid)
returns public.breach_notices
language plpgsql
volatile
security definer -- a notice is closed to writing
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('breaches.acknowledge');
    notice public.breach_notices;
begin
    update public.breach_notices n
       set acknowledged_at = clock_timestamp(), acknowledged_by = (private.signed_in_user()).id
     where n.garage_id = garage and n.id = acknowledge_breach.breach_notice_id
       and n.acknowledged_at is null
    returning * into notice;
    if notice.id is null then
        select n.* into notice from public.breach_notices n
         where n.garage_id = garage and n.id = acknowledge_breach.breach_notice_id;
    end if;
    if notice.id is null then
        perform private.refuse('notice_not_found', 'There is no such notice', 'See `autexor breaches list`', 404);
    end if;
    return notice;
end $$;

grant execute on function private.breach_scope, private.save_breach, private.list_breaches,
    private.tell_garages, private.acknowledge_breach to authenticated;

create function public.record_breach(facts jsonb)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select (private.save_breach(null, record_breach.facts)).id;
end;
comment on function public.record_breach is
    'For operators of Autexor: {title, nature, tables, noticed_at, began_at, ended_at, subject_count, consequences, measures}; its id';

create function public.change_breach(breach_id uuid, facts jsonb)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select (private.save_breach(change_breach.breach_id, change_breach.facts)).id;
end;
comment on function public.change_breach is
    'For operators of Autexor: more is known, or closed_at; what garages were told before stays as it was told';

create function public.list_breaches()
returns table (id uuid, title text, nature text, tables text[], categories text[], subject_count int,
    consequences text, measures text, began_at timestamptz, ended_at timestamptz, noticed_at timestamptz,
    recorded_at timestamptz, closed_at timestamptz, garages_told bigint, garages_acknowledged bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select b.id, b.title, b.nature, b.tables, b.categories, b.subject_count, b.consequences, b.measures,
           b.began_at, b.ended_at, b.noticed_at, b.recorded_at, b.closed_at, b.garages_told,
           b.garages_acknowledged
      from private.list_breaches() b;
end;
comment on function public.list_breaches is 'For operators of Autexor: the register, newest first';

create function public.breach_scope(breach_id uuid)
returns table (garage_id uuid, trade_name text, records jsonb, notices int, told_at timestamptz,
    acknowledged_at timestamptz)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select s.garage_id, s.trade_name, s.records, s.notices, s.told_at, s.acknowledged_at
      from private.breach_scope(breach_scope.breach_id) s;
end;
comment on function public.breach_scope is
    'For operators of Autexor: garages with rows in the tables concerned, how many, and whether they were told';

create function public.tell_garages(breach_id uuid, garage_ids uuid[] default null)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.tell_garages(tell_garages.breach_id, tell_garages.garage_ids);
end;
comment on function public.tell_garages is
    'For operators of Autexor: tells garages (all concerned, unless named) what is known now; how many';

create function public.acknowledge_breach(breach_notice_id uuid)
returns public.breach_notices
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select n.* from private.acknowledge_breach(acknowledge_breach.breach_notice_id) n;
end;
comment on function public.acknowledge_breach is 'Confirms that your garage has read what it was told';

grant execute on function public.record_breach, public.change_breach, public.list_breaches,
    public.breach_scope, public.tell_garages, public.acknowledge_breach to authenticated;

create function private.purge_breaches(at timestamptz)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        delete from private.breaches b
         where b.closed_at < purge_breaches.at - interval '10 years'
           and not exists (select from public.breach_notices n where n.breach_id = b.id)
        returning 1)
    select jsonb_build_object('breaches', (select count(*) from gone));
$$;
comment on function private.purge_breaches is
    'Deletes breaches that were closed ten years ago, once no garage keeps a notice of them any more; how many';
