-- Invitations: whoever may change members writes to an address; its owner accepts with the token of
-- the mail, once, within a week. The token is in the mail alone: the row holds its hash, and what the
-- mail needs is forgotten as soon as it left.

create table public.invitations (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    email text not null,
    role public.member_role not null,
    token_sha256 text not null,
    invited_by uuid not null,
    sent_count int not null default 1,
    expires_at timestamptz not null default now() + interval '7 days',
    accepted_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (token_sha256),
    foreign key (garage_id, invited_by) references public.memberships (garage_id, id),
    constraint invitations_email check (email = lower(email) and private.is_email(email)),
    constraint invitations_sent_count check (sent_count between 1 and 5),
    constraint invitations_one_end check (num_nonnulls(accepted_at, revoked_at) < 2)
);
alter table public.invitations enable row level security;
alter table public.invitations force row level security;
comment on table public.invitations is
    'controller=garage; retention=1 year. Who was asked by e-mail to work for the garage, as what, and what came of it';
comment on column public.invitations.id is 'internal';
comment on column public.invitations.garage_id is 'internal';
comment on column public.invitations.email is
    'personal(contact; subject=staff; on_erasure=erase): in small letters';
comment on column public.invitations.role is 'internal: the role it gives';
comment on column public.invitations.token_sha256 is 'secret';
comment on column public.invitations.invited_by is 'internal: the member who answers for it';
comment on column public.invitations.sent_count is 'internal: how often it was sent';
comment on column public.invitations.expires_at is 'internal: seven days after it was last sent';
comment on column public.invitations.accepted_at is 'internal';
comment on column public.invitations.revoked_at is 'internal';
comment on column public.invitations.created_at is 'internal';
comment on constraint invitations_email on public.invitations is
    'email_invalid: This is not an e-mail address | Write it as name@example.be';
comment on constraint invitations_sent_count on public.invitations is
    'invitation_sent_too_often: An invitation is sent at most five times | Check the address, revoke this one and invite anew';
create unique index invitations_open_idx on public.invitations (garage_id, email)
    where accepted_at is null and revoked_at is null;
create index invitations_invited_by_idx on public.invitations (garage_id, invited_by);

-- A mail is for a customer or for somebody invited.
alter table public.communications
    alter column customer_id drop not null,
    add column invitation_id uuid,
    add foreign key (garage_id, invitation_id) references public.invitations (garage_id, id),
    add constraint communications_one_addressee
        check (num_nonnulls(customer_id, invitation_id) = 1),
    drop constraint communications_template_check,
    add constraint communications_template_check check (
        template in ('invoice_issued', 'credit_note_issued', 'member_invited')),
    add constraint communications_invitation_keeps_no_text check (
        invitation_id is null or num_nonnulls(body_text, body_html) = 0);
comment on table public.communications is
    'controller=garage; retention=garage policy. E-mails to customers and to invited members, as they were sent, and what became of them';
comment on column public.communications.invitation_id is
    'internal: the invitation it carries; its text is not kept, since the token is in it';
create index communications_invitation_idx on public.communications (garage_id, invitation_id);
call private.audit_table('public.communications');

create table private.invitation_tokens (
    garage_id uuid not null,
    communication_id uuid not null,
    token text not null,
    primary key (garage_id, communication_id),
    foreign key (garage_id, communication_id) references public.communications (garage_id, id)
);
alter table private.invitation_tokens enable row level security;
alter table private.invitation_tokens force row level security;
comment on table private.invitation_tokens is
    'controller=garage; retention=until the mail is sent. Tokens on their way into a mail; gone once it left or was given up';
comment on column private.invitation_tokens.garage_id is 'internal';
comment on column private.invitation_tokens.communication_id is 'internal';
comment on column private.invitation_tokens.token is 'secret';

create function private.tg_communications__forget_token()
returns trigger
language plpgsql
security definer -- the worker may not touch tokens
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from private.invitation_tokens t
     where t.garage_id = new.garage_id and t.communication_id = new.id;
    return null;
end $$;
create trigger _400_forget_token after update of status on public.communications for each row
    when (new.invitation_id is not null and new.status not in ('queued', 'sending'))
    execute function private.tg_communications__forget_token();

create function private.new_token()
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
$$;
comment on function private.new_token is '244 random bits as 64 hexadecimal digits';

create function private.mail_invitation(invitation public.invitations, token text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    -- An older mail that has not left would carry a dead token.
    delete from private.invitation_tokens t
     using public.communications c
     where c.garage_id = invitation.garage_id and c.invitation_id = invitation.id
       and t.garage_id = c.garage_id and t.communication_id = c.id;
    with mail as (
        insert into public.communications (garage_id, invitation_id, template, locale, recipient)
        select g.id, invitation.id, 'member_invited', g.locale, invitation.email
          from public.garages g where g.id = invitation.garage_id
        returning garage_id, id)
    insert into private.invitation_tokens (garage_id, communication_id, token)
    select mail.garage_id, mail.id, mail_invitation.token from mail;
$$;

create function private.invite_member(email text, role public.member_role)
returns uuid
language plpgsql
volatile
security definer -- nobody may write invitations by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    giver public.memberships := private.current_member('members.write');
    address text := lower(btrim(email, E' \t\r\n'));
    token text := private.new_token();
    invitation public.invitations;
begin
    perform private.refuse_handing_out(giver, private.bundle(role), role = 'owner');
    if exists (select from public.memberships m
                where m.garage_id = giver.garage_id and lower(m.email) = address) then
        perform private.refuse('already_member', 'This person works for the garage already',
            'Change the role instead, or reactivate the person', 409);
    end if;
    insert into public.invitations (garage_id, email, role, token_sha256, invited_by)
    values (giver.garage_id, address, invite_member.role,
        encode(sha256(convert_to(token, 'UTF8')), 'hex'), giver.id)
    on conflict do nothing
    returning * into invitation;
    if not found then
        perform private.refuse('already_invited', 'This person is invited already',
            'Send the invitation again, or revoke it first', 409);
    end if;
    perform private.mail_invitation(invitation, token);
    return invitation.id;
end $$;

create function private.open_invitation(garage_id uuid, invitation_id uuid)
returns public.invitations
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    invitation public.invitations;
begin
    select * into invitation from public.invitations i
     where i.garage_id = open_invitation.garage_id and i.id = open_invitation.invitation_id
       for update;
    if not found then
        perform private.refuse('invitation_not_found', 'This invitation does not exist',
            'Look it up in the list', 404);
    elsif num_nonnulls(invitation.accepted_at, invitation.revoked_at) > 0 then
        perform private.refuse('invitation_closed', 'This invitation was accepted or revoked',
            'Invite the person anew', 409);
    end if;
    return invitation;
end $$;
comment on function private.open_invitation is
    'An invitation of the garage that is neither accepted nor revoked, locked; else refuses';

create function private.resend_invitation(invitation_id uuid)
returns void
language plpgsql
volatile
security definer -- nobody may write invitations by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    giver public.memberships := private.current_member('members.write');
    token text := private.new_token();
    invitation public.invitations := private.open_invitation(giver.garage_id, invitation_id);
begin
    perform private.refuse_handing_out(giver, private.bundle(invitation.role),
        invitation.role = 'owner');
    update public.invitations i
       set token_sha256 = encode(sha256(convert_to(token, 'UTF8')), 'hex'), invited_by = giver.id,
           sent_count = i.sent_count + 1, expires_at = now() + interval '7 days'
     where i.garage_id = invitation.garage_id and i.id = invitation.id
    returning * into invitation;
    perform private.mail_invitation(invitation, token);
end $$;

create function private.revoke_invitation(invitation_id uuid)
returns void
language plpgsql
volatile
security definer -- nobody may write invitations by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('members.write');
    invitation public.invitations := private.open_invitation(garage, invitation_id);
begin
    update public.invitations i set revoked_at = clock_timestamp()
     where i.garage_id = garage and i.id = invitation.id;
    delete from private.invitation_tokens t
     using public.communications c
     where c.garage_id = garage and c.invitation_id = invitation.id
       and t.garage_id = c.garage_id and t.communication_id = c.id;
end $$;

create function private.is_giver_entitled(invitation public.invitations)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select array_append(private.bundle(invitation.role), 'members.write')
               <@ private.held_permissions(m)
           and (invitation.role <> 'owner' or m.role = 'owner')
      from public.memberships m
     where m.garage_id = invitation.garage_id and m.id = invitation.invited_by;
$$;
comment on function private.is_giver_entitled is
    'May whoever invited still give this role? Nobody plants a way back in before they are put out';

create function private.accept_invitation(token text, full_name text)
returns uuid
language plpgsql
volatile
security definer -- the caller is not yet a member, and reads nothing of the garage
set search_path = pg_catalog, pg_temp
as $$
declare
    person record := private.signed_in_user();
    invitation public.invitations;
begin
    update public.invitations i set accepted_at = clock_timestamp()
     where i.token_sha256 = encode(sha256(convert_to(token, 'UTF8')), 'hex')
       and i.email = person.email and i.accepted_at is null and i.revoked_at is null
       and i.expires_at > now() and private.is_giver_entitled(i)
    returning * into invitation;
    if not found then
        perform private.refuse('invitation_invalid', 'This invitation does not hold, or no longer',
            'Sign in with the address that was invited, or ask for a new invitation', 404);
    end if;
    if exists (select from public.memberships m
                where m.garage_id = invitation.garage_id and m.user_id = person.id) then
        perform private.refuse('already_member', 'This person works for the garage already',
            'Change the role instead, or reactivate the person', 409);
    end if;
    insert into public.memberships (garage_id, user_id, full_name, email, role)
    values (invitation.garage_id, person.id, btrim(accept_invitation.full_name), person.email,
        invitation.role);
    return invitation.garage_id;
end $$;
grant execute on function private.invite_member, private.resend_invitation,
    private.revoke_invitation, private.accept_invitation to authenticated;

create function public.invite_member(email text, role public.member_role)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.invite_member(invite_member.email, invite_member.role);
end;
comment on function public.invite_member is
    'Asks somebody by e-mail to work for the garage; the id of the invitation, which holds for seven days';

create function public.resend_invitation(invitation_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.resend_invitation(resend_invitation.invitation_id);
end;
comment on function public.resend_invitation is
    'Sends an invitation again with a new token, for seven days more; the old token is dead';

create function public.revoke_invitation(invitation_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.revoke_invitation(revoke_invitation.invitation_id);
end;
comment on function public.revoke_invitation is 'Takes an invitation back';

create function public.accept_invitation(token text, full_name text)
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.accept_invitation(accept_invitation.token, accept_invitation.full_name);
end;
comment on function public.accept_invitation is
    'Joins the garage that invited the verified address you signed in with; the garage''s id. It is your active garage from the next token on';
grant execute on function public.invite_member, public.resend_invitation,
    public.revoke_invitation, public.accept_invitation to authenticated;

-- The mail's way out.
create function private.invoice_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'recipient', jsonb_build_object('address', communication.recipient, 'name', c.full_name),
        'context', jsonb_build_object(
            'garage_name', g.trade_name, 'customer_name', c.full_name,
            'invoice_number', i.invoice_number,
            'issue_date', i.issue_date, 'due_date', i.due_date,
            'gross_total', i.gross_total::text,
            'structured_communication', i.structured_communication,
            'credits_number', i.snapshot #>> '{credits,number}',
            'iban', i.snapshot #>> '{garage,iban}'),
        'attachment', (
            select jsonb_build_object('bucket', 'invoices', 'path', d.storage_path,
                'filename', i.invoice_number || '.pdf')
              from public.invoice_documents d where d.id = communication.document_id))
      from public.garages g
      join public.customers c on c.garage_id = g.id and c.id = communication.customer_id
      left join public.invoices i on i.garage_id = g.id and i.id = communication.invoice_id
     where g.id = communication.garage_id;
$$;

create function private.invitation_mail(communication public.communications)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'recipient', jsonb_build_object('address', communication.recipient,
            'name', communication.recipient),
        'context', jsonb_build_object(
            'garage_name', g.trade_name, 'inviter_name', m.full_name, 'token', t.token,
            'expires_on', (i.expires_at at time zone g.time_zone)::date),
        'attachment', null)
      from private.invitation_tokens t
      join public.invitations i
        on i.garage_id = t.garage_id and i.id = communication.invitation_id
      join public.memberships m on m.garage_id = i.garage_id and m.id = i.invited_by
      join public.garages g on g.id = i.garage_id
     where t.garage_id = communication.garage_id and t.communication_id = communication.id
       and i.accepted_at is null and i.revoked_at is null and i.expires_at > now();
$$;
comment on function private.invitation_mail is
    'What the mail of an invitation needs; null once it was accepted, revoked, replaced or late';

create or replace function private.finish_communication(id uuid, attempt int, outcome text,
    reason text, result jsonb)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.communications c
       set status = case finish_communication.outcome
               when 'done' then 'sent' when 'retry' then 'queued' when 'unknown'
                   then 'unknown' else 'failed' end,
           last_error = finish_communication.reason,
           subject = result ->> 'subject',
           body_text = case when c.invitation_id is null then result ->> 'body_text' end,
           body_html = case when c.invitation_id is null then result ->> 'body_html' end,
           template_version = result ->> 'template_version',
           provider = result ->> 'provider', provider_message_id = result ->> 'provider_message_id',
           sent_at = case when finish_communication.outcome = 'done' then clock_timestamp() end
     where c.id = finish_communication.id and c.attempt = finish_communication.attempt
         and c.status = 'sending'
    returning c.status;
$$;

create or replace function private.retry_delivery(subject_id uuid)
returns text
language plpgsql
volatile
security definer -- status and attempt limits are columns no member may write
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('deliveries.retry');
begin
    update public.invoice_documents d
       set status = 'pending', attempt_limit = d.attempt + 5, last_error = null
     where d.garage_id = garage and d.id = retry_delivery.subject_id and d.status = 'failed';
    if found then
        perform private.enqueue('render', subject_id);
        return 'invoice_document';
    end if;
    -- Not an invitation: its token is forgotten, resend_invitation makes another.
    update public.communications c
       set status = 'queued', attempt_limit = c.attempt + 8, last_error = null,
           recipient = coalesce((select k.email from public.customers k
                                  where k.garage_id = c.garage_id and k.id = c.customer_id),
               c.recipient)
     where c.garage_id = garage and c.id = retry_delivery.subject_id
         and c.status in ('failed', 'unknown') and c.invitation_id is null;
    if found then
        perform private.enqueue('send', subject_id);
        return 'communication';
    end if;
    update public.push_notifications p
       set status = 'queued', attempt_limit = p.attempt + 8, last_error = null
     where p.garage_id = garage and p.id = retry_delivery.subject_id
         and p.status in ('failed', 'unknown');
    if found then
        perform private.enqueue('push', subject_id);
        return 'push_notification';
    end if;
    perform private.refuse('delivery_not_retryable', 'There is nothing to retry here',
        'Only what failed or is unknown can be retried; an invitation is sent again instead', 409);
end $$;
