"""What anyone may ask (health, settings, public keys), and what this Auth has switched off."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from devstack.auth.errors import AuthError, invalid
from devstack.auth.service import Service, body_of
from devstack.keys import public_jwk

FACTORS = {"totp": "TOTP", "phone": "Phone", "webauthn": "WebAuthn"}
PROVIDERS = [
    "anonymous_users",
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "snapchat",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "kakao",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "spotify",
    "slack",
    "slack_oidc",
    "workos",
    "twitch",
    "twitter",
    "email",
    "phone",
    "zoom",
]


async def health(_: Service, __: Request) -> Response:
    """GET /health."""
    return JSONResponse(
        {
            "version": "devstack",
            "name": "GoTrue",
            "description": "GoTrue is a user registration and authentication API",
        }
    )


async def settings(service: Service, _: Request) -> Response:
    """GET /settings."""
    chosen = service.settings
    enabled = {"email": chosen.is_email_enabled, "anonymous_users": chosen.is_anonymous_enabled}
    return JSONResponse(
        {
            "external": {name: enabled.get(name, False) for name in PROVIDERS},
            "disable_signup": not chosen.is_signup_enabled,
            "mailer_autoconfirm": not chosen.has_confirmations,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "saml_private_key_next_configured": False,
            "passkeys_enabled": False,
        }
    )


async def jwks(service: Service, _: Request) -> Response:
    """GET /.well-known/jwks.json: the project's asymmetric key; the HS256 secret is never published."""
    published = [public_jwk(service.project_key)]
    return JSONResponse({"keys": published}, headers={"Cache-Control": "public, max-age=600"})


async def authorize(_: Service, request: Request) -> Response:
    """GET /authorize: no provider is switched on."""
    name = request.query_params.get("provider", "")
    known = name in PROVIDERS and name not in ("email", "phone", "anonymous_users")
    reason = "provider is not enabled" if known else f"Provider {name} could not be found"
    raise invalid(f"Unsupported provider: {reason}")


async def mfa(service: Service, request: Request) -> Response:
    """POST /factors: multi-factor sign-in is switched off."""
    async with service.connection() as conn:
        await service.caller(conn, request)
    kind = (await body_of(request)).text("factor_type")
    if kind not in FACTORS:
        raise invalid("factor_type needs to be totp, phone, or webauthn")
    raise AuthError(422, f"mfa_{kind}_enroll_not_enabled", f"MFA enroll is disabled for {FACTORS[kind]}")


async def saml(_: Service, __: Request) -> Response:
    """/sso: switched off."""
    raise AuthError(404, "saml_provider_disabled", "SAML 2.0 is disabled")


async def linking(_: Service, __: Request) -> Response:
    """/user/identities: linking by hand is switched off."""
    raise AuthError(404, "manual_linking_disabled", "Manual linking is disabled")
