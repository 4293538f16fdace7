"""What anyone may ask: health, settings, public keys."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

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


async def health(_: Request) -> Response:
    """GET /health."""
    return JSONResponse(
        {
            "version": "devstack",
            "name": "GoTrue",
            "description": "GoTrue is a user registration and authentication API",
        }
    )


async def settings(_: Request) -> Response:
    """GET /settings: staff sign in by e-mail and password; nobody signs up."""
    return JSONResponse(
        {
            "external": {name: name == "email" for name in PROVIDERS},
            "disable_signup": True,
            "mailer_autoconfirm": False,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "saml_private_key_next_configured": False,
            "passkeys_enabled": False,
        }
    )


async def jwks(_: Request) -> Response:
    """GET /.well-known/jwks.json: tokens are HS256, and that key is never published."""
    return JSONResponse({"keys": []}, headers={"Cache-Control": "public, max-age=600"})
