"""/verify: what the link or the digits of a mail are good for."""

import secrets
from datetime import UTC, datetime

from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from devstack.auth import flows, grants, one_time, passwords, redirects, signup, users
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Body, Service, body_of
from devstack.auth.users import Connection

ACCEPTED = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
CHANGES = ("email_change_token_current", "email_change_token_new")
KINDS = {
    "signup": ("confirmation_token",),
    "invite": ("confirmation_token",),
    "recovery": ("recovery_token",),
    "magiclink": ("recovery_token",),
    "email": ("confirmation_token", "recovery_token"),
    "email_change": CHANGES,
}


async def post(service: Service, request: Request) -> Response:
    """POST /verify: a session for the digits and their address, or for the hash in a link."""
    service.limits.verify(request)
    body = await body_of(request)
    async with service.connection() as conn:
        user, kind = await _identified(service, conn, body)
        confirmed = await _confirmed(service, conn, user, kind)
        if confirmed is None:
            return JSONResponse({"msg": ACCEPTED, "code": "200"})
        answer, headers = await grants.begin(service, conn, request, confirmed, "otp")
    return JSONResponse(answer, headers=headers)


async def get(service: Service, request: Request) -> Response:
    """GET /verify: the link of a mail; leads back to the site with a session, a code or a refusal."""
    service.limits.verify(request)
    kind, token = request.query_params.get("type", ""), request.query_params.get("token", "")
    if not kind:
        raise invalid("Verify requires a verification type")
    if not token:
        raise invalid("Verify requires a token or a token hash")
    back = redirects.target(request, service.settings)
    is_pkce = token.startswith(one_time.PKCE_PREFIX)
    try:
        return RedirectResponse(await _followed(service, request, kind, token, back), 303)
    except AuthError as error:
        return RedirectResponse(redirects.failed(back, error, is_pkce=is_pkce), 303)


async def _followed(service: Service, request: Request, kind: str, token: str, back: str) -> str:
    """Where the link leads. Raises AuthError."""
    is_pkce = token.startswith(one_time.PKCE_PREFIX)
    async with service.connection() as conn:
        user, column = await _by_hash(service, conn, kind, token)
        confirmed = await _confirmed(service, conn, user, column)
        if confirmed is None:
            return redirects.answered(back, {"message": ACCEPTED}, is_pkce=is_pkce)
        if is_pkce:
            return redirects.with_code(back, await flows.code(conn, user["id"], kind))
        session, _ = await grants.begin(service, conn, request, confirmed, "otp")
    names = ("access_token", "expires_at", "expires_in", "refresh_token", "token_type")
    return redirects.answered(back, {"type": kind} | {name: session[name] for name in names}, is_pkce=False)


async def _identified(service: Service, conn: Connection, body: Body) -> tuple[DictRow, str]:
    """The user whom the request proves to be, and the column of the token that proves it."""
    kind, token, token_hash = body.text("type"), body.text("token"), body.text("token_hash")
    email, phone = body.text("email"), body.text("phone")
    if not kind:
        raise invalid("Verify requires a verification type")
    if bool(token) == bool(token_hash):
        raise invalid("Verify requires either a token or a token hash")
    if token_hash:
        if email or phone or body.text("redirect_to"):
            raise invalid("Only the token_hash and type should be provided")
        return await _by_hash(service, conn, kind, token_hash)
    if bool(email) == bool(phone):
        raise invalid("Only an email address or phone number should be provided on verify")
    expired = AuthError(403, "otp_expired", "Token has expired or is invalid")
    if phone:
        raise expired if kind in ("sms", "phone_change") else invalid("Invalid sms verification type")
    return await _by_digits(service, conn, kind, users.email_of(email), token.replace("-", ""), expired)


async def _by_digits(
    service: Service, conn: Connection, kind: str, email: str, token: str, expired: AuthError
) -> tuple[DictRow, str]:
    token_hash, expiry = one_time.hash_of(email, token), service.settings.otp_expiry
    if kind == "email_change":
        user = await one_time.find(conn, token_hash, CHANGES)
    else:
        user = await users.find_by_login(conn, "email", email)
    if user is None:
        raise expired
    users.refuse_banned(user, 403)
    for column in KINDS.get(kind, ()):
        if one_time.agrees(user, column, token_hash, expiry):
            return user, column
    raise expired


async def _by_hash(service: Service, conn: Connection, kind: str, token: str) -> tuple[DictRow, str]:
    if kind not in KINDS:
        raise invalid("Invalid email verification type")
    user = await one_time.find(conn, token, KINDS[kind])
    expired = AuthError(403, "otp_expired", "Email link is invalid or has expired")
    if user is None:
        raise expired
    users.refuse_banned(user, 403)
    if not one_time.is_fresh(user, user["token_type"], service.settings.otp_expiry):
        raise expired
    return user, str(user["token_type"])


async def _confirmed(service: Service, conn: Connection, user: DictRow, column: str) -> DictRow | None:
    """Use the token up; the user's new row, None while the other address has yet to agree to a change."""
    if column in CHANGES:
        return await _changed(service, conn, user, column)
    await one_time.forget(conn, user["id"])
    user = await users.change(conn, user["id"], **{column: ""})
    if column == "confirmation_token" and user["invited_at"] and not user["encrypted_password"]:
        password = await passwords.hashed(secrets.token_urlsafe(48))
        user = await users.change(conn, user["id"], encrypted_password=password)
    if column == "confirmation_token" or not user["email_confirmed_at"]:
        user = await signup.confirm(conn, user)
    return user


async def _changed(service: Service, conn: Connection, user: DictRow, column: str) -> DictRow | None:
    needs_both = service.settings.has_double_confirmation and user["email"]
    if needs_both and not user["email_change_confirm_status"]:
        await users.change(conn, user["id"], **{column: "", "email_change_confirm_status": 1})
        used = "delete from auth.one_time_tokens where user_id = %s and token_type::text = %s"
        await conn.execute(used, (user["id"], column))
        return None
    return await change_address(conn, user)


async def change_address(conn: Connection, user: DictRow) -> DictRow:
    """The new address takes the place of the old one; an anonymous user becomes a permanent one."""
    email = user["email_change"]
    values = {
        "email": email,
        "email_change": "",
        "email_change_confirm_status": 0,
        **dict.fromkeys(CHANGES, ""),
    }
    if not user["email_confirmed_at"]:
        values["email_confirmed_at"] = datetime.now(UTC)
        values["raw_user_meta_data"] = users.merged(user["raw_user_meta_data"], {"email_verified": True})
    await one_time.forget(conn, user["id"])
    if not await users.change_identity(conn, user["id"], "email", email=email, email_verified=True):
        await users.add_identity(conn, user["id"], "email", {"email": email, "email_verified": True})
        values["raw_app_meta_data"] = {**(user["raw_app_meta_data"] or {}), **signup.PROVIDER}
    return await users.change(conn, user["id"], **values, is_anonymous=False)
