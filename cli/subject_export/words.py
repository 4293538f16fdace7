"""What the pages of an export say, in the person's language."""

from collections.abc import Mapping

LOCALES = ("nl", "fr", "en")

WORDS: Mapping[str, tuple[str, str, str]] = {
    "title": ("Uw gegevens bij {garage}", "Vos données chez {garage}", "Your data at {garage}"),
    "intro": (
        "Dit archief bevat alles wat {garage} over {name} bewaart, zoals het was op {date}.",
        "Cette archive contient tout ce que {garage} conserve sur {name}, tel que c'était le {date}.",
        "This archive holds all that {garage} keeps about {name}, as it was on {date}.",
    ),
    "contents": ("Inhoud", "Contenu", "Contents"),
    "files": ("Documenten en foto's", "Documents et photos", "Documents and photos"),
    "no_files": ("Geen bestanden.", "Aucun fichier.", "No files."),
    "missing": ("kon niet gelezen worden", "n'a pas pu être lu", "could not be read"),
    "what": ("Wat", "Quoi", "What"),
    "count": ("Aantal", "Nombre", "Number"),
    "why": ("Waarvoor", "Pourquoi", "What for"),
    "basis": ("Rechtsgrond", "Base juridique", "Legal basis"),
    "read": ("lezen", "lire", "read"),
    "machine": ("voor computers (JSON)", "pour ordinateurs (JSON)", "for computers (JSON)"),
    "recipients": (
        "Wie de gegevens voor ons verwerkt",
        "Qui traite les données pour nous",
        "Who processes the data for us",
    ),
    "country": ("Land", "Pays", "Country"),
    "kept": (
        "Facturen moeten tien jaar bewaard worden, vanaf 1 januari na hun datum. "
        "Al het andere bewaren we zo lang als het nodig is voor het doel dat erbij staat.",
        "Les factures doivent être conservées dix ans, à partir du 1er janvier qui suit leur date. "
        "Tout le reste est conservé aussi longtemps que l'exige le but indiqué.",
        "Invoices must be kept for ten years, from 1 January after their date. "
        "All else we keep for as long as the purpose beside it needs.",
    ),
    "left_out": (
        "Niet opgenomen: wachtwoorden en sleutels (alleen als onleesbare afdruk bewaard), wie van het "
        "personeel iets deed, en gegevens van anderen.",
        "Non inclus : les mots de passe et les clés (conservés uniquement sous forme d'empreinte "
        "illisible), qui du personnel a fait quoi, et les données d'autrui.",
        "Left out: passwords and keys (kept only as unreadable prints), who of the staff did what, and "
        "what is about others.",
    ),
    "rights": ("Uw rechten", "Vos droits", "Your rights"),
    "rights_text": (
        "U kunt vragen om gegevens te verbeteren, te wissen of te bevriezen, en bezwaar maken: "
        "{contact}. U kunt klacht indienen bij de Gegevensbeschermingsautoriteit "
        "(www.gegevensbeschermingsautoriteit.be).",
        "Vous pouvez demander de corriger, d'effacer ou de geler des données, et vous opposer : "
        "{contact}. Vous pouvez introduire une plainte auprès de l'Autorité de protection des données "
        "(www.autoriteprotectiondonnees.be).",
        "You may ask to have data corrected, erased or frozen, and you may object: {contact}. You may "
        "complain to the Belgian Data Protection Authority (www.dataprotectionauthority.be).",
    ),
    "back": ("Terug naar de inhoud", "Retour au contenu", "Back to the contents"),
    "empty": ("leeg", "vide", "empty"),
    "yes": ("ja", "oui", "yes"),
    "no": ("nee", "non", "no"),
    "purpose.customers": (
        "Weten voor wie we werken",
        "Savoir pour qui nous travaillons",
        "Knowing whom we work for",
    ),
    "purpose.vehicles": ("Uw voertuigen kennen", "Connaître vos véhicules", "Knowing your vehicles"),
    "purpose.work_orders": (
        "Werk plannen, uitvoeren en verantwoorden",
        "Planifier, exécuter et justifier les travaux",
        "Planning and doing work, and answering for it",
    ),
    "purpose.invoices": (
        "Factureren en boekhouden",
        "Facturer et tenir la comptabilité",
        "Invoicing and keeping the books",
    ),
    "purpose.conversations": ("U antwoorden", "Vous répondre", "Answering you"),
    "purpose.deliveries": (
        "Documenten en berichten versturen, en dat bewijzen",
        "Envoyer documents et messages, et le prouver",
        "Sending documents and messages, and proving it",
    ),
    "purpose.portal_accounts": (
        "U veilig uw gegevens laten zien",
        "Vous montrer vos données en sécurité",
        "Showing you your data safely",
    ),
    "purpose.rights": (
        "Antwoorden wie zijn rechten gebruikt",
        "Répondre à qui exerce ses droits",
        "Answering who uses their rights",
    ),
    "purpose.audit": (
        "Zien wie wat deed, en misbruik merken",
        "Voir qui a fait quoi, et remarquer les abus",
        "Seeing who did what, and noticing misuse",
    ),
    "basis.consent": ("toestemming", "consentement", "consent"),
    "basis.contract": ("overeenkomst", "contrat", "contract"),
    "basis.legal_obligation": ("wettelijke plicht", "obligation légale", "legal obligation"),
    "basis.vital_interest": ("vitaal belang", "intérêt vital", "vital interest"),
    "basis.public_task": ("taak van algemeen belang", "mission d'intérêt public", "public task"),
    "basis.legitimate_interest": ("gerechtvaardigd belang", "intérêt légitime", "legitimate interest"),
    "table.access_entries": ("Wat u opende", "Ce que vous avez ouvert", "What you opened"),
    "table.communications": (
        "Berichten van de garage aan u",
        "Messages du garage à vous",
        "Messages from the garage to you",
    ),
    "table.conversations": ("Gesprekken", "Conversations", "Conversations"),
    "table.customers": ("Uw klantfiche", "Votre fiche client", "Your customer card"),
    "table.customer_opt_outs": ("Wat u niet wilt", "Ce que vous ne voulez pas", "What you do not want"),
    "table.delivery_attempts": ("Verzendpogingen", "Tentatives d'envoi", "Attempts to send"),
    "table.invoices": ("Facturen", "Factures", "Invoices"),
    "table.invoice_lines": ("Factuurlijnen", "Lignes de facture", "Invoice lines"),
    "table.invoice_documents": ("Factuurdocumenten", "Documents de facture", "Invoice documents"),
    "table.invoice_vat_totals": ("Btw per tarief", "TVA par taux", "VAT per rate"),
    "table.login_attempts": ("Aanmeldingen", "Connexions", "Sign-ins"),
    "table.messages": ("Berichten", "Messages", "Messages"),
    "table.message_photos": ("Foto's bij berichten", "Photos de messages", "Photos of messages"),
    "table.odometer_readings": ("Kilometerstanden", "Kilométrages", "Odometer readings"),
    "table.payments": ("Betalingen", "Paiements", "Payments"),
    "table.portal_accounts": ("Uw toegang", "Votre accès", "Your access"),
    "table.portal_devices": ("Uw toestellen", "Vos appareils", "Your devices"),
    "table.portal_sessions": ("Sessies", "Sessions", "Sessions"),
    "table.rights_requests": ("Uw vragen", "Vos demandes", "Your requests"),
    "table.vehicles": ("Voertuigen", "Véhicules", "Vehicles"),
    "table.vehicle_ownerships": ("Van wanneer tot wanneer", "De quand à quand", "Owned from when to when"),
    "table.vehicle_plates": ("Nummerplaten", "Plaques", "Plates"),
    "table.work_orders": ("Werkorders", "Ordres de travail", "Work orders"),
    "table.work_order_tasks": ("Taken", "Tâches", "Tasks"),
    "table.work_order_lines": ("Werk en onderdelen", "Travail et pièces", "Labour and parts"),
    "table.work_order_photos": ("Foto's van het werk", "Photos du travail", "Photos of the work"),
    "table.work_order_events": ("Verloop", "Déroulement", "Course of the work"),
}


def word(locale: str, key: str, otherwise: str | None = None) -> str:
    """A word in a language; `otherwise`, or the key, where there is none."""
    found = WORDS.get(key)
    if found is None:
        return otherwise if otherwise is not None else key
    return found[LOCALES.index(locale) if locale in LOCALES else LOCALES.index("en")]
