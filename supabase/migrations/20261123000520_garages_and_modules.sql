-- Garages and their modules: how a garage comes to be, what its registration data must look like, and
-- what a module closes that is switched off.

-- What a garage's registration data must look like, said in words.
create or replace function private.constraint_breach(rule pg_constraint)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    pairs text;
    -- Keys are looked up past the policies, so never for a row that the policies will refuse.
    own_garage text := format('coalesce(r.%s = private.garage_id(), true) and ',
        case rule.conrelid when 'public.garages'::regclass then 'id' else 'garage_id' end);
begin
    if rule.contype = 'c' then
        return format('not (%s)', pg_get_expr(rule.conbin, rule.conrelid));
    end if;
    select string_agg(format('other.%I = r.%I', far.attname, near.attname), ' and ')
      into pairs
      from unnest(rule.conkey, case rule.contype when 'f' then rule.confkey else rule.conkey end)
        as pair (near, far)
      join pg_attribute near on near.attrelid = rule.conrelid and near.attnum = pair.near
      join pg_attribute far on far.attnum = pair.far
          and far.attrelid = case rule.contype when 'f' then rule.confrelid else rule.conrelid end;
    if rule.contype = 'f' then
        return own_garage || (
            select format('num_nulls(%1$s) = 0 and (%1$s) is distinct from (%2$s) '
                       'and not exists (select from %3$s other where %4$s)',
                   string_agg(format('r.%I', a.attname), ', '),
                   string_agg(format('old.%I', a.attname), ', '),
                   rule.confrelid::regclass, pairs)
              from pg_attribute a
             where a.attrelid = rule.conrelid and a.attnum = any (rule.conkey));
    end if;
    return own_garage || format('exists (select from %s other where %s and other.id <> r.id)',
        rule.conrelid::regclass, pairs);
end $$;
comment on constraint garages_legal_name_check on public.garages is
    'legal_name_invalid: The legal name has 1 to 120 characters | Write it as in the company register';
comment on constraint garages_trade_name_check on public.garages is
    'trade_name_invalid: The trade name has 1 to 70 characters | Write it as on the sign';
comment on constraint garages_street_check on public.garages is
    'street_invalid: A street and number have 1 to 120 characters | Correct the address';
comment on constraint garages_postal_code_check on public.garages is
    'postal_code_invalid: A postal code has 1 to 12 characters | Correct the address';
comment on constraint garages_city_check on public.garages is
    'city_invalid: A town has 1 to 80 characters | Correct the address';
comment on constraint garages_country_code_check on public.garages is
    'country_invalid: A country is two capital letters | Write for example BE';
comment on constraint garages_bic_check on public.garages is
    'bic_invalid: This is not a valid BIC | Write its 8 or 11 characters in capitals, for example KREDBEBB';
comment on constraint garages_locale_check on public.garages is
    'locale_unknown: This language is not known | Use nl, fr or en';
comment on constraint garages_accent_color_check on public.garages is
    'color_invalid: This is not a colour | Write it as #12365c';
comment on constraint garages_payment_days_check on public.garages is
    'payment_days_invalid: Customers have 0 to 120 days to pay | Correct the number of days';
comment on constraint garages_portal_idle_minutes_check on public.garages is
    'idle_minutes_invalid: The portal signs customers out after 15 to 30 idle minutes | Correct the minutes';
comment on constraint garages_portal_session_hours_check on public.garages is
    'session_hours_invalid: A sign-in on the portal lasts 1 to 12 hours | Correct the hours';
comment on constraint garages_logo_fkey on public.garages is
    'logo_not_found: This logo does not exist | Upload it first';
comment on constraint garage_logos_check on public.garage_logos is
    'logo_hash_wrong: The hash is not that of the picture | Send the SHA-256 of the picture in hex';
comment on constraint garage_logos_png_check on public.garage_logos is
    'logo_invalid: A logo is a PNG of at most 64 KiB | Save it as a smaller PNG';
comment on constraint garage_modules_module_fkey on public.garage_modules is
    'module_unknown: This module does not exist | See the list of modules in the manual';
drop trigger _200_known on public.garage_modules;
drop function private.tg_garage_modules__known();
create function private.create_garage(
    legal_name text, trade_name text, enterprise_number text, vat_number text, street text,
    postal_code text, city text, email text, iban text, owner_user_id uuid, owner_name text,
    phone text default null, bic text default null, locale text default 'nl',
    country_code text default 'BE')
returns public.garages
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    garage public.garages;
begin
    insert into public.garages (legal_name, trade_name, enterprise_number, vat_number, street,
        postal_code, city, email, iban, phone, bic, locale, country_code)
    values (create_garage.legal_name, create_garage.trade_name, create_garage.enterprise_number,
        create_garage.vat_number, create_garage.street, create_garage.postal_code,
        create_garage.city, create_garage.email, create_garage.iban, create_garage.phone,
        create_garage.bic, create_garage.locale, create_garage.country_code)
    returning * into garage;
    insert into public.garage_modules (garage_id, module)
    select garage.id, m.module from private.modules m;
    insert into public.memberships (garage_id, user_id, full_name, email, role)
    select garage.id, u.id, owner_name, lower(u.email), 'owner'
      from auth.users u where u.id = owner_user_id;
    if not found then
        perform private.refuse('user_not_found', 'This account does not exist',
            'Let the person sign up first', 404);
    end if;
    return garage;
end $$;
comment on function private.create_garage is
    'For operators: a new garage with every module on and its first owner, who has an account already';

-- Modules close their work, too. What waits in a queue when a module is switched off stays as it
-- is, and is taken up again when the module is switched on.
alter table private.modules add column requires text references private.modules (module);
comment on column private.modules.requires is
    'public: the module it is part of; closed with that one, which itself is part of none';
create index modules_requires_idx on private.modules (requires);
update private.modules set requires = 'invoicing' where module = 'pdf_storage';
update private.modules set requires = 'portal' where module = 'push';

create or replace function private.has_module(garage_id uuid, module text)
returns boolean
language plpgsql -- a cached plan: policies ask this in every statement
stable
security definer -- garage_modules is closed to the roles that ask
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from private.modules known
          join public.garage_modules m on m.module = known.module
         where m.garage_id = has_module.garage_id and m.module = has_module.module and m.is_enabled
           and (known.requires is null or exists (
                select from public.garage_modules whole
                 where whole.garage_id = m.garage_id and whole.module = known.requires
                   and whole.is_enabled)));
end $$;
comment on function private.has_module is
    'Has the garage switched this module on, and the one it is part of?';

create or replace function private.garage_id_for(permission text)
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
           and (p.module is null or private.has_module(m.garage_id, p.module))
    );
exception when others then
    return null;
end $$;

create function private.hold_modules(garage_id uuid, modules text[])
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from public.garage_modules g
      where g.garage_id = hold_modules.garage_id order by g.module for share;
    return not exists (select from unnest(modules) m where not private.has_module(garage_id, m));
end $$;
comment on function private.hold_modules is
    'Are these modules on? Nobody switches one until the transaction ends: what is put to wait is not missed by who switches on. Ask before locking a row of a queue';

create or replace function private.document_job(document_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := (select d.garage_id from public.invoice_documents d
                     where d.id = document_job.document_id);
    is_open boolean := private.hold_modules(garage, array['pdf_storage']);
    is_exhausted boolean;
    document public.invoice_documents;
begin
    select * into document from public.invoice_documents d
     where d.id = document_job.document_id and d.status in ('pending', 'rendering') for update;
    if not found then
        return null;
    end if;
    if document.status = 'rendering' then
        perform private.record_attempt('render', document.id, document.attempt, 'retry',
            'worker_died', '{}');
    end if;
    if not is_open then
        update public.invoice_documents d set status = 'pending', last_error = 'module_closed'
         where d.id = document.id;
        -- Without a PDF the customer is still told; without invoicing, once it is on again.
        if private.has_module(garage, 'invoicing') then
            perform private.announce_invoice(document.invoice_id, null);
        end if;
        return null;
    end if;
    is_exhausted := document.attempt >= document.attempt_limit;
    update public.invoice_documents d
       set status = case when is_exhausted then 'failed' else 'rendering' end,
           attempt = d.attempt + 1, claimed_at = clock_timestamp(),
           last_error = case when is_exhausted then coalesce(d.last_error, 'worker_died')
                             else d.last_error end
     where d.id = document.id
    returning * into document;
    if is_exhausted then
        perform private.record_attempt('render', document.id, document.attempt, 'give_up',
            document.last_error, '{}');
        return null;
    end if;
    return private.render_job(document);
end $$;

create function private.render_job(document public.invoice_documents)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'kind', 'render_invoice', 'subject_id', document.id, 'garage_id', document.garage_id,
        'invoice_id', document.invoice_id, 'attempt', document.attempt,
        'version', document.version,
        'storage_bucket', 'invoices', 'storage_path', document.storage_path,
        'snapshot', i.snapshot,
        'logo_png_base64', translate(encode(l.png, 'base64'), E'\n', ''))
      from public.invoices i
      left join public.garage_logos l
        on l.garage_id = i.garage_id and l.sha256 = i.snapshot #>> '{garage,logo_sha256}'
     where i.id = document.invoice_id;
$$;

create or replace function private.communication_job(communication_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
    is_open boolean;
    mail jsonb;
    hindrance text;
begin
    select * into communication from public.communications t where t.id = communication_id;
    is_open := private.hold_modules(communication.garage_id, array_remove(array[
        case when communication.customer_id is not null then 'email' end,
        case when communication.invoice_id is not null then 'invoicing' end], null));
    select * into communication from public.communications t
     where t.id = communication_job.communication_id and t.status in ('queued', 'sending')
       for update;
    if not found then
        return null;
    end if;
    if communication.status = 'queued' and not is_open then
        update public.communications t set last_error = 'module_closed'
         where t.id = communication.id;
        return null;
    end if;
    mail := case when communication.invitation_id is null then private.invoice_mail(communication)
        else private.invitation_mail(communication) end;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    hindrance := case when communication.status = 'sending' then 'worker_died'
        when mail is null then 'invitation_ended' end;
    update public.communications t
       set status = case when hindrance is null then 'sending'
                         when t.status = 'sending' then 'unknown' else 'failed' end,
           attempt = t.attempt + 1,
           claimed_at = case when t.status = 'sending' then t.claimed_at else clock_timestamp() end,
           last_error = coalesce(hindrance, t.last_error)
     where t.id = communication.id
    returning * into communication;
    if hindrance is not null then
        perform private.record_attempt('send', communication.id,
            communication.attempt - (communication.status = 'unknown')::int,
            case communication.status when 'unknown' then 'unknown' else 'give_up' end,
            hindrance, '{}');
        return null;
    end if;
    return mail || (
        select jsonb_build_object(
            'kind', 'send_message', 'subject_id', communication.id,
            'garage_id', communication.garage_id,
            'attempt', communication.attempt, 'channel', communication.channel,
            'template', communication.template, 'locale', communication.locale,
            'sender', jsonb_build_object('address', 'no-reply@autexor.be', 'name', g.trade_name,
                'reply_to', g.email))
          from public.garages g where g.id = communication.garage_id);
end $$;

create or replace function private.push_job(push_notification_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    push public.push_notifications;
    is_open boolean;
begin
    select * into push from public.push_notifications t where t.id = push_notification_id;
    is_open := private.hold_modules(push.garage_id, array_remove(array['push',
        case when push.invoice_id is not null then 'invoicing' end,
        case when push.template = 'message_received' then 'conversations' end], null));
    select * into push from public.push_notifications t
     where t.id = push_job.push_notification_id and t.status in ('queued', 'sending') for update;
    if not found then
        return null;
    end if;
    -- Found under way, its worker died during the call: whether it went out, nobody knows.
    if push.status = 'sending' then
        update public.push_notifications t
           set status = 'unknown', attempt = t.attempt + 1, last_error = 'worker_died'
         where t.id = push.id;
        perform private.record_attempt('push', push.id, push.attempt, 'unknown',
            'worker_died', '{}');
        return null;
    elsif not is_open then
        update public.push_notifications t set last_error = 'module_closed' where t.id = push.id;
        return null;
    end if;
    update public.push_notifications t
       set status = 'sending', attempt = t.attempt + 1, claimed_at = clock_timestamp()
     where t.id = push.id
    returning * into push;
    return (
        select jsonb_build_object(
            'kind', 'send_push', 'subject_id', push.id, 'garage_id', push.garage_id,
            'attempt', push.attempt,
            'expo_token', d.expo_token, 'template', push.template, 'locale', push.locale,
            'data', jsonb_build_object('notification_id', push.id, 'kind', push.template))
          from public.push_devices d where d.garage_id = push.garage_id
              and d.id = push.push_device_id);
end $$;

create function private.take_up_work(garage_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with waiting as (
        update public.invoice_documents d set last_error = null
         where d.garage_id = take_up_work.garage_id and d.status = 'pending'
           and d.last_error = 'module_closed' returning d.id)
    select private.enqueue('render', w.id) from waiting w;
    with waiting as (
        update public.communications c set last_error = null
         where c.garage_id = take_up_work.garage_id and c.status = 'queued'
           and c.last_error = 'module_closed' returning c.id)
    select private.enqueue('send', w.id) from waiting w;
    with waiting as (
        update public.push_notifications p set last_error = null
         where p.garage_id = take_up_work.garage_id and p.status = 'queued'
           and p.last_error = 'module_closed' returning p.id)
    select private.enqueue('push', w.id) from waiting w;
$$;
comment on function private.take_up_work is
    'Puts back into the queues what waited for a module; what still may not be done waits again';

create function private.tg_garage_modules__take_up_work()
returns trigger
language plpgsql
security definer -- a member may not write to the queues
set search_path = pg_catalog, pg_temp
as $$
begin
    perform private.take_up_work(new.garage_id);
    return null;
end $$;
create trigger _500_take_up_work after insert or update of is_enabled on public.garage_modules
    for each row when (new.is_enabled) execute function private.tg_garage_modules__take_up_work();
