-- Files: a path begins with the garage's id, compared as text, since a cast would let one odd file name
-- break every query. Workers store with the service key, which passes by policies.

drop policy if exists tenant_floor on storage.objects;
create policy tenant_floor on storage.objects as restrictive for all to public
    using (split_part(name, '/', 1) = (select private.garage_id())::text)
    with check (split_part(name, '/', 1) = (select private.garage_id())::text);

-- Staff download as themselves; a signed URL would outlive their membership and the log.
drop policy if exists select_member on storage.objects;
create policy select_member on storage.objects for select to authenticated
    using (bucket_id = 'invoices'
        and split_part(name, '/', 1) = (select private.garage_id_for('documents.read'))::text
        and coalesce(storage.operation(), '') !~ 'object[.]sign');

-- A customer has no path of their own to a file: only the edge can have a link signed, one at a time.
drop policy if exists select_customer on storage.objects;
create policy select_customer on storage.objects for select to portal
    using (bucket_id in ('invoices', 'message_photos')
        and name = (select private.granted_object_name()));

-- Photos of work orders: each file where its row says it is to be, and nowhere else.
drop policy if exists select_photo on storage.objects;
create policy select_photo on storage.objects for select to authenticated
    using (bucket_id = 'work_order_photos'
        and split_part(name, '/', 1) = (select private.garage_id_for('work_orders.read'))::text);
drop policy if exists insert_photo on storage.objects;
create policy insert_photo on storage.objects for insert to authenticated
    with check (bucket_id = 'work_order_photos' and private.is_photo_path(name));
drop policy if exists delete_photo on storage.objects;
create policy delete_photo on storage.objects for delete to authenticated
    using (bucket_id = 'work_order_photos'
        and split_part(name, '/', 1) = (select private.garage_id_for('work_orders.write'))::text);

-- Photos of messages: either side puts a file where it announced one, once; a signed address to put it
-- there would outlive the sending.
drop policy if exists select_message_photo on storage.objects;
create policy select_message_photo on storage.objects for select to authenticated
    using (bucket_id = 'message_photos'
        and split_part(name, '/', 1) = (select private.garage_id_for('conversations.read'))::text);
drop policy if exists insert_message_photo on storage.objects;
create policy insert_message_photo on storage.objects for insert to authenticated
    with check (bucket_id = 'message_photos' and private.is_message_photo_path(name, 'garage')
        and coalesce(storage.operation(), '') !~ 'object[.]sign');
drop policy if exists insert_message_photo_customer on storage.objects;
create policy insert_message_photo_customer on storage.objects for insert to portal
    with check (bucket_id = 'message_photos' and private.is_message_photo_path(name, 'customer')
        and coalesce(storage.operation(), '') !~ 'object[.]sign');
