-- The data map: what the comments of tables and columns say, as rows. Nothing here lists a table: a new
-- one is in the map, the register, exports, erasures and retention by its own comments.

create table private.data_categories (
    category text primary key,
    description text not null
);
alter table private.data_categories enable row level security;
alter table private.data_categories force row level security;
comment on table private.data_categories is
    'controller=autexor; retention=none. The categories of personal data that a column''s comment may name';
comment on column private.data_categories.category is 'public';
comment on column private.data_categories.description is 'public';
insert into private.data_categories (category, description) values
    ('account', 'Who acted, as an id'),
    ('address', 'Where somebody lives or is registered'),
    ('contact', 'E-mail addresses and phone numbers'),
    ('content', 'What was said, written or asked'),
    ('device', 'Properties of a phone or browser'),
    ('document', 'What an issued document says'),
    ('fiscal', 'VAT numbers'),
    ('health', 'That a VAT rate for persons with a disability applies: a special category (art. 9 GDPR)'),
    ('name', 'Names of persons and of their companies'),
    ('preference', 'Languages, channels and what somebody does not want'),
    ('usage', 'When and from where something was used'),
    ('vehicle', 'Plates, identification numbers and odometers');

create table private.retention_rules (
    rule text primary key,
    reason text not null
);
alter table private.retention_rules enable row level security;
alter table private.retention_rules force row level security;
comment on table private.retention_rules is
    'controller=autexor; retention=none. What keep:<rule> in a column''s comment means, said to who asks for erasure';
comment on column private.retention_rules.rule is 'public';
comment on column private.retention_rules.reason is 'public';
insert into private.retention_rules (rule, reason) values
    ('invoice', 'Belgian VAT code art. 60 and income-tax law: invoices and what proves them are kept 10 years from 1 January of the year after their date'),
    ('audit', 'Security of processing (art. 32 GDPR): the history of who did what is kept as long as its table says'),
    ('rights', 'Accountability (art. 5.2 GDPR): that a request was received and answered can be proved for as long as its table says'),
    ('consent', 'Accountability (art. 7.1 GDPR): that somebody consented, and withdrew, can be proved'),
    ('evidence', 'Accountability (art. 5.2 GDPR): what Autexor did with a request can be proved');

-- The purposes. A table belongs to the processing whose permission opens it (or what it hangs from).
create table private.processings (
    processing text primary key,
    purpose text not null,
    default_basis text not null,
    keep_for interval,
    floor interval,
    ceiling interval,
    constraint processings_basis check (default_basis in ('consent', 'contract', 'legal_obligation',
        'vital_interest', 'public_task', 'legitimate_interest')),
    constraint processings_floor_to_ceiling check (
        keep_for between coalesce(floor, keep_for) and coalesce(ceiling, keep_for))
);
alter table private.processings enable row level security;
alter table private.processings force row level security;
comment on table private.processings is
    'controller=autexor; retention=none. What personal data is processed for; a garage may set its own basis, purpose and retention';
comment on column private.processings.processing is
    'public: the noun of the permissions that open its tables';
comment on column private.processings.purpose is 'public';
comment on column private.processings.default_basis is
    'public: of art. 6.1 GDPR, unless the garage says otherwise';
comment on column private.processings.keep_for is
    'public: retention unless the garage says otherwise; null where tables say it themselves';
comment on column private.processings.floor is 'public: the law wants at least this';
comment on column private.processings.ceiling is 'public: nobody needs more than this';
insert into private.processings
    (processing, purpose, default_basis, keep_for, floor, ceiling) values
    ('garage', 'Running the garage''s account', 'contract', null, null, null),
    ('members', 'Who works at the garage and may do what', 'legitimate_interest', null, null, null),
    ('customers', 'Knowing whom the garage works for', 'contract', '10 years', '1 year', '15 years'),
    ('vehicles', 'Knowing the vehicles, their plates and their odometers', 'contract', '10 years', '1 year', '20 years'),
    ('work_orders', 'Planning and carrying out work, and answering for it', 'contract', '10 years', '2 years', '15 years'),
    ('invoices', 'Invoicing, and keeping the books', 'legal_obligation', '10 years', '10 years', '15 years'),
    ('conversations', 'Answering customers', 'contract', '5 years', '30 days', '10 years'),
    ('deliveries', 'Sending documents and notices, and proving it', 'contract', '3 years', '30 days', '10 years'),
    ('portal_accounts', 'Letting customers see their own data, safely', 'contract', '3 years', '30 days', '10 years'),
    ('rights', 'Answering persons who use their rights', 'legal_obligation', '5 years', '1 year', '10 years'),
    ('privacy', 'Accounting for how personal data is processed', 'legal_obligation', null, null, null),
    ('audit', 'Seeing who did what, and noticing misuse', 'legitimate_interest', null, null, null),
    ('breaches', 'Knowing of breaches, and telling whom they concern', 'legal_obligation', null, null, null),
    ('telemetry', 'Finding errors of the apps', 'legitimate_interest', null, null, null);

create view private.data_map with (security_invoker = on) as
    with said as (
        select c.oid as relation, n.nspname || '.' || c.relname as table_name, a.attnum, a.attname::text as column_name,
               a.attnotnull as is_required, a.atttypid,
               regexp_match(obj_description(c.oid, 'pg_class'),
                   '^controller=(garage|autexor); retention=([^.;]+)(?:; on_erasure=(delete))?\. (.+)$') as whole,
               regexp_match(col_description(c.oid, a.attnum),
                   '^(public|internal|secret|personal)(?:\(([a-z]+); subject=([a-z]+); on_erasure=(erase|anonymise|keep)(?::([a-z_]+))?\))?(?:: (.+))?$')
                   as part
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where n.nspname in ('public', 'private', 'audit', 'portal', 'website') and c.relkind in ('r', 'p')
             and not c.relispartition
    )
    select s.relation, s.table_name, s.attnum, s.column_name, s.is_required, s.atttypid,
           whole[1] as controller, whole[2] as retention, whole[3] is not null as says_delete,
           whole[4] as table_purpose,
           part[1] as class, part[2] as category, part[3] as subject, part[4] as on_erasure,
           part[5] as rule, part[6] as note
      from said s;
comment on view private.data_map is
    'Every column of every table: whose it is, its class, and what becomes of it on erasure; from the comments alone';

create function private.parents(target regclass)
returns table (parent regclass, near name[], far name[], is_required boolean, on_delete "char", key name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select k.confrelid::regclass, p.near, p.far, p.is_required, k.confdeltype, k.conname
      from pg_constraint k
     cross join lateral (
        select array_agg(a.attname order by place) as near, array_agg(b.attname order by place) as far,
               bool_and(a.attnotnull) as is_required
          from unnest(k.conkey, k.confkey) with ordinality as pair (n, f, place)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.n
          join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.f) p
     where k.contype = 'f' and k.conrelid = target and k.confrelid <> target
       and k.confrelid not in ('public.garages'::regclass, 'auth.users'::regclass);
$$;
comment on function private.parents is
    'The tables a table points at, garages and itself aside: columns here and there, may they be empty, what a deletion does';

create function private.processing_of(target regclass, seen regclass[] default '{}')
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found text;
    above regclass;
begin
    select (regexp_match(pg_get_expr(p.polqual, p.polrelid), 'garage_id_for\(''([a-z_]+)\.'))[1]
      into found
      from pg_policy p
     where p.polrelid = target and p.polcmd = 'r' and p.polpermissive
     order by 1 nulls last limit 1;
    if found is null and target::text like 'audit.%' then
        found := 'audit';
    end if;
    for above in select p.parent from private.parents(target) p
                  where p.parent <> all (seen) order by p.is_required desc, p.key loop
        exit when found is not null;
        found := private.processing_of(above, seen || target);
    end loop;
    return found;
end $$;
comment on function private.processing_of is
    'What a table is processed for: by the permission that opens it, or else opens what it points at';

create view private.table_map with (security_invoker = on) as
    select m.relation, m.table_name, min(m.controller) as controller, min(m.retention) as retention,
           min(m.table_purpose) as purpose, private.processing_of(m.relation) as processing,
           bool_or(m.class = 'personal') as is_personal,
           array_agg(distinct m.category) filter (where m.category is not null) as categories,
           array_agg(distinct m.subject) filter (where m.subject is not null) as subjects,
           bool_or(m.says_delete) or bool_or(m.class = 'secret') as is_deleted_on_erasure
      from private.data_map m
     group by m.relation, m.table_name;
comment on view private.table_map is
    'Every table: controller, purpose, retention, and whether erasing a person deletes its rows or empties their personal columns';

-- Where data goes. Hosts that the workers may call are in workers/core/hosts.py, too: a test compares.
create table private.subprocessors (
    name text primary key,
    purpose text not null,
    country text not null,
    host text unique,
    module text references private.modules (module),
    used_by text not null
);
alter table private.subprocessors enable row level security;
alter table private.subprocessors force row level security;
comment on table private.subprocessors is
    'controller=autexor; retention=none. Who else processes data of garages, what for, where, and with which module';
comment on column private.subprocessors.name is 'public';
comment on column private.subprocessors.purpose is 'public';
comment on column private.subprocessors.country is
    'public: where it is established; transfers outside the EEA rest on its standard contractual clauses';
comment on column private.subprocessors.host is
    'public: what our programs call; null where they do not call it themselves, or each installation has its own';
comment on column private.subprocessors.module is
    'public: used while the garage has this module on; null always';
comment on column private.subprocessors.used_by is 'public: the part of ours that hands data to it';
create index subprocessors_module_idx on private.subprocessors (module);
insert into private.subprocessors (name, purpose, country, host, module, used_by) values
    ('Supabase', 'Database, sign-in of staff, private files, realtime', 'SG, data in the EU region of the project', null, null, 'everything'),
    ('Twilio SendGrid', 'Sending e-mail, and saying what became of it', 'US', 'api.sendgrid.com', 'email', 'workers/adapters/sendgrid.py'),
    ('Twilio', 'Sending texts and WhatsApp messages by the garage''s own account, and saying what became of them', 'US', 'api.twilio.com', 'sms', 'workers/adapters/twilio.py'),
    ('The garage''s own mail server', 'Sending e-mail, where the garage chose one', 'chosen by the garage', null, 'email', 'workers/adapters/smtp.py'),
    ('WhatsApp (Meta)', 'Delivering WhatsApp messages, called by Twilio', 'US', null, 'whatsapp', 'Twilio'),
    ('Expo', 'Handing push notifications to phones: a token, and no personal text unless the customer allowed it', 'US', 'exp.host', 'push', 'workers/adapters/expo.py'),
    ('Google Firebase Cloud Messaging', 'Delivering pushes to Android phones, called by Expo', 'US', null, 'push', 'Expo'),
    ('Apple Push Notification service', 'Delivering pushes to iPhones, called by Expo', 'US', null, 'push', 'Expo');

insert into private.permissions (permission, module) values
    ('privacy.read', null), ('privacy.write', null),
    ('rights.read', null), ('rights.write', null), ('rights.execute', null);
insert into private.role_permissions (role, permission)
select role, permission
  from unnest(array['owner', 'manager']::public.member_role[]) role,
       unnest(array['privacy.read', 'privacy.write', 'rights.read', 'rights.write', 'rights.execute'])
           permission
union all
values ('receptionist'::public.member_role, 'rights.read'), ('receptionist', 'rights.write'),
       ('accountant', 'privacy.read');

create table public.legal_bases (
    garage_id uuid not null references public.garages (id),
    processing text not null,
    basis text not null,
    purpose text,
    updated_at timestamptz not null default now(),
    primary key (garage_id, processing),
    constraint legal_bases_processing_fkey foreign key (processing)
        references private.processings (processing),
    constraint legal_bases_basis check (basis in ('consent', 'contract', 'legal_obligation',
        'vital_interest', 'public_task', 'legitimate_interest')),
    constraint legal_bases_purpose check (length(purpose) between 1 and 300)
);
alter table public.legal_bases enable row level security;
alter table public.legal_bases force row level security;
comment on table public.legal_bases is
    'controller=garage; retention=contract. The basis (art. 6.1 GDPR) and purpose that a garage determined for a processing; no row is the default';
comment on column public.legal_bases.garage_id is 'internal';
comment on column public.legal_bases.processing is 'internal';
comment on column public.legal_bases.basis is 'internal';
comment on column public.legal_bases.purpose is 'internal: in the garage''s own words';
comment on column public.legal_bases.updated_at is 'internal';
comment on constraint legal_bases_processing_fkey on public.legal_bases is
    'processing_unknown: There is no such processing | See `autexor privacy bases`';
comment on constraint legal_bases_basis on public.legal_bases is
    'basis_unknown: This is not a legal basis of art. 6.1 GDPR | Use consent, contract, legal_obligation, vital_interest, public_task or legitimate_interest';
comment on constraint legal_bases_purpose on public.legal_bases is
    'purpose_invalid: A purpose has 1 to 300 characters | Shorten it';
create index legal_bases_processing_idx on public.legal_bases (processing);
create trigger _050_require_permission before insert or update or delete on public.legal_bases
    for each statement execute function private.tg__require_permission('privacy.write');
create trigger _100_touch_updated_at before update on public.legal_bases
    for each row execute function private.tg__touch_updated_at();

create function private.known_processings()
returns table (processing text, purpose text, default_basis text, tables text[], categories text[],
    subjects text[])
language sql
stable
security definer -- the register's vocabulary is closed to members, and the same for all of them
set search_path = pg_catalog, pg_temp
as $$
    -- The map is looked through once, not for each processing.
    with map as materialized (
        select t.table_name, t.processing, t.categories, t.subjects from private.table_map t
         where t.is_personal and t.controller = 'garage'
    )
    select p.processing, p.purpose, p.default_basis, t.tables, t.categories, t.subjects
      from private.processings p
     cross join lateral (
        select array_agg(distinct m.table_name order by m.table_name) as tables,
               array_agg(distinct c order by c) as categories, array_agg(distinct s order by s) as subjects
          from map m, unnest(m.categories) c, unnest(m.subjects) s
         where m.processing = p.processing) t;
$$;
grant execute on function private.known_processings to authenticated;

create view public.processing_records with (security_invoker = on) as
    select g.id as garage_id, k.processing, coalesce(b.purpose, k.purpose) as purpose,
           coalesce(b.basis, k.default_basis) as basis, b.processing is not null as is_set_by_garage,
           k.categories, k.subjects, k.tables
      from public.garages g
     cross join private.known_processings() k
      left join public.legal_bases b on b.garage_id = g.id and b.processing = k.processing;
comment on view public.processing_records is
    'The garage''s record of processing activities (art. 30 GDPR): purpose, legal basis, categories of data and persons, and where they are';

create function private.known_subprocessors()
returns table (name text, purpose text, country text, host text, module text)
language sql
stable
security definer -- the register is closed to members, and the same for all of them
set search_path = pg_catalog, pg_temp
as $$
    select s.name, s.purpose, s.country, s.host, s.module from private.subprocessors s;
$$;
grant execute on function private.known_subprocessors to authenticated;

create view public.subprocessors with (security_invoker = on) as
    select g.id as garage_id, s.name, s.purpose, s.country, s.host, s.module,
           s.module is null or exists (
               select from public.garage_modules m
                where m.garage_id = g.id and m.module = s.module and m.is_enabled) as is_in_use
      from public.garages g cross join private.known_subprocessors() s;
comment on view public.subprocessors is
    'Who else processes the garage''s data: in use while the module is on that hands data to them';

create function private.garage_data_map()
returns table (table_name text, column_name text, class text, category text, subject text,
    on_erasure text, controller text, retention text, processing text, note text)
language plpgsql
stable
security definer -- names tables that are closed to members
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.require('privacy.read');
    return query
    select m.table_name, m.column_name, m.class, m.category, m.subject,
           concat_ws(':', m.on_erasure, m.rule), m.controller, m.retention, t.processing, m.note
      from private.data_map m join private.table_map t on t.relation = m.relation
     where m.controller = 'garage'
     order by m.table_name, m.attnum;
end $$;
grant execute on function private.garage_data_map to authenticated;

create function public.data_map()
returns table (table_name text, column_name text, class text, category text, subject text,
    on_erasure text, controller text, retention text, processing text, note text)
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select m.* from private.garage_data_map() m;
end;
comment on function public.data_map is
    'Every column that holds data of garages: its class, whom it is about, what becomes of it on erasure, and why it is there';
grant execute on function public.data_map to authenticated;
