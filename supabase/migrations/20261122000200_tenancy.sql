-- Garages, the modules they have switched on, their people, and the question every policy asks:
-- which garage is this caller working for, and may they do this there?

create type public.member_role as enum ('owner', 'manager', 'receptionist', 'mechanic',
    'accountant');
comment on type public.member_role is 'A bundle of permissions; see private.role_permissions';

create table public.garages (
    id uuid primary key default gen_random_uuid(),
    legal_name text not null check (length(legal_name) between 1 and 120),
    trade_name text not null check (length(trade_name) between 1 and 70),
    enterprise_number text not null,
    vat_number text not null,
    street text not null check (length(street) between 1 and 120),
    postal_code text not null check (length(postal_code) between 1 and 12),
    city text not null check (length(city) between 1 and 80),
    country_code text not null default 'BE' check (country_code ~ '^[A-Z]{2}$'),
    email text not null,
    phone text,
    iban text not null,
    bic text check (bic ~ '^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?$'),
    locale text not null default 'nl' check (locale in ('nl', 'fr', 'en')),
    time_zone text not null default 'Europe/Brussels',
    accent_color text check (accent_color ~ '^#[0-9a-f]{6}$'),
    logo_sha256 text,
    payment_days int not null default 30 check (payment_days between 0 and 120),
    portal_idle_minutes int not null default 30 check (portal_idle_minutes between 15 and 30),
    portal_session_hours int not null default 12 check (portal_session_hours between 1 and 12),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
alter table public.garages enable row level security;
alter table public.garages force row level security;
comment on table public.garages is
    'controller=garage; retention=contract. A garage: one tenant, its registration data and its settings';
comment on column public.garages.id is 'internal';
comment on column public.garages.legal_name is
    'public: name in the company register; the beneficiary of EPC QR codes';
comment on column public.garages.trade_name is 'public: name on the sign';
comment on column public.garages.enterprise_number is 'public: KBO/BCE number, ten digits';
comment on column public.garages.vat_number is 'public: VAT number with its country prefix';
comment on column public.garages.street is 'public';
comment on column public.garages.postal_code is 'public';
comment on column public.garages.city is 'public';
comment on column public.garages.country_code is 'public: ISO 3166-1 alpha-2';
comment on column public.garages.email is 'public: address customers write to';
comment on column public.garages.phone is 'public: E.164';
comment on column public.garages.iban is 'public: account that invoices are paid on';
comment on column public.garages.bic is 'public';
comment on column public.garages.locale is 'public: language of the garage itself';
comment on column public.garages.time_zone is 'internal: IANA name; decides the date of an invoice';
comment on column public.garages.accent_color is 'public: colour of documents';
comment on column public.garages.logo_sha256 is 'public: the current logo, see garage_logos';
comment on column public.garages.payment_days is 'internal: days from issue to due date';
comment on column public.garages.portal_idle_minutes is
    'internal: portal sessions end after this long without a refresh';
comment on column public.garages.portal_session_hours is
    'internal: portal sessions end after this long whatever happens';
comment on column public.garages.created_at is 'internal';
comment on column public.garages.updated_at is 'internal';

create table public.garage_logos (
    garage_id uuid not null references public.garages (id),
    sha256 text not null check (sha256 = encode(sha256(png), 'hex')),
    png bytea not null check (length(png) <= 65536 and substr(png, 1, 8) = '\x89504e470d0a1a0a'),
    created_at timestamptz not null default now(),
    primary key (garage_id, sha256)
);
alter table public.garage_logos enable row level security;
alter table public.garage_logos force row level security;
comment on table public.garage_logos is
    'controller=garage; retention=contract. Logos as they were, so that an old invoice renders as it was issued';
comment on column public.garage_logos.garage_id is 'internal';
comment on column public.garage_logos.sha256 is 'public';
comment on column public.garage_logos.png is 'public: a PNG of at most 64 KiB';
comment on column public.garage_logos.created_at is 'internal';
alter table public.garages
    add constraint garages_logo_fkey foreign key (id, logo_sha256)
    references public.garage_logos (garage_id, sha256);
create index garages_logo_idx on public.garages (id, logo_sha256);

create table private.modules (
    module text primary key,
    description text not null
);
alter table private.modules enable row level security;
alter table private.modules force row level security;
comment on table private.modules is 'controller=autexor; retention=none. The modules there are';
comment on column private.modules.module is 'public';
comment on column private.modules.description is 'public';
insert into private.modules (module, description) values
    ('invoicing', 'Invoices, their numbers and their documents'),
    ('pdf_storage', 'PDFs of invoices are kept and offered by signed URL'),
    ('portal', 'Customers sign in on the portal'),
    ('conversations', 'Customers and garage write to each other'),
    ('email', 'E-mail is sent to customers'),
    ('push', 'Push notifications are sent to customers'' phones');

create table public.garage_modules (
    garage_id uuid not null references public.garages (id),
    module text not null references private.modules (module),
    is_enabled boolean not null default true,
    updated_at timestamptz not null default now(),
    primary key (garage_id, module)
);
alter table public.garage_modules enable row level security;
alter table public.garage_modules force row level security;
comment on table public.garage_modules is
    'controller=garage; retention=contract. What a garage has switched on; no row is off';
comment on column public.garage_modules.garage_id is 'internal';
comment on column public.garage_modules.module is 'internal';
comment on column public.garage_modules.is_enabled is 'internal';
comment on column public.garage_modules.updated_at is 'internal';
create index garage_modules_module_idx on public.garage_modules (module);

create table private.permissions (
    permission text primary key,
    module text references private.modules (module)
);
alter table private.permissions enable row level security;
alter table private.permissions force row level security;
comment on table private.permissions is
    'controller=autexor; retention=none. Named permissions, and the module each belongs to';
comment on column private.permissions.permission is 'public';
comment on column private.permissions.module is
    'public: closed with this module; null is never closed';
create index permissions_module_idx on private.permissions (module);
insert into private.permissions (permission, module) values
    ('garage.read', null), ('garage.write', null),
    ('members.read', null), ('members.write', null),
    ('customers.read', null), ('customers.write', null),
    ('vehicles.read', null), ('vehicles.write', null),
    ('invoices.read', 'invoicing'), ('invoices.write', 'invoicing'),
    ('invoices.issue', 'invoicing'), ('documents.read', 'pdf_storage'),
    ('deliveries.read', null), ('deliveries.retry', null),
    ('portal_accounts.read', 'portal'), ('portal_accounts.write', 'portal'),
    ('conversations.read', 'conversations'), ('conversations.write', 'conversations'),
    ('audit.read', null);

create table private.role_permissions (
    role public.member_role not null,
    permission text not null references private.permissions (permission),
    primary key (role, permission)
);
alter table private.role_permissions enable row level security;
alter table private.role_permissions force row level security;
comment on table private.role_permissions is
    'controller=autexor; retention=none. What each role may do unless a person''s own grant or denial says otherwise';
comment on column private.role_permissions.role is 'public';
comment on column private.role_permissions.permission is 'public';
create index role_permissions_permission_idx on private.role_permissions (permission);
insert into private.role_permissions (role, permission)
select 'owner'::public.member_role, permission from private.permissions
union all
select 'manager', permission from private.permissions where permission <> 'members.write'
union all
select 'receptionist', unnest(array[
    'garage.read', 'members.read', 'customers.read', 'customers.write', 'vehicles.read',
    'vehicles.write', 'invoices.read', 'invoices.write', 'invoices.issue', 'documents.read',
    'deliveries.read', 'deliveries.retry',
    'portal_accounts.read', 'portal_accounts.write', 'conversations.read', 'conversations.write'])
union all
select 'mechanic', unnest(array['garage.read', 'members.read', 'vehicles.read', 'vehicles.write'])
union all
select 'accountant', unnest(array[
    'garage.read', 'members.read', 'customers.read', 'vehicles.read', 'invoices.read',
    'documents.read', 'deliveries.read', 'audit.read']);

create table public.memberships (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    user_id uuid not null references auth.users (id),
    full_name text not null check (length(full_name) between 1 and 120),
    email text not null,
    role public.member_role not null,
    selected_at timestamptz not null default now(),
    deactivated_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (garage_id, user_id)
);
alter table public.memberships enable row level security;
alter table public.memberships force row level security;
comment on table public.memberships is
    'controller=garage; retention=contract. A person of a garage, their role there, and whether it still holds';
comment on column public.memberships.id is 'internal';
comment on column public.memberships.garage_id is 'internal';
comment on column public.memberships.user_id is
    'personal(account; subject=staff; on_erasure=keep:audit)';
comment on column public.memberships.full_name is
    'personal(name; subject=staff; on_erasure=anonymise)';
comment on column public.memberships.email is
    'personal(contact; subject=staff; on_erasure=anonymise)';
comment on column public.memberships.role is 'internal';
comment on column public.memberships.selected_at is
    'internal: of several garages the last selected one is the active one';
comment on column public.memberships.deactivated_at is
    'internal: from this moment the person may do nothing here';
comment on column public.memberships.created_at is 'internal';
comment on column public.memberships.updated_at is 'internal';
create index memberships_user_id_idx on public.memberships (user_id, selected_at desc);

create table public.membership_permissions (
    garage_id uuid not null,
    membership_id uuid not null,
    permission text not null references private.permissions (permission),
    is_granted boolean not null,
    created_at timestamptz not null default now(),
    primary key (garage_id, membership_id, permission),
    foreign key (garage_id, membership_id) references public.memberships (garage_id, id)
);
alter table public.membership_permissions enable row level security;
alter table public.membership_permissions force row level security;
comment on table public.membership_permissions is
    'controller=garage; retention=contract. One person''s own grants and denials on top of the role';
comment on column public.membership_permissions.garage_id is 'internal';
comment on column public.membership_permissions.membership_id is 'internal';
comment on column public.membership_permissions.permission is 'internal';
comment on column public.membership_permissions.is_granted is
    'internal: true adds to the role, false takes away from it';
comment on column public.membership_permissions.created_at is 'internal';
create index membership_permissions_permission_idx on public.membership_permissions (permission);

create function private.has_module(garage_id uuid, module text)
returns boolean
language plpgsql -- a cached plan: policies ask this in every statement
stable
security definer -- garage_modules is closed to the roles that ask
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from public.garage_modules m
         where m.garage_id = has_module.garage_id and m.module = has_module.module and m.is_enabled
    );
end $$;
comment on function private.has_module is 'Has the garage switched this module on?';

create function private.today_at(garage_id uuid)
returns date
language sql
stable
security definer -- asked for callers who may not read the settings
set search_path = pg_catalog, pg_temp
as $$
    select (now() at time zone g.time_zone)::date
      from public.garages g where g.id = today_at.garage_id;
$$;
comment on function private.today_at is 'The date it is at a garage';

-- Total: whatever the claims hold, the answer is a garage or null. One raising policy would stop
-- Realtime for everybody. A handler does not cover declarations, so those assign nothing.
create function private.staff_garage_id()
returns uuid
language plpgsql
stable
security definer -- reads memberships past their own policies, which ask this function
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'authenticated' then
        return null;
    end if;
    return (
        select m.garage_id from public.memberships m
         where m.garage_id = (claims ->> 'garage_id')::uuid
           and m.user_id = (claims ->> 'sub')::uuid
           and m.deactivated_at is null
           and exists (select from auth.sessions s
                        where s.id = (claims ->> 'session_id')::uuid and s.user_id = m.user_id)
    );
exception when others then
    return null;
end $$;
comment on function private.staff_garage_id is
    'The garage named in a staff token, if membership and sign-in still hold; else null. Never raises';

create function private.garage_id_for(permission text)
returns uuid
language plpgsql
stable
security definer -- reads memberships past their own policies, which ask this function
set search_path = pg_catalog, pg_temp
as $$
declare
    claims jsonb;
begin
    claims := current_setting('request.jwt.claims', true)::jsonb;
    if claims ->> 'role' is distinct from 'authenticated' then
        return null;
    end if;
    return (
        select m.garage_id
          from public.memberships m
          join private.permissions p on p.permission = garage_id_for.permission
          left join public.membership_permissions own
            on own.garage_id = m.garage_id and own.membership_id = m.id
                and own.permission = p.permission
          left join private.role_permissions bundle
            on bundle.role = m.role and bundle.permission = p.permission
         where m.garage_id = (claims ->> 'garage_id')::uuid
           and m.user_id = (claims ->> 'sub')::uuid
           and m.deactivated_at is null
           and exists (select from auth.sessions s
                        where s.id = (claims ->> 'session_id')::uuid and s.user_id = m.user_id)
           and coalesce(own.is_granted, bundle.permission is not null)
           and (p.module is null or exists (
                select from public.garage_modules g
                 where g.garage_id = m.garage_id and g.module = p.module and g.is_enabled))
    );
exception when others then
    return null;
end $$;
comment on function private.garage_id_for is
    'The active garage of a member who holds this permission there, its module being on; else null. Never raises';

create function private.require(permission text)
returns uuid
language plpgsql
stable
security definer -- tells a closed module from a missing permission, which the caller may not read
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.garage_id_for(require.permission);
    closed text;
begin
    if garage is not null then
        return garage;
    end if;
    garage := private.staff_garage_id();
    if garage is null then
        perform private.refuse('membership_not_live',
            'You do not work for this garage, or no longer',
            'Sign in again, or ask the owner of the garage', 403);
    end if;
    select p.module into closed from private.permissions p where p.permission = require.permission;
    if closed is not null and not private.has_module(garage, closed) then
        perform private.refuse('module_closed', format('The module "%s" is switched off', closed),
            'An owner can switch it on in the settings of the garage', 403);
    end if;
    perform private.refuse('permission_missing', format('This needs the permission "%s"',
        require.permission),
        'Ask an owner or manager of the garage', 403);
    return null;
end $$;
comment on function private.require is
    'The active garage of a member who holds this permission; else refuses, saying what is missing';
grant execute on function private.require, private.garage_id_for to authenticated;

-- A clear refusal before the policies' bare 42501. Work done by our own functions has asked already.
create function private.tg__require_permission()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_user = 'authenticated' then
        perform private.require(tg_argv[0]);
    end if;
    return null;
end $$;

create function private.custom_access_token_hook(event jsonb)
returns jsonb
language sql
stable
security definer -- Supabase Auth's role reads none of our tables
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_set(event, '{claims,garage_id}', coalesce(to_jsonb((
        select m.garage_id from public.memberships m
         where m.user_id = (event ->> 'user_id')::uuid and m.deactivated_at is null
         order by m.selected_at desc, m.id
         limit 1)), 'null'));
$$;
comment on function private.custom_access_token_hook is
    'Puts the active garage into a staff token as the flat claim garage_id; every statement checks it again';
grant execute on function private.custom_access_token_hook to supabase_auth_admin;

create function private.switch_garage(garage_id uuid)
returns void
language plpgsql
volatile
security definer -- selected_at is not a column that members may write
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.memberships m set selected_at = clock_timestamp()
     where m.garage_id = switch_garage.garage_id and m.user_id = auth.uid()
         and m.deactivated_at is null;
    if not found then
        perform private.refuse('garage_not_found', 'You do not work for this garage',
            'Choose a garage you are a member of', 404);
    end if;
end $$;
grant execute on function private.switch_garage to authenticated;

create function public.switch_garage(garage_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.switch_garage(switch_garage.garage_id);
end;
comment on function public.switch_garage is
    'Makes another of your garages the active one; the next token (refresh the session) carries it';
grant execute on function public.switch_garage to authenticated;

create function private.tg_garages__validate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not private.is_vat_number(new.vat_number) then
        perform private.refuse('vat_number_invalid', 'This is not a valid VAT number',
            'Write the country code and the digits without points, for example BE0403170701');
    elsif not private.is_belgian_enterprise_number(new.enterprise_number) then
        perform private.refuse('enterprise_number_invalid', 'This is not a valid enterprise number',
            'Write the ten digits without points, for example 0403170701');
    elsif not private.is_iban(new.iban) then
        perform private.refuse('iban_invalid', 'This is not a valid IBAN',
            'Write it without spaces, for example BE68539007547034');
    elsif not private.is_email(new.email) then
        perform private.refuse('email_invalid', 'This is not an e-mail address',
            'Write it as name@example.be');
    elsif not private.is_phone(new.phone) then
        perform private.refuse('phone_invalid', 'This is not an international phone number',
            'Write it as +32470123456');
    elsif not exists (select from pg_timezone_names where name = new.time_zone) then
        perform private.refuse('time_zone_unknown', 'This time zone is not known',
            'Use an IANA name, for example Europe/Brussels');
    end if;
    return new;
end $$;

create trigger _100_touch_updated_at before update on public.garages
    for each row execute function private.tg__touch_updated_at();
create trigger _200_validate before insert or update of vat_number, enterprise_number, iban, email,
    phone, time_zone
    on public.garages for each row execute function private.tg_garages__validate();
create trigger _050_require_permission before update on public.garages
    for each statement execute function private.tg__require_permission('garage.write');
create trigger _100_touch_updated_at before update on public.garage_modules
    for each row execute function private.tg__touch_updated_at();
create trigger _100_touch_updated_at before update on public.memberships
    for each row execute function private.tg__touch_updated_at();

create function private.tg_garage_modules__known()
returns trigger
language plpgsql
security definer -- private.modules is closed to members
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from private.modules m where m.module = new.module) then
        perform private.refuse('module_unknown', format('There is no module "%s"', new.module),
            'See the list of modules in the manual');
    end if;
    return new;
end $$;
create trigger _050_require_permission before insert or update on public.garage_modules
    for each statement execute function private.tg__require_permission('garage.write');
create trigger _200_known before insert or update of module on public.garage_modules
    for each row execute function private.tg_garage_modules__known();
create trigger _050_require_permission before insert on public.garage_logos
    for each statement execute function private.tg__require_permission('garage.write');
