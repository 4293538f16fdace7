"""The link in a mail by which its addressee ends such mails: a page with one button, no login.

Whoever only opens it stops nothing, for programs open the links of mails, too. The button posts, and so do
the mail programs that show "unsubscribe" themselves (RFC 8058). The link is its own proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from workers.core.logs import event
from workers.edge.endpoints import edge_of, log
from workers.edge.errors import negotiate

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
_PAGE = Markup(
    '<!DOCTYPE html>\n<html lang="{locale}">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n<style>'
    "body{{margin:0;padding:24px 16px;background:#eef1f4;color:#1b2733;font:16px/1.5 sans-serif}}"
    "main{{max-width:560px;margin:0 auto;padding:28px;background:#fff;border-radius:8px}}"
    "h1{{margin:0 0 16px;font-size:20px;color:#12365c}}"
    "button{{padding:12px 20px;border:0;border-radius:6px;background:#12365c;color:#fff;font:inherit}}"
    "</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{said}</p>\n{button}</main>\n</body>\n</html>\n"
)
# No address in it: the page is posted to where it came from.
_BUTTON = Markup('<form method="post"><button>{label}</button></form>\n')


@dataclass(frozen=True)
class Words:
    """One language; `{garage}` is whose mails they are."""

    ask_title: str
    ask: str
    button: str
    done_title: str
    done: str
    moved_title: str
    moved: str
    unknown_title: str
    unknown: str


WORDS: dict[str, Words] = {
    "nl": Words(
        ask_title="E-mails van {garage} stoppen",
        ask="U krijgt dan geen facturen, herinneringen en berichten van {garage} meer per e-mail. "
        "Berichten over uw toegang, zoals een nieuw wachtwoord, blijven komen.",
        button="Geen e-mails meer",
        done_title="U krijgt geen e-mails meer van {garage}",
        done="Berichten over uw toegang, zoals een nieuw wachtwoord, blijven komen. "
        "Wilt u weer e-mails? Zeg het aan {garage}.",
        moved_title="{garage} schrijft niet meer naar dit adres",
        moved="Geen klant van {garage} heeft dit e-mailadres nog. Krijgt u e-mails op een ander adres? "
        "Gebruik dan de link in zo’n e-mail.",
        unknown_title="Deze link is niet geldig",
        unknown="Open de link uit de e-mail nog eens helemaal, of vraag het aan uw garage.",
    ),
    "fr": Words(
        ask_title="Ne plus recevoir d’e-mails de {garage}",
        ask="Vous ne recevrez plus les factures, rappels et messages de {garage} par e-mail. "
        "Les messages concernant votre accès, comme un nouveau mot de passe, continueront d’arriver.",
        button="Ne plus recevoir d’e-mails",
        done_title="Vous ne recevrez plus d’e-mails de {garage}",
        done="Les messages concernant votre accès, comme un nouveau mot de passe, continueront d’arriver. "
        "Vous souhaitez à nouveau des e-mails ? Dites-le à {garage}.",
        moved_title="{garage} n’écrit plus à cette adresse",
        moved="Aucun client de {garage} n’a plus cette adresse e-mail. Recevez-vous des e-mails à une autre "
        "adresse ? Utilisez le lien de l’un de ceux-ci.",
        unknown_title="Ce lien n’est pas valable",
        unknown="Ouvrez à nouveau le lien complet de l’e-mail, ou demandez à votre garage.",
    ),
    "en": Words(
        ask_title="Stop e-mails from {garage}",
        ask="You will get no more invoices, reminders and messages from {garage} by e-mail. "
        "Messages about your access, such as a new password, keep coming.",
        button="No more e-mails",
        done_title="You get no more e-mails from {garage}",
        done="Messages about your access, such as a new password, keep coming. "
        "You want e-mails again? Tell {garage}.",
        moved_title="{garage} does not write to this address any more",
        moved="No customer of {garage} has this e-mail address any more. Do you get e-mails at another one? "
        "Then use the link in one of those.",
        unknown_title="This link is not valid",
        unknown="Open the whole link of the e-mail again, or ask your garage.",
    ),
}


async def ask(request: Request) -> Response:
    """The page with the button. 404 for a link that stops nothing."""
    edge = edge_of(request)
    with edge.opt_out_places.enter():
        found = await edge.opt_outs.read(request.path_params["token"])
    if found is None:
        return _unknown(request)
    words = WORDS[found.locale]
    button = _BUTTON.format(label=words.button)
    return _page(found.locale, words.ask_title, words.ask, found.garage_name, button)


async def stop(request: Request) -> Response:
    """Stop the mails; whatever the body says. 404 for a link that stops nothing."""
    edge = edge_of(request)
    with edge.opt_out_places.enter():
        found = await edge.opt_outs.take(request.path_params["token"])
    if found is None:
        return _unknown(request)
    words = WORDS[found.locale]
    if not found.is_known:
        return _page(found.locale, words.moved_title, words.moved, found.garage_name)
    log.info(event("opt_out.taken", channel="email"))
    return _page(found.locale, words.done_title, words.done, found.garage_name)


def _unknown(request: Request) -> Response:
    locale = negotiate(request.headers.get("accept-language", ""))
    words = WORDS[locale]
    return _page(locale, words.unknown_title, words.unknown, "", status=404)


def _page(locale: str, title: str, said: str, garage: str, button: str = "", status: int = 200) -> Response:
    page = _PAGE.format(
        locale=locale, title=title.format(garage=garage), said=said.format(garage=garage), button=button
    )
    return HTMLResponse(page, status, {**_HEADERS, "content-language": locale})
