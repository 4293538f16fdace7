-- Carla is a customer of both garages: two relations that know nothing of each other. Karel is Noord's.

insert into public.customers (id, garage_id, full_name, email, phone, street, postal_code, city, locale)
values
    ('33333333-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001', 'Carla Verstraete',
     'carla@example.test', '+32470111111', 'Kerkstraat 8', '2060', 'Antwerpen', 'nl'),
    ('33333333-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000001', 'Karel Janssens',
     'karel@example.test', '+32470222222', 'Molenweg 21', '2170', 'Merksem', 'nl'),
    ('33333333-0000-4000-8000-000000000003', '11111111-0000-4000-8000-000000000002', 'Carla Verstraete',
     'carla@example.test', '+32470111111', 'Kerkstraat 8', '2060', 'Antwerpen', 'fr')
on conflict (id) do nothing;
