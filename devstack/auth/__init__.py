"""Supabase Auth (`/auth/v1`) by e-mail and password: no MFA, OAuth, SAML, phones or passkeys."""

from devstack.auth.app import create_app

__all__ = ["create_app"]
