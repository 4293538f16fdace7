-- Two garages and their people. Everybody's password here is "autexor-demo"; ids never change.

insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
    confirmation_token, recovery_token, email_change_token_new, email_change,
    raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
select '00000000-0000-0000-0000-000000000000', id::uuid, 'authenticated', 'authenticated', email,
       '$2b$08$vzfV9nzOZXpXsrMLuaPT7uRWGoR4oHwLJSgIk8I1eQClRVP7R/YZm', timestamptz '2026-01-05 08:00+00', '', '', '', '',
       '{"provider": "email", "providers": ["email"]}', '{"email_verified": true}',
       timestamptz '2026-01-05 08:00+00', timestamptz '2026-01-05 08:00+00'
  from (values
    ('22222222-0000-4000-8000-000000000001', 'olga@garage-noord.test'),
    ('22222222-0000-4000-8000-000000000002', 'rita@garage-noord.test'),
    ('22222222-0000-4000-8000-000000000003', 'marc@garage-noord.test'),
    ('22222222-0000-4000-8000-000000000004', 'otto@garage-zuid.test')) as people (id, email)
on conflict (id) do nothing;

insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
select u.id, u.id::text, u.id,
       jsonb_build_object('sub', u.id, 'email', u.email, 'email_verified', true, 'phone_verified', false),
       'email', u.created_at, u.created_at
  from auth.users u where u.id::text like '22222222-0000-4000-8000-%'
on conflict (provider_id, provider) do nothing;

insert into public.garages (id, legal_name, trade_name, enterprise_number, vat_number, street, postal_code, city,
    email, phone, iban, bic, locale, accent_color)
values
    ('11111111-0000-4000-8000-000000000001', 'Garage Noord BV', 'Garage Noord', '0403170701', 'BE0403170701',
     'Noorderlaan 147', '2030', 'Antwerpen', 'info@garage-noord.test', '+3232000000', 'BE68539007547034',
     'KREDBEBB', 'nl', '#12365c'),
    ('11111111-0000-4000-8000-000000000002', 'Garage du Sud SRL', 'Garage Zuid', '0417497106', 'BE0417497106',
     'Avenue du Midi 12', '6000', 'Charleroi', 'info@garage-zuid.test', '+3271000000', 'BE71096123456769',
     'GKCCBEBB', 'fr', '#7a2e1d')
on conflict (id) do nothing;

with logos (garage_id, png) as (values
    ('11111111-0000-4000-8000-000000000001'::uuid, decode('
    iVBORw0KGgoAAAANSUhEUgAAAMAAAADAAQMAAABoEv5EAAAABlBMVEX///8SNlyhoSjKAAACb0lEQVR42u1YMXLcMAxc
    4jSRioytMp31DHenp+QlGT0lT9ET/ASlS8nMuKA9MpGCPEoQQZ3v4kmRHIrDCTsLgCAJSgQAHFnIjCgH3sgYgYct4AAY
    AIytGICAQ2ZH8HXPmViAgDZnNAABX3PgE2C02IABwSh2DABqVmQCodEYLUhLCmhA6DSgAqEghF43G3UYgCGjexrKMQpI
    T5UOdGVXjW5vy4xWtzc7JSkBnW6vrnDVX1aqPVclwPCHuboB/wHwyxhjTJcDdvX7PlcTAMBdwAhNeL5gUYc2ZHzOOHK9
    HB0LwEIJRi8e0z+/6tEbxpAyEMAshrNmGOFpAZwoWZ5GnzHsRidgCu20c+8u+9jItCk7alLxouCBuWa2Jj5TfjRKV3w6
    krgQo9oyfBrzoDNom5UDM9fM/vQCQfnZL6nOyKWa10rO+YtZTpgf7Sr4KBfnElwAvDC8DHNMjA0wpeCzBOz5qXXS5hJg
    JTD/QcuYpM3fuujfAmordQIe76QOC24EmIf4OIQ1Smlb9GudXBHCrj3pBFSxJ1SpNxAAdGjeugZA0LRitM8/q7Ve0n16
    lToALbox5NeNTKE7kOgs60YTdv8R+AYg6Ps0wAp93Po9YELCMTWOG5SBMQ0VMEP+ZbBpw0s7CcDjGrhbtyUfd7fHpi0V
    y65I7HADpOazq6Q3UidXtpY6ufr8RerbC+S/Cxz0zz7wRwYfdbu/wtWk2+crXFnd7soMp9ttmTHr9om8Dozl993iZzgG
    dQJBUOvu92ZQLe8MglosB4JaEwvCqwZ837sW0QbC+u0OswMIWloBeM6Bp/0LofzG5OXcpZN6TfUbATKNYubLa0gAAAAA
    SUVORK5CYII=', 'base64')),
    ('11111111-0000-4000-8000-000000000002'::uuid, decode('
    iVBORw0KGgoAAAANSUhEUgAAAMAAAADAAQMAAABoEv5EAAAABlBMVEX///96Lh1kpVsNAAACb0lEQVR42u1YMXLcMAxc
    4jSRioytMp31DHenp+QlGT0lT9ET/ASlS8nMuKA9MpGCPEoQQZ3v4kmRHIrDCTsLgCAJSgQAHFnIjCgH3sgYgYct4AAY
    AIytGICAQ2ZH8HXPmViAgDZnNAABX3PgE2C02IABwSh2DABqVmQCodEYLUhLCmhA6DSgAqEghF43G3UYgCGjexrKMQpI
    T5UOdGVXjW5vy4xWtzc7JSkBnW6vrnDVX1aqPVclwPCHuboB/wHwyxhjTJcDdvX7PlcTAMBdwAhNeL5gUYc2ZHzOOHK9
    HB0LwEIJRi8e0z+/6tEbxpAyEMAshrNmGOFpAZwoWZ5GnzHsRidgCu20c+8u+9jItCk7alLxouCBuWa2Jj5TfjRKV3w6
    krgQo9oyfBrzoDNom5UDM9fM/vQCQfnZL6nOyKWa10rO+YtZTpgf7Sr4KBfnElwAvDC8DHNMjA0wpeCzBOz5qXXS5hJg
    JTD/QcuYpM3fuujfAmordQIe76QOC24EmIf4OIQ1Smlb9GudXBHCrj3pBFSxJ1SpNxAAdGjeugZA0LRitM8/q7Ve0n16
    lToALbox5NeNTKE7kOgs60YTdv8R+AYg6Ps0wAp93Po9YELCMTWOG5SBMQ0VMEP+ZbBpw0s7CcDjGrhbtyUfd7fHpi0V
    y65I7HADpOazq6Q3UidXtpY6ufr8RerbC+S/Cxz0zz7wRwYfdbu/wtWk2+crXFnd7soMp9ttmTHr9om8Dozl993iZzgG
    dQJBUOvu92ZQLe8MglosB4JaEwvCqwZ837sW0QbC+u0OswMIWloBeM6Bp/0LofzG5OXcpZN6TfUbATKNYubLa0gAAAAA
    SUVORK5CYII=', 'base64'))
), stored as (
    insert into public.garage_logos (garage_id, sha256, png)
    select garage_id, encode(sha256(png), 'hex'), png from logos
    on conflict do nothing
    returning garage_id, sha256
)
select count(*) from stored;
update public.garages g set logo_sha256 = l.sha256
  from public.garage_logos l where l.garage_id = g.id and g.logo_sha256 is null;

insert into public.garage_modules (garage_id, module)
select g.id, m.module from public.garages g cross join private.modules m
on conflict do nothing;

insert into public.memberships (id, garage_id, user_id, full_name, email, role, selected_at)
values
    ('2a222222-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001', '22222222-0000-4000-8000-000000000001',
     'Olga Peeters', 'olga@garage-noord.test', 'owner', timestamptz '2026-01-05 08:00+00'),
    ('2a222222-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000001', '22222222-0000-4000-8000-000000000002',
     'Rita Claes', 'rita@garage-noord.test', 'receptionist', timestamptz '2026-01-05 08:00+00'),
    ('2a222222-0000-4000-8000-000000000003', '11111111-0000-4000-8000-000000000001', '22222222-0000-4000-8000-000000000003',
     'Marc Wouters', 'marc@garage-noord.test', 'mechanic', timestamptz '2026-01-05 08:00+00'),
    ('2a222222-0000-4000-8000-000000000004', '11111111-0000-4000-8000-000000000002', '22222222-0000-4000-8000-000000000004',
     'Otto Lambert', 'otto@garage-zuid.test', 'owner', timestamptz '2026-01-05 08:00+00')
on conflict (id) do nothing;
