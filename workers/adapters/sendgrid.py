"""E-mail through SendGrid's own library (Web API v3, mail/send)."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener
from uuid import UUID

from python_http_client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers import mail as sg

from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail, opt_out_headers
from workers.core.retry import NOTHING_HAPPENED, retry_after_seconds
from workers.ports import MailFile

_TIMEOUT_SECONDS = 20
# Below WARNING the library prints the key and the whole mail, whatever level the process logs at.
logging.getLogger("python_http_client").setLevel(logging.WARNING)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Leave a redirect unfollowed: it then is an answer like any other refusal."""


_DIRECT = build_opener(ProxyHandler({}), _NoRedirects())


class _DirectClient(Client):  # type: ignore[misc]
    """Talks to its own host alone: urllib by itself repeats the key wherever a redirect or a proxy says."""

    def _make_request(self, opener: Any, request: Any, timeout: float | None = None) -> Any:
        return super()._make_request(_DIRECT, request, timeout)


class SendGridMailer:
    """Hands mails to SendGrid; `communication_id` comes back in its webhooks as a custom argument.

    mail/send takes no idempotency key, so only 429 and 503 are tried again: they say that nothing was
    taken. A 500, 502 or 504 may come after the mail was accepted, and counts as silence.
    """

    name = "sendgrid"

    def __init__(self, api_key: str, url: str) -> None:
        self._mail_send = _DirectClient(
            host=url,
            request_headers=SendGridAPIClient(api_key).client.request_headers,
            version=3,
            url_path=["mail", "send"],
            timeout=_TIMEOUT_SECONDS,
        )

    def send(
        self, mail: Mail, to: Recipient, sender: Sender, file: MailFile | None, reference: UUID
    ) -> str | None:
        """Hand one mail over; the X-Message-Id it was given."""
        request = _request(mail, to, sender, file, reference)
        try:
            response = self._mail_send.post(request_body=request)
        except HTTPError as error:
            raise _answered(error) from error
        except URLError as error:
            # urllib wraps what happens before the request is completely sent, and nothing after.
            raise ProviderUnavailable(f"sendgrid_{type(error.reason).__name__}") from error
        except (OSError, HTTPException) as error:
            raise ProviderSilent(f"sendgrid_{type(error).__name__}") from error
        message_id = response.headers.get("X-Message-Id")
        return None if message_id is None else str(message_id)


def _request(mail: Mail, to: Recipient, sender: Sender, file: MailFile | None, reference: UUID) -> Any:
    request = sg.Mail(
        from_email=sg.From(sender.address, sender.name),
        to_emails=sg.To(to.address, to.name),
        subject=mail.subject,
        plain_text_content=mail.text,
        html_content=mail.html,
    )
    request.reply_to = sg.ReplyTo(sender.reply_to, sender.name)
    request.add_custom_arg(sg.CustomArg("communication_id", str(reference)))
    request.tracking_settings = _no_tracking()
    for name, value in opt_out_headers(mail).items():
        request.add_header(sg.Header(name, value))
    if file is not None:
        request.add_attachment(
            sg.Attachment(
                sg.FileContent(b64encode(file.content).decode("ascii")),
                sg.FileName(file.filename),
                sg.FileType(file.media_type),
                sg.Disposition("attachment"),
            )
        )
    return request.get()


def _no_tracking() -> Any:
    """Nobody is told who opened what: neither pixels nor rewritten links."""
    return sg.TrackingSettings(
        click_tracking=sg.ClickTracking(enable=False, enable_text=False),
        open_tracking=sg.OpenTracking(enable=False),
        subscription_tracking=sg.SubscriptionTracking(enable=False),
    )


def _answered(error: HTTPError) -> ProviderError:
    reason = f"sendgrid_http_{error.status_code}"
    if error.status_code in NOTHING_HAPPENED:
        return ProviderUnavailable(reason, retry_after_seconds(error.headers.get("Retry-After")))
    if error.status_code >= 500:
        return ProviderSilent(reason)
    return ProviderRefused(f"{reason} {_field(error.body)}".strip())


def _field(body: bytes) -> str:
    """Which field was refused; the message beside it may quote the address."""
    try:
        return str(json.loads(body)["errors"][0]["field"] or "")
    except (ValueError, LookupError, TypeError):
        return ""
