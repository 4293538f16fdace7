-- The portal's invitation goes by any channel the garage has open.

alter table public.portal_invitations
    drop constraint portal_invitations_channel,
    add constraint portal_invitations_channel check (channel in ('email', 'sms', 'whatsapp'));
comment on constraint portal_invitations_channel on public.portal_invitations is
    'channel_closed: An invitation cannot be sent this way | Use email, sms or whatsapp';
call private.check_table('public.portal_invitations');

drop function private.mail_about_access(public.customers, text, text, text, text, timestamptz);
create function private.mail_about_access(customer public.customers, recipient text, template text,
    token text default null, event text default null, expires_at timestamptz default null,
    channel text default 'email')
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with mail as (
        insert into public.communications (garage_id, customer_id, channel, template, locale,
            recipient)
        values (customer.garage_id, customer.id, mail_about_access.channel,
            mail_about_access.template, customer.locale, mail_about_access.recipient)
        returning garage_id, id)
    insert into private.portal_mails (garage_id, communication_id, token, event, expires_at)
    select mail.garage_id, mail.id, mail_about_access.token, mail_about_access.event,
           mail_about_access.expires_at
      from mail;
$$;

create or replace function private.mail_portal_invitation(invitation public.portal_invitations,
    token text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.forget_portal_links(invitation.garage_id, invitation.customer_id,
               'portal_invited');
    select private.mail_about_access(c, invitation.recipient, 'portal_invited',
               token => mail_portal_invitation.token, expires_at => invitation.expires_at,
               channel => invitation.channel)
      from public.customers c
     where c.garage_id = invitation.garage_id and c.id = invitation.customer_id;
$$;

create or replace function private.invite_customer(customer_id uuid, channel text)
returns uuid
language plpgsql
volatile
security definer -- nobody may write invitations by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    giver public.memberships := private.current_member('portal_accounts.write');
    token text := private.new_token();
    customer public.customers;
    invitation public.portal_invitations;
begin
    select * into customer from public.customers c
     where c.garage_id = giver.garage_id and c.id = invite_customer.customer_id
       and c.merged_into_id is null and c.archived_at is null;
    if not found then
        perform private.refuse('customer_not_found', 'This customer is not in your list',
            'Choose a customer who was neither merged nor archived', 404);
    elsif customer.email is null then
        perform private.refuse('customer_without_email', 'This customer has no e-mail address',
            'Fill in the address: it becomes the login', 422);
    elsif invite_customer.channel <> 'email'
        and not private.can_send(giver.garage_id, invite_customer.channel) then
        perform private.refuse('channel_closed', 'Your garage does not send by this channel',
            'Switch the module on and set up an account, or use email', 422);
    elsif private.address_of(customer, invite_customer.channel) is null then
        perform private.refuse('customer_without_phone', 'This customer has no phone number',
            'Fill in the number, or use email', 422);
    elsif exists (
        select from public.portal_accounts a
         where a.garage_id = giver.garage_id
           and case a.customer_id when customer.id then a.deactivated_at is null
                   else a.login = customer.email end) then
        perform private.refuse('account_exists',
            'This customer, or another one with this e-mail address, uses the portal already',
            'Give the customer an e-mail address of their own', 409);
    end if;
    insert into public.portal_invitations (garage_id, customer_id, channel, recipient,
        token_sha256, invited_by)
    values (giver.garage_id, customer.id, invite_customer.channel,
        private.address_of(customer, invite_customer.channel),
        private.sha256_hex(token), giver.id)
    on conflict do nothing
    returning * into invitation;
    if not found then
        perform private.refuse('already_invited', 'This person is invited already',
            'Send the invitation again, or revoke it first', 409);
    end if;
    perform private.mail_portal_invitation(invitation, token);
    return invitation.id;
end $$;
