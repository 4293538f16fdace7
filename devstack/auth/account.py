"""/user and /logout: what signed-in people do with their own account."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth import flows, limits, one_time, passwords, sessions, users, verify
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import ADMIN_ROLES, Body, Caller, Service, body_of, pkce_of
from devstack.auth.users import Connection

RECENT = timedelta(hours=24)
# A new password means that nothing that was mailed before is trusted.
NO_TOKENS: dict[str, Any] = {
    **dict.fromkeys(one_time.SENT_AT, ""),
    **dict.fromkeys(one_time.SENT_AT.values()),
}


async def show(service: Service, request: Request) -> Response:
    """GET /user."""
    async with service.connection() as conn:
        caller = await service.caller(conn, request)
        if caller.claims.get("aud") != request.headers.get("x-jwt-aud", caller.claims.get("aud")):
            raise invalid("Token audience doesn't match request audience")
        return JSONResponse(await users.as_json(conn, caller.row))


async def update(service: Service, request: Request) -> Response:
    """PUT /user: password, address, metadata. A new address counts once it is confirmed."""
    service.limits.sign_up(request)
    body = await body_of(request)
    async with service.connection() as conn:
        caller = await service.caller(conn, request)
        await _check(service, conn, caller, body)
        user = caller.row
        if body.text("password"):
            user = await _new_password(service, conn, caller, body)
        for name, column in (("data", "raw_user_meta_data"), ("app_metadata", "raw_app_meta_data")):
            if (changes := body.object(name)) is not None:
                user = await users.change(conn, user["id"], **{column: users.merged(user[column], changes)})
        if body.text("email") and body.text("email").lower() != user["email"]:
            user = await _new_address(service, conn, request, user, body)
        return JSONResponse(await users.as_json(conn, user))


async def logout(service: Service, request: Request) -> Response:
    """POST /logout: `?scope=` global, local or others."""
    scope = request.query_params.get("scope", "global")
    async with service.connection() as conn:
        caller = await service.caller(conn, request)
        await sessions.end(conn, caller.row["id"], caller.session_id, scope)
    return Response(status_code=204)


async def set_password(conn: Connection, user_id: UUID, hashed: str, keep_session: str = "") -> DictRow:
    """Replace the password: other sessions end, and mails sent before are worthless; the new row."""
    await one_time.forget(conn, user_id)
    await sessions.end(conn, user_id, keep_session, "others")
    return await users.change(conn, user_id, encrypted_password=hashed, **NO_TOKENS)


async def _check(service: Service, conn: Connection, caller: Caller, body: Body) -> None:
    """Refuse what nobody may change, before anything is changed. Raises AuthError."""
    password, email = body.text("password"), body.text("email")
    if email:
        email = users.email_of(email)
    if body.text("phone"):
        raise AuthError(400, "phone_provider_disabled", "Unsupported phone provider")
    if body.get("password") is not None:
        passwords.check(password, service.settings.minimum_password_length)
    pkce_of(body)
    if body.object("app_metadata") is not None and caller.row["role"] not in ADMIN_ROLES:
        raise AuthError(403, "not_admin", "Updating app_metadata requires admin privileges")
    if caller.row["is_anonymous"] and password and not email:
        message = "Updating password of an anonymous user without an email or phone is not allowed"
        raise AuthError(422, "validation_failed", message)
    if email and email != caller.row["email"] and await users.find_by_login(conn, "email", email):
        raise AuthError(422, "email_exists", users.EMAIL_EXISTS)


async def _new_password(service: Service, conn: Connection, caller: Caller, body: Body) -> DictRow:
    password, user = body.text("password"), caller.row
    if service.settings.needs_reauthentication:
        await _check_nonce(service, conn, caller, body.text("nonce"))
    if await passwords.matches(password, user["encrypted_password"]):
        message = "New password should be different from the old password."
        raise AuthError(422, "same_password", message)
    return await set_password(conn, user["id"], await passwords.hashed(password), caller.session_id)


async def _check_nonce(service: Service, conn: Connection, caller: Caller, nonce: str) -> None:
    """Someone who signed in long ago proves anew who they are. Raises AuthError."""
    begun = await sessions.begun_at(conn, caller.session_id)
    if begun and begun + RECENT > datetime.now(UTC):
        return
    if not nonce:
        message = "Password update requires reauthentication"
        raise AuthError(400, "reauthentication_needed", message)
    token_hash = one_time.hash_of(caller.row["email"] or "", nonce)
    if not one_time.agrees(caller.row, "reauthentication_token", token_hash, service.settings.otp_expiry):
        raise AuthError(422, "reauthentication_not_valid", "Nonce has expired or is invalid")


async def _new_address(
    service: Service, conn: Connection, request: Request, user: DictRow, body: Body
) -> DictRow:
    email, (challenge, method) = users.email_of(body.text("email")), pkce_of(body)
    limits.check_frequency(user["email_change_sent_at"], service.settings.max_frequency)
    user = await users.change(conn, user["id"], email_change=email, email_change_confirm_status=0)
    if user["is_anonymous"] and not service.settings.has_confirmations:
        return await verify.change_address(conn, user)
    await flows.begin(conn, user["id"], challenge, method, "email_change")
    return await service.mailer.send_change(conn, request, user, is_pkce=bool(challenge))
