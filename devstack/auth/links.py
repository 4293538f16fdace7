"""POST /admin/generate_link: the link and the digits of a mail, without the mail."""

from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth import one_time, passwords, redirects, signup, users
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Body, Service, body_of
from devstack.auth.users import Connection

CHANGES = {
    "email_change_current": "email_change_token_current",
    "email_change_new": "email_change_token_new",
}
COLUMNS = {
    "signup": "confirmation_token",
    "invite": "confirmation_token",
    "magiclink": "recovery_token",
    "recovery": "recovery_token",
    **CHANGES,
}


@dataclass(frozen=True)
class _Wanted:
    kind: str
    email: str
    body: Body


async def generate(service: Service, request: Request) -> Response:
    """POST /admin/generate_link."""
    service.require_admin(request)
    body = await body_of(request)
    wanted = _Wanted(body.text("type"), users.email_of(body.text("email")), body)
    async with service.connection() as conn:
        user = await users.find_by_login(conn, "email", wanted.email)
        if user is None and wanted.kind == "magiclink":
            wanted = _Wanted("signup", wanted.email, Body({**body, "password": None}))
        user = await _prepared(service, conn, user, wanted, is_new_link=body.text("type") == "magiclink")
        address = user["email_change"] if wanted.kind == "email_change_new" else wanted.email
        secret = one_time.new(address, service.settings.otp_length)
        user = await one_time.keep(conn, user, COLUMNS[wanted.kind], secret.token_hash, address)
        shown = await users.as_json(conn, user)
    kind = "email_change" if wanted.kind in CHANGES else wanted.kind
    back = body.text("redirect_to")
    return JSONResponse(
        shown
        | {
            "action_link": service.mailer.link(request, kind, secret.token_hash, back),
            "email_otp": secret.otp,
            "hashed_token": secret.token_hash,
            "verification_type": wanted.kind,
            "redirect_to": redirects.target(request, service.settings, back),
        }
    )


async def _prepared(
    service: Service, conn: Connection, user: DictRow | None, wanted: _Wanted, *, is_new_link: bool
) -> DictRow:
    """The user the link is for, made if its kind may make one. Raises AuthError."""
    if wanted.kind not in COLUMNS:
        raise invalid(f"Invalid email action link type requested: {wanted.kind}")
    if wanted.kind == "signup":
        return await _signing_up(service, conn, user, wanted, has_random_password=is_new_link)
    if wanted.kind == "invite":
        user = await signup.invited(conn, wanted.email, wanted.body.object("data") or {})
        return await users.change(conn, user["id"], invited_at=datetime.now(UTC))
    if user is None:
        raise AuthError(404, "user_not_found", "User with this email not found")
    return await _changing(service, conn, user, wanted) if wanted.kind in CHANGES else user


async def _signing_up(
    service: Service, conn: Connection, user: DictRow | None, wanted: _Wanted, *, has_random_password: bool
) -> DictRow:
    if user is not None and user["email_confirmed_at"]:
        raise AuthError(422, "email_exists", users.EMAIL_EXISTS)
    if user is not None:
        metadata = users.merged(user["raw_user_meta_data"], wanted.body.object("data") or {})
        return await users.change(conn, user["id"], raw_user_meta_data=metadata)
    password = wanted.body.text("password")
    if not has_random_password:
        if not password:
            raise invalid("Signup requires a valid password")
        passwords.check(password, service.settings.minimum_password_length)
    return await signup.create(conn, wanted.email, await passwords.hashed(password), wanted.body)


async def _changing(service: Service, conn: Connection, user: DictRow, wanted: _Wanted) -> DictRow:
    if wanted.kind == "email_change_current" and not service.settings.has_double_confirmation:
        raise invalid("Enable secure email change to generate link for current email")
    email = users.email_of(wanted.body.text("new_email"))
    if await users.find_by_login(conn, "email", email):
        raise AuthError(422, "email_exists", users.EMAIL_EXISTS)
    return await users.change(conn, user["id"], email_change=email, email_change_confirm_status=0)
