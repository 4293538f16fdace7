"""The mails of Auth: each with a link and the digits of its token, put into the stack's inbox."""

from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode
from uuid import uuid4

from psycopg.rows import DictRow
from starlette.requests import Request

from devstack.auth import limits, one_time, redirects
from devstack.auth.settings import AuthSettings
from devstack.auth.users import Connection
from devstack.sandbox.store import Store

SENDER = {"name": "Supabase Auth", "email": "admin@email.com"}
SUBJECTS = {
    "signup": "Confirm Your Signup",
    "invite": "You have been invited",
    "magiclink": "Your Magic Link",
    "recovery": "Reset Your Password",
    "email_change": "Confirm Email Change",
    "reauthentication": "Confirm reauthentication",
}
KINDS = {"signup": "confirmation_token", "invite": "confirmation_token"} | {
    "magiclink": "recovery_token",
    "recovery": "recovery_token",
    "reauthentication": "reauthentication_token",
}


@dataclass(frozen=True)
class Mailer:
    """Sends to the inbox; links go to `base_url` (`…/auth/v1`)."""

    settings: AuthSettings
    base_url: str
    store: Store

    async def send(
        self, conn: Connection, request: Request, user: DictRow, kind: str, *, is_pkce: bool = False
    ) -> DictRow:
        """Mail the user a new token: signup, invite, magiclink, recovery or reauthentication; the new row.

        An invitation may be repeated at once, anything else after an interval. Raises AuthError.
        """
        column, address = KINDS[kind], str(user["email"])
        if kind != "invite":
            limits.check_frequency(user[one_time.SENT_AT[column]], self.settings.max_frequency)
        secret = one_time.new(address, self.settings.otp_length, is_pkce=is_pkce)
        user = await one_time.keep(conn, user, column, secret.token_hash, address)
        link = "" if kind == "reauthentication" else self.link(request, kind, secret.token_hash)
        self._post(kind, address, secret.otp, link)
        return user

    async def send_change(
        self, conn: Connection, request: Request, user: DictRow, *, is_pkce: bool = False
    ) -> DictRow:
        """Mail both addresses of a change (or the new one alone, as the project says); the new row."""
        limits.check_frequency(user["email_change_sent_at"], self.settings.max_frequency)
        addresses = {"email_change_token_new": str(user["email_change"])}
        if self.settings.has_double_confirmation and user["email"]:
            addresses["email_change_token_current"] = str(user["email"])
        for column, address in addresses.items():
            secret = one_time.new(address, self.settings.otp_length, is_pkce=is_pkce)
            user = await one_time.keep(conn, user, column, secret.token_hash, address)
            self._post(
                "email_change", address, secret.otp, self.link(request, "email_change", secret.token_hash)
            )
        return user

    def link(self, request: Request, kind: str, token_hash: str, wanted: str = "") -> str:
        """What a mail of that kind has people open."""
        back = redirects.target(request, self.settings, wanted)
        query = urlencode({"token": token_hash, "type": kind, "redirect_to": back}, safe=":/")
        return f"{self.base_url}/verify?{query}"

    def _post(self, kind: str, address: str, otp: str, link: str) -> None:
        lines = [
            SUBJECTS[kind],
            *([f"Follow this link: {link}"] if link else []),
            f"Or enter the code: {otp}",
        ]
        anchor = f'<p><a href="{escape(link)}">{SUBJECTS[kind]}</a></p>' if link else ""
        content = {
            "from": SENDER,
            "to": [{"email": address}],
            "subject": SUBJECTS[kind],
            "text": "\n\n".join(lines),
            "html": f"<h2>{SUBJECTS[kind]}</h2>{anchor}<p>Code: <strong>{otp}</strong></p>",
            "request": {"type": kind, "otp": otp, "link": link},
        }
        self.store.add(uuid4().hex[:22], "email", content)
