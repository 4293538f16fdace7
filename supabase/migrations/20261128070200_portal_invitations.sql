-- A garage asks a customer to use the portal; the customer activates the access with the token of the
-- mail, once, within a fortnight, and has then a password, a device and the device's PIN.

create table public.portal_invitations (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null,
    customer_id uuid not null,
    channel text not null default 'email',
    recipient text not null,
    token_sha256 text not null,
    invited_by uuid not null,
    sent_count int not null default 1,
    expires_at timestamptz not null default now() + interval '14 days',
    accepted_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    unique (garage_id, id),
    unique (token_sha256),
    foreign key (garage_id, customer_id) references public.customers (garage_id, id),
    foreign key (garage_id, invited_by) references public.memberships (garage_id, id),
    constraint portal_invitations_channel check (channel = 'email'),
    constraint portal_invitations_sent_count check (sent_count between 1 and 5),
    constraint portal_invitations_one_end check (num_nonnulls(accepted_at, revoked_at) < 2)
);
alter table public.portal_invitations enable row level security;
alter table public.portal_invitations force row level security;
comment on table public.portal_invitations is
    'controller=garage; retention=1 year. Which customer was asked to use the portal, by whom and how, and what came of it';
comment on column public.portal_invitations.id is 'internal';
comment on column public.portal_invitations.garage_id is 'internal';
comment on column public.portal_invitations.customer_id is 'internal';
comment on column public.portal_invitations.channel is 'internal: by what it is sent';
comment on column public.portal_invitations.recipient is
    'personal(contact; subject=customer; on_erasure=erase): the address on that channel';
comment on column public.portal_invitations.token_sha256 is 'secret';
comment on column public.portal_invitations.invited_by is 'internal: the member who invited';
comment on column public.portal_invitations.sent_count is 'internal: how often it was sent';
comment on column public.portal_invitations.expires_at is
    'internal: fourteen days after it was last sent';
comment on column public.portal_invitations.accepted_at is 'internal';
comment on column public.portal_invitations.revoked_at is 'internal';
comment on column public.portal_invitations.created_at is 'internal';
comment on constraint portal_invitations_channel on public.portal_invitations is
    'channel_closed: An invitation cannot be sent this way | Use email';
comment on constraint portal_invitations_sent_count on public.portal_invitations is
    'invitation_sent_too_often: An invitation is sent at most five times | Check the address, revoke this one and invite anew';
create unique index portal_invitations_open_idx on public.portal_invitations (garage_id, customer_id)
    where accepted_at is null and revoked_at is null;
create index portal_invitations_customer_idx on public.portal_invitations (garage_id, customer_id);
create index portal_invitations_invited_by_idx on public.portal_invitations (garage_id, invited_by);

create function private.forget_portal_links(garage_id uuid, customer_id uuid, template text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    delete from private.portal_mails m
     using public.communications c
     where c.garage_id = forget_portal_links.garage_id
       and c.customer_id = forget_portal_links.customer_id
       and c.template = forget_portal_links.template
       and m.garage_id = c.garage_id and m.communication_id = c.id;
$$;
comment on function private.forget_portal_links is
    'A mail that has not left would carry a dead token: it does not leave any more';

create function private.mail_portal_invitation(invitation public.portal_invitations, token text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    select private.forget_portal_links(invitation.garage_id, invitation.customer_id,
               'portal_invited');
    select private.mail_about_access(c, invitation.recipient, 'portal_invited',
               token => mail_portal_invitation.token, expires_at => invitation.expires_at)
      from public.customers c
     where c.garage_id = invitation.garage_id and c.id = invitation.customer_id;
$$;

create function private.invite_customer(customer_id uuid, channel text)
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
    values (giver.garage_id, customer.id, invite_customer.channel, customer.email,
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

create function private.open_portal_invitation(garage_id uuid, invitation_id uuid)
returns public.portal_invitations
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    invitation public.portal_invitations;
begin
    select * into invitation from public.portal_invitations i
     where i.garage_id = open_portal_invitation.garage_id
       and i.id = open_portal_invitation.invitation_id
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
comment on function private.open_portal_invitation is
    'An invitation of the garage that is neither accepted nor revoked, locked; else refuses';

create function private.resend_portal_invitation(invitation_id uuid)
returns void
language plpgsql
volatile
security definer -- nobody may write invitations by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    giver public.memberships := private.current_member('portal_accounts.write');
    token text := private.new_token();
    invitation public.portal_invitations := private.open_portal_invitation(giver.garage_id,
        invitation_id);
begin
    update public.portal_invitations i
       set token_sha256 = private.sha256_hex(token), invited_by = giver.id,
           sent_count = i.sent_count + 1, expires_at = now() + interval '14 days',
           recipient = coalesce((select c.email from public.customers c
                                  where c.garage_id = i.garage_id and c.id = i.customer_id),
               i.recipient)
     where i.garage_id = invitation.garage_id and i.id = invitation.id
    returning * into invitation;
    perform private.mail_portal_invitation(invitation, token);
end $$;

create function private.revoke_portal_invitation(invitation_id uuid)
returns void
language plpgsql
volatile
security definer -- nobody may write invitations by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('portal_accounts.write');
    invitation public.portal_invitations := private.open_portal_invitation(garage, invitation_id);
begin
    update public.portal_invitations i set revoked_at = clock_timestamp()
     where i.garage_id = garage and i.id = invitation.id;
    perform private.forget_portal_links(garage, invitation.customer_id, 'portal_invited');
end $$;
grant execute on function private.invite_customer, private.resend_portal_invitation,
    private.revoke_portal_invitation to authenticated;

create function public.invite_customer(customer_id uuid, channel text default 'email')
returns uuid
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.invite_customer(invite_customer.customer_id, invite_customer.channel);
end;
comment on function public.invite_customer is
    'Asks a customer to use the portal; the id of the invitation, which holds for fourteen days';

create function public.resend_portal_invitation(invitation_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.resend_portal_invitation(resend_portal_invitation.invitation_id);
end;
comment on function public.resend_portal_invitation is
    'Sends a customer''s invitation again with a new token, for fourteen days more; the old token is dead';

create function public.revoke_portal_invitation(invitation_id uuid)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.revoke_portal_invitation(revoke_portal_invitation.invitation_id);
end;
comment on function public.revoke_portal_invitation is 'Takes a customer''s invitation back';
grant execute on function public.invite_customer, public.resend_portal_invitation,
    public.revoke_portal_invitation to authenticated;
