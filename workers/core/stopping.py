"""How a customer gets no more of these messages: said by each of them that is not about access."""

from __future__ import annotations

from workers.core.kinds import KINDS, Channel, MessageKind
from workers.core.payload import Locale

EXAMPLE = "https://portal.autexor.be/functions/v1/opt-out/0123abcd"
"""What stands for the address in a preview."""

_MAIL: dict[Locale, tuple[str, str]] = {
    "nl": ("U krijgt deze e-mail als klant van {garage}.", "Zulke e-mails niet meer ontvangen"),
    "fr": ("Vous recevez cet e-mail en tant que client de {garage}.", "Ne plus recevoir ces e-mails"),
    "en": ("You receive this e-mail as a customer of {garage}.", "Stop these e-mails"),
}
# In GSM-7 without an exception: a footer must not make a message dearer.
_SMS: dict[Locale, str] = {
    "nl": "Stoppen? Antwoord STOP",
    "fr": "Désabonnement : répondez STOP",
    "en": "To opt out, reply STOP",
}


def footer(
    kind: MessageKind, channel: Channel, locale: Locale, garage_name: str, opt_out_url: str
) -> str | None:
    """What to say at the end; None where there is nothing to stop, and for a push, which the phone stops.

    Of a mail three lines: why one gets it, what the link is for, the link.
    """
    if not KINDS[kind].can_stop or channel == "push":
        return None
    if channel != "email":
        return _SMS[locale]
    why, label = _MAIL[locale]
    return "\n".join((why.replace("{garage}", garage_name), label, opt_out_url))
