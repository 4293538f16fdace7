"""What people read when the edge refuses: per code and language, a message and the next step."""

LOCALES = ("nl", "fr", "en")

MESSAGES: dict[str, dict[str, tuple[str, str]]] = {
    "invalid_login": {
        "nl": (
            "Aanmelden is niet gelukt",
            "Controleer e-mailadres, wachtwoord en pincode op uw eigen toestel, of probeer later opnieuw",
        ),
        "fr": (
            "La connexion a échoué",
            "Vérifiez e-mail, mot de passe et code PIN sur votre propre appareil, ou réessayez plus tard",
        ),
        "en": (
            "Signing in did not succeed",
            "Check the e-mail address, password and PIN on your own device, or try again later",
        ),
    },
    "invalid_token": {
        "nl": ("U bent niet aangemeld", "Vernieuw de sessie of meld u opnieuw aan"),
        "fr": ("Vous n'êtes pas connecté", "Renouvelez la session ou reconnectez-vous"),
        "en": ("You are not signed in", "Refresh the session or sign in again"),
    },
    "not_allowed": {
        "nl": ("Dit document is voor u niet toegankelijk", "Vraag toegang aan de eigenaar van de garage"),
        "fr": ("Ce document ne vous est pas accessible", "Demandez l'accès au propriétaire du garage"),
        "en": ("This document is not open to you", "Ask the owner of the garage for access"),
    },
    "refresh_token_invalid": {
        "nl": ("De sessie kan niet worden vernieuwd", "Meld u opnieuw aan"),
        "fr": ("La session ne peut pas être renouvelée", "Reconnectez-vous"),
        "en": ("The session cannot be refreshed", "Sign in again"),
    },
    "refresh_token_reused": {
        "nl": (
            "De sessie is beëindigd omdat een oude sleutel opnieuw werd gebruikt",
            "Meld u opnieuw aan, en verwittig uw garage als u dit niet verwacht",
        ),
        "fr": (
            "La session a été fermée car une ancienne clé a été réutilisée",
            "Reconnectez-vous, et prévenez votre garage si cela vous surprend",
        ),
        "en": (
            "The session was ended because an old key was used again",
            "Sign in again, and tell your garage if you did not expect this",
        ),
    },
    "session_ended": {
        "nl": ("De sessie is beëindigd", "Meld u opnieuw aan"),
        "fr": ("La session est terminée", "Reconnectez-vous"),
        "en": ("The session has ended", "Sign in again"),
    },
    "device_mismatch": {
        "nl": ("De sessie hoort bij een ander toestel", "Meld u opnieuw aan op dit toestel"),
        "fr": ("La session appartient à un autre appareil", "Reconnectez-vous sur cet appareil"),
        "en": ("The session belongs to another device", "Sign in again on this device"),
    },
    "document_not_found": {
        "nl": (
            "Dit document is er niet",
            "Kies een factuur uit uw lijst; een nieuwe kan even op zich laten wachten",
        ),
        "fr": (
            "Ce document n'existe pas",
            "Choisissez une facture de votre liste ; une nouvelle peut tarder un peu",
        ),
        "en": ("There is no such document", "Choose an invoice from your list; a new one may take a moment"),
    },
    "proof_invalid": {
        "nl": (
            "Het bewijs van de sleutel van dit toestel is niet aanvaard",
            "Maak per aanvraag een nieuw bewijs, en zet de klok van het toestel juist",
        ),
        "fr": (
            "La preuve de la clé de cet appareil n'est pas acceptée",
            "Faites une nouvelle preuve par demande, et réglez l'horloge de l'appareil",
        ),
        "en": (
            "The proof of this device's key is not accepted",
            "Make a new proof for each request, and set the device's clock right",
        ),
    },
    "confirmation_refused": {
        "nl": (
            "De wijziging is niet bevestigd",
            "Controleer wachtwoord en pincode op uw eigen toestel, of probeer later opnieuw",
        ),
        "fr": (
            "La modification n'est pas confirmée",
            "Vérifiez mot de passe et code PIN sur votre propre appareil, ou réessayez plus tard",
        ),
        "en": (
            "The change is not confirmed",
            "Check the password and PIN on your own device, or try again later",
        ),
    },
    "link_invalid": {
        "nl": ("Deze link werkt niet (meer)", "Vraag een nieuwe: elke link werkt één keer en niet lang"),
        "fr": (
            "Ce lien ne fonctionne pas (ou plus)",
            "Demandez-en un nouveau : chaque lien ne sert qu'une fois et pas longtemps",
        ),
        "en": ("This link does not work (any more)", "Ask for a new one: each works once and not for long"),
    },
    "device_not_found": {
        "nl": ("Dit toestel is er niet", "Kies een toestel uit uw lijst"),
        "fr": ("Cet appareil n'existe pas", "Choisissez un appareil de votre liste"),
        "en": ("There is no such device", "Choose a device from your list"),
    },
    "session_not_found": {
        "nl": ("Deze sessie is er niet", "Kies een sessie uit uw lijst"),
        "fr": ("Cette session n'existe pas", "Choisissez une session de votre liste"),
        "en": ("There is no such session", "Choose a session from your list"),
    },
    "password_too_common": {
        "nl": (
            "Dit wachtwoord is te gemakkelijk te raden",
            "Kies er een dat niet op een bekend woord of uw e-mailadres lijkt",
        ),
        "fr": (
            "Ce mot de passe est trop facile à deviner",
            "Choisissez-en un qui ne ressemble ni à un mot connu ni à votre e-mail",
        ),
        "en": (
            "This password is too easy to guess",
            "Choose one that resembles neither a known word nor your e-mail address",
        ),
    },
    "pin_too_weak": {
        "nl": ("Deze pincode is te gemakkelijk te raden", "Kies zes cijfers zonder rij of herhaling"),
        "fr": ("Ce code PIN est trop facile à deviner", "Choisissez six chiffres sans suite ni répétition"),
        "en": ("This PIN is too easy to guess", "Choose six digits without a run or a repetition"),
    },
    "webhook_refused": {
        "nl": (
            "Deze webhook is niet ondertekend door de account van dit adres",
            "Controleer sleutel en adres",
        ),
        "fr": ("Ce webhook n'est pas signé par le compte de cette adresse", "Vérifiez la clé et l'adresse"),
        "en": ("This webhook is not signed by the account of this address", "Check the key and the address"),
    },
    "not_found": {
        "nl": ("Dit adres bestaat niet", "Controleer het pad"),
        "fr": ("Cette adresse n'existe pas", "Vérifiez le chemin"),
        "en": ("There is nothing at this address", "Check the path"),
    },
    "method_not_allowed": {
        "nl": ("Dit adres kent deze methode niet", "Zie de header Allow"),
        "fr": ("Cette adresse n'accepte pas cette méthode", "Voir l'en-tête Allow"),
        "en": ("This address does not know that method", "See the Allow header"),
    },
    "request_timeout": {
        "nl": ("De aanvraag kwam te traag binnen", "Probeer opnieuw"),
        "fr": ("La demande est arrivée trop lentement", "Réessayez"),
        "en": ("The request came in too slowly", "Try again"),
    },
    "request_too_large": {
        "nl": ("De aanvraag is te groot", "Stuur minder: 16 KiB volstaat voor bijna alles"),
        "fr": ("La demande est trop grande", "Envoyez moins : 16 Kio suffisent presque toujours"),
        "en": ("The request is too large", "Send less: 16 KiB are enough for nearly everything"),
    },
    "unsupported_media_type": {
        "nl": ("De aanvraag is geen JSON", "Stuur Content-Type: application/json"),
        "fr": ("La demande n'est pas du JSON", "Envoyez Content-Type: application/json"),
        "en": ("The request is not JSON", "Send Content-Type: application/json"),
    },
    "invalid_request": {
        "nl": ("De aanvraag is onvolledig of ongeldig", "Controleer de velden en hun vorm"),
        "fr": ("La demande est incomplète ou invalide", "Vérifiez les champs et leur forme"),
        "en": ("The request is incomplete or malformed", "Check the fields and their shape"),
    },
    "internal_error": {
        "nl": ("Er ging bij ons iets mis", "Probeer later opnieuw"),
        "fr": ("Une erreur s'est produite chez nous", "Réessayez plus tard"),
        "en": ("Something went wrong on our side", "Try again later"),
    },
    "too_busy": {
        "nl": ("Het is even te druk", "Probeer over enkele seconden opnieuw"),
        "fr": ("Le service est momentanément saturé", "Réessayez dans quelques secondes"),
        "en": ("Too busy at the moment", "Try again in a few seconds"),
    },
    "service_unavailable": {
        "nl": ("De dienst is even niet bereikbaar", "Probeer over enkele seconden opnieuw"),
        "fr": ("Le service est momentanément indisponible", "Réessayez dans quelques secondes"),
        "en": ("The service is not reachable for a moment", "Try again in a few seconds"),
    },
}
