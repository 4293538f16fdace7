"""Supabase Auth (`/auth/v1`), as far as staff sign-in and user administration need it."""

from devstack.auth.app import create_app

__all__ = ["create_app"]
