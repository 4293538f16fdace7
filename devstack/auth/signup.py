"""POST /signup and POST /invite: new users, by themselves or by an administrator."""

from datetime import UTC, datetime
from uuid import uuid4

from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth import flows, grants, passwords, users
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Body, Service, body_of, pkce_of
from devstack.auth.users import Connection, Json

PROVIDER = {"provider": "email", "providers": ["email"]}


async def signup(service: Service, request: Request) -> Response:
    """POST /signup: a session, or the user when the address is still to be confirmed."""
    body = await body_of(request)
    if not body.text("email") and not body.text("phone"):
        return await _anonymous(service, request, body)
    service.limits.sign_up(request)
    email = check(service, body)
    pkce_of(body)
    async with service.connection() as conn:
        user = await users.find_by_login(conn, "email", email)
        if user is not None and user["email_confirmed_at"]:
            if not service.settings.has_confirmations:
                raise AuthError(422, "user_already_exists", "User already registered")
            return JSONResponse(_pretended(email, body))
        if user is None:
            user = await create(conn, email, await passwords.hashed(body.text("password")), body)
        user = await ask_or_confirm(service, conn, request, user, body)
        if not user["email_confirmed_at"]:
            return JSONResponse(await users.as_json(conn, user))
        answer, headers = await grants.begin(service, conn, request, user, "password")
    return JSONResponse(answer, headers=headers)


def check(service: Service, body: Body) -> str:
    """The address of someone who may sign up with that body. Raises AuthError."""
    refuse_if_closed(service)
    if not body.text("password"):
        raise invalid("Signup requires a valid password")
    passwords.check(body.text("password"), service.settings.minimum_password_length)
    if body.text("email") and body.text("phone"):
        raise invalid("Only an email address or phone number should be provided on signup.")
    if body.text("phone"):
        raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
    if not service.settings.is_email_enabled:
        raise AuthError(400, "email_provider_disabled", "Email signups are disabled")
    return users.email_of(body.text("email"))


def refuse_if_closed(service: Service) -> None:
    """Raise AuthError where nobody signs up."""
    if not service.settings.is_signup_enabled:
        raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")


async def create(conn: Connection, email: str, password: str | None, body: Body) -> DictRow:
    """A user as sign-up makes it: the metadata repeat what the identity says."""
    data = body.object("data") or {}
    user = await users.insert(
        conn,
        {
            "id": uuid4(),
            "email": email,
            "password": password,
            "app_metadata": PROVIDER,
            "user_metadata": data,
        },
    )
    identity = await users.add_identity(conn, user["id"], "email", {**data, **_claims(user)})
    return await users.change(conn, user["id"], raw_user_meta_data=identity)


async def confirm(conn: Connection, user: DictRow) -> DictRow:
    """The address is the user's own; the new row."""
    metadata = users.merged(user["raw_user_meta_data"], {"email_verified": True})
    await users.change_identity(conn, user["id"], "email", email_verified=True)
    return await users.change(
        conn,
        user["id"],
        confirmation_token="",
        email_confirmed_at=datetime.now(UTC),
        raw_user_meta_data=metadata,
        is_anonymous=False,
    )


async def ask_or_confirm(
    service: Service, conn: Connection, request: Request, user: DictRow, body: Body
) -> DictRow:
    """Mail the new user a confirmation link, or confirm at once; the new row. Raises AuthError."""
    if not service.settings.has_confirmations:
        return await confirm(conn, user)
    challenge, method = pkce_of(body)
    await flows.begin(conn, user["id"], challenge, method, "signup")
    return await service.mailer.send(conn, request, user, "signup", is_pkce=bool(challenge))


async def invite(service: Service, request: Request) -> Response:
    """POST /invite: a user without password, and a mail that lets them in."""
    service.require_admin(request)
    body = await body_of(request)
    email = users.email_of(body.text("email"))
    async with service.connection() as conn:
        user = await invited(conn, email, body.object("data") or {})
        user = await service.mailer.send(conn, request, user, "invite")
        user = await users.change(conn, user["id"], invited_at=datetime.now(UTC))
        return JSONResponse(await users.as_json(conn, user))


async def invited(conn: Connection, email: str, data: Json) -> DictRow:
    """The user to be invited: new, or not confirmed yet. Raises AuthError."""
    user = await users.find_by_login(conn, "email", email)
    if user is None:
        values = {"id": uuid4(), "email": email, "app_metadata": PROVIDER, "user_metadata": data}
        user = await users.insert(conn, values)
        await users.add_identity(conn, user["id"], "email", _claims(user))
    elif user["email_confirmed_at"]:
        raise AuthError(422, "email_exists", users.EMAIL_EXISTS)
    return user


async def _anonymous(service: Service, request: Request, body: Body) -> Response:
    if not service.settings.is_anonymous_enabled:
        raise AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
    refuse_if_closed(service)
    service.limits.anonymous(request)
    data = body.object("data") or {}
    async with service.connection() as conn:
        user = await users.insert(conn, {"id": uuid4(), "is_anonymous": True, "user_metadata": data})
        answer, headers = await grants.begin(service, conn, request, user, "anonymous")
    return JSONResponse(answer, headers=headers)


def _claims(user: DictRow) -> Json:
    verified = {"email_verified": False, "phone_verified": False}
    return {"sub": str(user["id"]), "email": user["email"], **verified}


def _pretended(email: str, body: Body) -> Json:
    """What a stranger is told who signs up with the address of a user: nothing that gives them away."""
    now = users.plain(datetime.now(UTC))
    return {
        "id": str(uuid4()),
        "aud": users.AUDIENCE,
        "role": "",
        "email": email,
        "phone": "",
        "confirmation_sent_at": now,
        "app_metadata": PROVIDER,
        "user_metadata": body.object("data") or {},
        "identities": [],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": False,
    }
