"""People beside the fixed cast, who sign up, are hired and are invited."""

from uuid import uuid4

from devstack.testing import Database
from sql_tests.cast import OLGA, OTTO_MEMBERSHIP, RITA_MEMBERSHIP, Actor
from sql_tests.steps import change, claim, finish, look, one

OLGA_MEMBERSHIP = "2a222222-0000-4000-8000-000000000001"
MARC_MEMBERSHIP = "2a222222-0000-4000-8000-000000000003"
RESTORE = f"""
delete from public.membership_permissions;
delete from private.invitation_tokens;
delete from public.delivery_attempts where communication_id in (
    select id from public.communications where invitation_id is not null);
delete from public.communications where invitation_id is not null;
delete from public.invitations;
delete from pgmq.q_send;
delete from public.memberships where id::text !~ '^2a222222';
delete from auth.users where id::text !~ '^22222222';
update public.memberships set deactivated_at = null,
    role = case when id in ('{OLGA_MEMBERSHIP}', '{OTTO_MEMBERSHIP}') then 'owner'
        when id = '{RITA_MEMBERSHIP}' then 'receptionist' else 'mechanic' end::public.member_role;
update public.garage_modules set is_enabled = true;
"""
SIGN_UP = """
insert into auth.users (id, aud, role, email, email_confirmed_at)
values (%(user)s, 'authenticated', 'authenticated', %(email)s, case when %(is_verified)s then now() end)
"""
SIGN_IN = "insert into auth.sessions (id, user_id) values (%s, %s)"
HIRE = """
insert into public.memberships (garage_id, user_id, full_name, email, role)
select %s, id, split_part(email, '@', 1), email, %s from auth.users where id = %s returning id::text
"""


def sign_up(database: Database, email: str, is_verified: bool = True) -> Actor:
    """Somebody with an account and a sign-in, who works for nobody yet."""
    user, session = str(uuid4()), str(uuid4())
    with database.connect() as connection:
        connection.execute(SIGN_UP.encode(), {"user": user, "email": email, "is_verified": is_verified})
        connection.execute(SIGN_IN.encode(), (session, user))
    claims = {"role": "authenticated", "sub": user, "session_id": session, "garage_id": None}
    return Actor(email.split("@")[0], claims)


def hire(database: Database, person: Actor, garage_id: str, role: str) -> tuple[Actor, str]:
    """Make somebody a member without asking anybody; who they are there, and their membership."""
    with database.connect() as connection:
        membership = str(one(connection, HIRE, garage_id, role, person.claims["sub"]))
    return person.but(f"{person.name}, {role}", garage_id=garage_id), membership


def override(database: Database, membership_id: str, permission: str, is_granted: bool) -> None:
    """A personal grant or denial that nobody was asked about."""
    change(
        database,
        "insert into public.membership_permissions (garage_id, membership_id, permission, is_granted)"
        " select garage_id, id, %s, %s from public.memberships where id = %s",
        permission,
        is_granted,
        membership_id,
    )


def call(database: Database, actor: Actor, statement: str, *arguments: object) -> object:
    """Call an RPC as somebody, for good; its answer."""
    with actor.acting(database) as connection:
        answer = one(connection, f"select public.{statement}", *arguments)
        connection.commit()
    return answer


def invite(database: Database, email: str, role: str = "mechanic", inviter: Actor = OLGA) -> tuple[str, str]:
    """Invite somebody and let the mail go out; the invitation's id, and the token in the mail."""
    invitation = str(call(database, inviter, "invite_member(%s, %s)", email, role))
    return invitation, mailed_token(database)


def mailed_token(database: Database) -> str:
    """Send the one mail that waits; the token in it."""
    (mail,) = claim(database, "send")
    finish(database, "send", mail)
    return str(mail["job"]["context"]["token"])


def role_of(database: Database, membership_id: str) -> str:
    """The role of a member."""
    return str(look(database, "select role from public.memberships where id = %s", membership_id))
