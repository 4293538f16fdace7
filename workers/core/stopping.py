"""How a customer gets no more of these messages: said by each of them that is not about access."""

from __future__ import annotations

from workers.core.kinds import KINDS, Channel, MessageKind
from workers.core.payload import Locale

_MAIL: dict[Locale, str] = {
    "nl": "U krijgt deze e-mail als klant van {garage}. Wilt u zulke e-mails niet meer? "
    "Antwoord dan op deze e-mail met het woord STOP.",
    "fr": "Vous recevez cet e-mail en tant que client de {garage}. Vous ne souhaitez plus en recevoir ? "
    "Répondez à cet e-mail par le mot STOP.",
    "en": "You receive this e-mail as a customer of {garage}. You do not want such e-mails any more? "
    "Reply to this e-mail with the word STOP.",
}
# In GSM-7 without an exception: a footer must not make a message dearer.
_SMS: dict[Locale, str] = {
    "nl": "Stoppen? Antwoord STOP",
    "fr": "Désabonnement : répondez STOP",
    "en": "To opt out, reply STOP",
}


def footer(kind: MessageKind, channel: Channel, locale: Locale, garage_name: str) -> str | None:
    """What to say at the end; None where there is nothing to stop, and for a push, which the phone stops."""
    if not KINDS[kind].can_stop or channel == "push":
        return None
    return _MAIL[locale].replace("{garage}", garage_name) if channel == "email" else _SMS[locale]
