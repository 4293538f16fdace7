"""POST /token: how a session begins and goes on, and the answer that carries it."""

from psycopg.rows import DictRow
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth import flows, passwords, sessions, tokens, users
from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Body, Service, body_of
from devstack.auth.users import Connection, Json

ISSUERS = {"apple": "https://appleid.apple.com", "google": "https://accounts.google.com"}

Answer = tuple[Json, dict[str, str]]


async def token(service: Service, request: Request) -> Response:
    """POST /token."""
    service.limits.refresh(request)
    body = await body_of(request)
    grant_type = request.query_params.get("grant_type")
    if grant_type == "password":
        return await _password(service, request, body)
    if grant_type == "refresh_token":
        return await _refresh(service, body)
    if grant_type == "pkce":
        return await _pkce(service, request, body)
    raise _switched_off(grant_type, body)


async def begin(service: Service, conn: Connection, request: Request, user: DictRow, method: str) -> Answer:
    """A new session of the user: the body and the headers of the answer. Raises AuthError."""
    touch = "update auth.users set last_sign_in_at = now(), updated_at = now() where id = %s"
    await conn.execute(touch, (user["id"],))
    agent, ip = request.headers.get("user-agent", ""), request.client.host if request.client else None
    grant = await sessions.begin(conn, user["id"], method, agent, ip)
    return await _answer(service, conn, grant, method)


def _switched_off(grant_type: str | None, body: Body) -> AuthError:
    """What the real server says to a grant that is not switched on, or that there is none of."""
    if grant_type == "web3":
        return AuthError(422, "web3_provider_disabled", "Web3 provider is disabled")
    if grant_type != "id_token":
        return AuthError(400, "invalid_credentials", "unsupported_grant_type")
    provider = body.text("provider")
    if provider not in ISSUERS:
        return invalid(f'Custom OIDC provider "{provider}" not allowed')
    return AuthError(400, "provider_disabled", f'Provider (issuer "{ISSUERS[provider]}") is not enabled')


async def _password(service: Service, request: Request, body: Body) -> Response:
    column = "email" if body.text("email") else "phone"
    login, password = body.text(column).lower(), body.text("password")
    if not login:
        raise invalid("missing email or phone")
    if body.text("email") and body.text("phone"):
        raise invalid("Only an email address or phone number should be provided on login.")
    if column == "phone" or not service.settings.is_email_enabled:
        raise AuthError(422, f"{column}_provider_disabled", f"{column.capitalize()} logins are disabled")
    async with service.connection() as conn:
        row = await users.find_by_login(conn, column, login)
        if row is None or not row["encrypted_password"]:
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        users.refuse_banned(row, 400)
        if not await passwords.matches(password, row["encrypted_password"]):
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        if not row["email_confirmed_at"]:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        answer, headers = await begin(service, conn, request, row, "password")
    weak = passwords.weakness(password, service.settings.minimum_password_length)
    if weak:
        answer["weak_password"] = {"message": weak.message, **weak.details["weak_password"]}
    return JSONResponse(answer, headers=headers)


async def _refresh(service: Service, body: Body) -> Response:
    presented = body.text("refresh_token")
    if not presented:
        raise invalid("refresh_token required")
    if len(presented) < sessions.TOKEN_LENGTH:
        raise invalid("Refresh token is not valid")
    async with service.connection() as conn:
        grant = await sessions.rotate(conn, presented, service.settings.reuse_interval)
        if not isinstance(grant, AuthError):
            answer, headers = await _answer(service, conn, grant, "token_refresh")
            return JSONResponse(answer, headers=headers)
    raise grant


async def _pkce(service: Service, request: Request, body: Body) -> Response:
    async with service.connection() as conn:
        flow = await flows.redeem(conn, body.text("auth_code"), body.text("code_verifier"))
        user = await users.find(conn, flow["user_id"])
        if user is None:
            raise AuthError(400, "user_not_found", "User not found")
        users.refuse_banned(user, 400)
        answer, headers = await begin(service, conn, request, user, flow["authentication_method"])
    return JSONResponse(answer, headers=headers)


async def _answer(service: Service, conn: Connection, grant: sessions.Grant, method: str) -> Answer:
    row = await users.find(conn, grant.user_id)
    if row is None:
        raise AuthError(400, "session_not_found", "Invalid Refresh Token: No Valid Session Found")
    if users.is_banned(row):
        raise AuthError(400, "user_banned", "Invalid Refresh Token: User Banned")
    lifetime = service.settings.jwt_expiry
    issued = await tokens.issue(conn, service.config, row, grant.session_id, method, lifetime)
    body = {**issued, "refresh_token": grant.refresh_token, "user": await users.as_json(conn, row)}
    headers = {
        "sb-auth-user-id": str(grant.user_id),
        "sb-auth-session-id": str(grant.session_id),
        "sb-auth-refresh-token-prefix": grant.refresh_token[:5],
    }
    return body, headers
