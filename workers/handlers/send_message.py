"""Send one e-mail, with the stored document attached when there is one."""

from __future__ import annotations

from workers.core.errors import WorkerError
from workers.core.jobs import MemberInvitedContext, SendJob
from workers.core.messages import MAIL_TEMPLATE_VERSIONS, Mail, render_mail
from workers.core.outcomes import Done, Outcome
from workers.handlers.failures import calling_provider, outcome_of
from workers.ports import MailFile, Ports


def send_message(job: SendJob, ports: Ports) -> Outcome:
    """Done once the provider took it; Unknown when it never answered, since it may have gone out."""
    mail = render_mail(job, ports.portal_url, ports.dms_url)
    mailer = ports.providers.mailer(None)
    known = _what_was_said(job, mail, mailer.name)
    try:
        file = _attachment(job, ports)
        with calling_provider():
            message_id = mailer.send(mail, job.recipient, job.sender, file, job.subject_id)
    except WorkerError as error:
        return outcome_of(error, job.attempt, known)
    return Done({**known, "provider_message_id": message_id})


def _attachment(job: SendJob, ports: Ports) -> MailFile | None:
    if job.attachment is None:
        return None
    content = ports.files.download(job.attachment.bucket, job.attachment.path)
    return MailFile(filename=job.attachment.filename, content=content)


def _what_was_said(job: SendJob, mail: Mail, provider: str) -> dict[str, str | None]:
    has_secret = isinstance(job.context, MemberInvitedContext)
    return {
        "subject": mail.subject,
        "body_text": None if has_secret else mail.text,
        "body_html": None if has_secret else mail.html,
        "template_version": MAIL_TEMPLATE_VERSIONS[job.template],
        "provider": provider,
        "provider_message_id": None,
    }
