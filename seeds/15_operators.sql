-- Ada, of Autexor itself: an operator, and at no garage. Her password here is "autexor-demo".

insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
    confirmation_token, recovery_token, email_change_token_new, email_change,
    raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
select instance_id, '22222222-0000-4000-8000-000000000005', aud, role, 'ada@autexor.test', encrypted_password,
       email_confirmed_at, '', '', '', '', raw_app_meta_data, raw_user_meta_data, created_at, updated_at
  from auth.users where id = '22222222-0000-4000-8000-000000000001'
on conflict (id) do nothing;

insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
select u.id, u.id::text, u.id,
       jsonb_build_object('sub', u.id, 'email', u.email, 'email_verified', true, 'phone_verified', false),
       'email', u.created_at, u.created_at
  from auth.users u where u.id = '22222222-0000-4000-8000-000000000005'
on conflict (provider_id, provider) do nothing;

insert into private.operators (user_id, added_at, note)
values ('22222222-0000-4000-8000-000000000005', '2026-01-05 08:00+00', 'Ada')
on conflict (user_id) do nothing;
