"""Send one message: a mail, with the stored document attached when there is one, or an SMS or WhatsApp."""

from __future__ import annotations

from workers.core.accounts import TwilioAccount
from workers.core.errors import ProviderRefused, WorkerError
from workers.core.jobs import SendJob
from workers.core.messages import Mail, Text, render_mail, render_text, template_version
from workers.core.outcomes import Done, Outcome, Result
from workers.handlers.failures import calling_provider, outcome_of
from workers.ports import MailFile, Ports, TextMessage


def send_message(job: SendJob, ports: Ports) -> Outcome:
    """Done once the provider took it; Unknown when it never answered, since it may have gone out."""
    if isinstance(job.account, TwilioAccount):
        return _send_text(job, job.account, ports)
    return _send_mail(job, ports)


def _send_mail(job: SendJob, ports: Ports) -> Outcome:
    assert not isinstance(job.account, TwilioAccount)
    mail = render_mail(job, ports.sites)
    known = _known(job, mail, subject=mail.subject, body_text=mail.text, body_html=mail.html)
    try:
        mailer = ports.providers.mailer(job.account)
        known = {**known, "provider": mailer.name}
        file = _attachment(job, ports)
        with calling_provider():
            message_id = mailer.send(mail, job.recipient, job.sender, file, job.subject_id)
    except WorkerError as error:
        return outcome_of(error, job.attempt, known)
    return Done({**known, "provider_message_id": message_id})


def _send_text(job: SendJob, account: TwilioAccount, ports: Ports) -> Outcome:
    text = render_text(job, ports.sites)
    known = _known(job, text, body_text=text.body, segments=text.segments)
    try:
        message = _text_message(job, text)
        texter = ports.providers.texter(account)
        known = {**known, "provider": texter.name}
        with calling_provider():
            message_id = texter.send(message, account.sender, job.subject_id)
    except WorkerError as error:
        return outcome_of(error, job.attempt, known)
    return Done({**known, "provider_message_id": message_id})


def _text_message(job: SendJob, text: Text) -> TextMessage:
    if job.channel == "sms":
        return TextMessage("sms", job.recipient.address, text.body)
    # What WhatsApp approved may be sent at any hour, free text only to who wrote within 24 hours.
    if text.content_sid is not None:
        return TextMessage("whatsapp", job.recipient.address, None, text.content_sid, text.variables)
    if not job.has_open_window:
        raise ProviderRefused("whatsapp_window_closed")
    return TextMessage("whatsapp", job.recipient.address, text.body)


def _attachment(job: SendJob, ports: Ports) -> MailFile | None:
    if job.attachment is None:
        return None
    content = ports.files.download(job.attachment.bucket, job.attachment.path)
    return MailFile(filename=job.attachment.filename, content=content)


def _known(job: SendJob, said: Mail | Text, **content: str | int | None) -> Result:
    """What is kept of a message however its attempt ends; nothing of the text where a token is in it.

    Of the link that stops mails the token alone is left out.
    """
    if getattr(job.context, "token", None) is not None:
        content = {name: value for name, value in content.items() if not name.startswith("body_")}
    token = job.opt_out_token.get_secret_value() if job.opt_out_token else ""
    return {
        **{name: _without(token, value) for name, value in content.items()},
        "template_version": template_version(job.template, said.wording_version),
        "wording_version": said.wording_version,
        "wording_problem": said.wording_problem,
        "provider": None,
        "provider_message_id": None,
    }


def _without(token: str, value: str | int | None) -> str | int | None:
    return value.replace(token, "…") if token and isinstance(value, str) else value
