-- Portal accounts, each bound to one device. The hashes belong to passwords and PINs that the README
-- prints, under the local stack's pepper: on any other system they open nothing.

insert into public.portal_accounts (id, garage_id, customer_id, login)
values
    ('55555555-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
     '33333333-0000-4000-8000-000000000001', 'carla@example.test'),
    ('55555555-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000001',
     '33333333-0000-4000-8000-000000000002', 'karel@example.test'),
    ('55555555-0000-4000-8000-000000000003', '11111111-0000-4000-8000-000000000002',
     '33333333-0000-4000-8000-000000000003', 'carla@example.test')
on conflict (id) do nothing;

insert into public.portal_devices (id, garage_id, account_id, label, install_sha256, fingerprint_sha256)
select id::uuid, garage_id::uuid, account_id::uuid, label,
       encode(sha256(convert_to(install_id, 'UTF8')), 'hex'), encode(sha256(convert_to(fingerprint, 'UTF8')), 'hex')
  from (values
    ('66666666-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001', '55555555-0000-4000-8000-000000000001',
     'Carla''s phone', 'carla-phone-noord', 'fp-carla'),
    ('66666666-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000001', '55555555-0000-4000-8000-000000000002',
     'Karel''s phone', 'karel-phone-noord', 'fp-karel'),
    ('66666666-0000-4000-8000-000000000003', '11111111-0000-4000-8000-000000000002', '55555555-0000-4000-8000-000000000003',
     'Carla''s phone', 'carla-phone-zuid', 'fp-carla')
  ) as devices (id, garage_id, account_id, label, install_id, fingerprint)
on conflict (id) do nothing;

insert into private.portal_credentials (account_id, garage_id, password_hash)
values
    ('55555555-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
     '$argon2id$v=19$m=47104,t=1,p=1$qS0SigktuWOVP4xdLObUtw$MitTlxC+fLbi1Def8enTQU4RXhOWiLgkpxjEX675iw4'),
    ('55555555-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000001',
     '$argon2id$v=19$m=47104,t=1,p=1$ikR3rC7TMjSuHH0Z2XjwGA$rr0p2iYQJr4VAN7C+8/vVj1hdr/QdO8rDlX0o7n7PEA'),
    ('55555555-0000-4000-8000-000000000003', '11111111-0000-4000-8000-000000000002',
     '$argon2id$v=19$m=47104,t=1,p=1$qS0SigktuWOVP4xdLObUtw$MitTlxC+fLbi1Def8enTQU4RXhOWiLgkpxjEX675iw4')
on conflict (account_id) do nothing;

insert into private.portal_pins (device_id, garage_id, pin_hash)
values
    ('66666666-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
     '$argon2id$v=19$m=47104,t=1,p=1$sp30UbIWfYZIutz/W/nHeA$VAT6TJfmIZWNwRcBpSrS5diOLNrTqBc4BE9A6u5Y6rQ'),
    ('66666666-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000001',
     '$argon2id$v=19$m=47104,t=1,p=1$P4MSx6XX+qnHKgyCCIjHXw$IoON1vrDV/lmBCf5vLbiRldeGDKiiUuZWkmIrUyo2A0'),
    ('66666666-0000-4000-8000-000000000003', '11111111-0000-4000-8000-000000000002',
     '$argon2id$v=19$m=47104,t=1,p=1$sp30UbIWfYZIutz/W/nHeA$VAT6TJfmIZWNwRcBpSrS5diOLNrTqBc4BE9A6u5Y6rQ')
on conflict (device_id) do nothing;

insert into public.push_devices (garage_id, portal_device_id, expo_token)
values ('11111111-0000-4000-8000-000000000001', '66666666-0000-4000-8000-000000000001',
        'ExponentPushToken[CarlaNoordPhone0000001]')
on conflict (garage_id, portal_device_id) do nothing;
