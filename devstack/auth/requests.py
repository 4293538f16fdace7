"""Asking for a mail: /recover, /otp, /magiclink, /resend, /reauthenticate. Nobody learns who is a user."""

from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth import flows, passwords, signup, users
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Body, Service, body_of, pkce_of
from devstack.auth.users import Connection

NO_EMAIL = "Password recovery requires an email"
RESEND_TYPES = ("signup", "email_change", "sms", "phone_change")


async def recover(service: Service, request: Request) -> Response:
    """POST /recover."""
    service.limits.sign_up(request)
    body = await body_of(request)
    if not body.text("email"):
        raise invalid(NO_EMAIL)
    email, (challenge, method) = users.email_of(body.text("email")), pkce_of(body)
    async with service.connection() as conn:
        user = await users.find_by_login(conn, "email", email)
        if user is not None:
            await flows.begin(conn, user["id"], challenge, method, "recovery")
            await service.mailer.send(conn, request, user, "recovery", is_pkce=bool(challenge))
    return JSONResponse({})


async def otp(service: Service, request: Request) -> Response:
    """POST /otp."""
    service.limits.sign_up(request)
    body = await body_of(request)
    if body.text("email") and body.text("phone"):
        raise invalid("Only an email address or phone number should be provided")
    if body.text("email") and body.text("channel"):
        raise invalid("Channel should only be specified with Phone OTP")
    if body.text("phone"):
        raise AuthError(400, "phone_provider_disabled", "Unsupported phone provider")
    if not body.text("email"):
        raise invalid("One of email or phone must be set")
    return await _magic_link(service, request, body, may_create=body.flag("create_user", default=True))


async def magic_link(service: Service, request: Request) -> Response:
    """POST /magiclink."""
    service.limits.sign_up(request)
    return await _magic_link(service, request, await body_of(request), may_create=True)


async def resend(service: Service, request: Request) -> Response:
    """POST /resend: a confirmation mail again, if one is still due."""
    service.limits.sign_up(request)
    body = await body_of(request)
    email, kind = _resend_address(service, body), body.text("type")
    async with service.connection() as conn:
        user = await users.find_by_login(conn, "email", email)
        if user is not None and kind == "signup" and not user["email_confirmed_at"]:
            await service.mailer.send(conn, request, user, "signup")
        elif user is not None and kind == "email_change" and user["email_change"]:
            await service.mailer.send_change(conn, request, user)
    return JSONResponse({})


async def reauthenticate(service: Service, request: Request) -> Response:
    """GET /reauthenticate: mails the digits that a change of password may ask for."""
    async with service.connection() as conn:
        user = (await service.caller(conn, request)).row
        if not user["email"] and not user["phone"]:
            raise invalid("Reauthentication requires the user to have an email or a phone number")
        if not user["email_confirmed_at"]:
            raise AuthError(422, "email_not_confirmed", "Please verify your email first.")
        await service.mailer.send(conn, request, user, "reauthentication")
    return JSONResponse({})


async def _magic_link(service: Service, request: Request, body: Body, *, may_create: bool) -> Response:
    if not body.text("email"):
        raise invalid(NO_EMAIL)
    if not service.settings.is_email_enabled:
        raise AuthError(422, "email_provider_disabled", "Email logins are disabled")
    email, (challenge, method) = users.email_of(body.text("email")), pkce_of(body)
    async with service.connection() as conn:
        user = await users.find_by_login(conn, "email", email)
        if user is None and not may_create:
            raise AuthError(422, "otp_disabled", "Signups not allowed for otp")
        if user is None or not user["email_confirmed_at"]:
            user = await _registered(service, conn, request, body, email)
            if not user["email_confirmed_at"]:
                return JSONResponse({})  # the confirmation mail is the magic link
        await flows.begin(conn, user["id"], challenge, method, "magiclink")
        await service.mailer.send(conn, request, user, "magiclink", is_pkce=bool(challenge))
    return JSONResponse({})


async def _registered(
    service: Service, conn: Connection, request: Request, body: Body, email: str
) -> DictRow:
    signup.refuse_if_closed(service)
    user = await users.find_by_login(conn, "email", email)
    if user is None:
        user = await signup.create(conn, email, await passwords.hashed(None), body)
    return await signup.ask_or_confirm(service, conn, request, user, body)


def _resend_address(service: Service, body: Body) -> str:
    kind, email, phone = body.text("type"), body.text("email"), body.text("phone")
    if kind not in RESEND_TYPES:
        raise invalid("Missing one of these types: " + ", ".join(RESEND_TYPES))
    if not email and kind in ("signup", "email_change"):
        raise invalid("Type provided requires an email address")
    if not phone and kind in ("sms", "phone_change"):
        raise invalid("Type provided requires a phone number")
    if email and phone:
        raise invalid("Only an email address or phone number should be provided.")
    if phone:
        raise AuthError(400, "phone_provider_disabled", "Phone logins are disabled")
    if not service.settings.is_email_enabled:
        raise AuthError(400, "email_provider_disabled", "Email logins are disabled")
    return users.email_of(email)
