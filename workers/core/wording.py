"""The fixed words of a document, per language."""

from __future__ import annotations

from dataclasses import dataclass

from workers.core.jobs import Locale


@dataclass(frozen=True)
class Words:
    """One language; a field that a language lacks is a type error."""

    title: str
    issue_date: str
    supply_date: str
    due_date: str
    amount_due: str
    vehicle: str
    vin: str
    odometer: str
    description: str
    quantity: str
    unit_price: str
    vat: str
    amount: str
    carried_over: str
    carried_forward: str
    vat_rate: str
    taxable: str
    total_net: str
    total_vat: str
    pay_by_qr: str
    pay_by_transfer: str
    beneficiary: str
    communication: str
    nothing_due: str
    in_your_favour: str
    page: str
    of: str


_DUTCH = Words(
    title="Factuur",
    issue_date="Factuurdatum",
    supply_date="Leveringsdatum",
    due_date="Vervaldatum",
    amount_due="Te betalen",
    vehicle="Voertuig",
    vin="Chassisnummer",
    odometer="Kilometerstand",
    description="Omschrijving",
    quantity="Aantal",
    unit_price="Prijs excl.",
    vat="Btw",
    amount="Bedrag excl.",
    carried_over="Overgedragen van vorige pagina",
    carried_forward="Over te dragen",
    vat_rate="Btw-tarief",
    taxable="Maatstaf van heffing",
    total_net="Totaal excl. btw",
    total_vat="Btw",
    pay_by_qr="Betaal door de QR-code te scannen met uw bankapp",
    pay_by_transfer="Betaling",
    beneficiary="Begunstigde",
    communication="Gestructureerde mededeling",
    nothing_due="Er is niets te betalen.",
    in_your_favour="Dit bedrag is in uw voordeel: u hoeft niets te betalen.",
    page="Pagina",
    of="van",
)

_FRENCH = Words(
    title="Facture",
    issue_date="Date de facture",
    supply_date="Date de livraison",
    due_date="Échéance",
    amount_due="À payer",
    vehicle="Véhicule",
    vin="N° de châssis",
    odometer="Kilométrage",
    description="Désignation",
    quantity="Quantité",
    unit_price="Prix HTVA",
    vat="TVA",
    amount="Montant HTVA",
    carried_over="Report de la page précédente",
    carried_forward="À reporter",
    vat_rate="Taux de TVA",
    taxable="Base imposable",
    total_net="Total HTVA",
    total_vat="TVA",
    pay_by_qr="Payez en scannant le code QR avec votre app bancaire",
    pay_by_transfer="Paiement",
    beneficiary="Bénéficiaire",
    communication="Communication structurée",
    nothing_due="Il n’y a rien à payer.",
    in_your_favour="Ce montant est en votre faveur : vous n’avez rien à payer.",
    page="Page",
    of="sur",
)

_ENGLISH = Words(
    title="Invoice",
    issue_date="Invoice date",
    supply_date="Date of supply",
    due_date="Due date",
    amount_due="Amount due",
    vehicle="Vehicle",
    vin="VIN",
    odometer="Odometer",
    description="Description",
    quantity="Quantity",
    unit_price="Price excl.",
    vat="VAT",
    amount="Amount excl.",
    carried_over="Carried over from the previous page",
    carried_forward="Carried forward",
    vat_rate="VAT rate",
    taxable="Taxable amount",
    total_net="Total excl. VAT",
    total_vat="VAT",
    pay_by_qr="Pay by scanning the QR code with your banking app",
    pay_by_transfer="Payment",
    beneficiary="Beneficiary",
    communication="Structured communication",
    nothing_due="There is nothing to pay.",
    in_your_favour="This amount is in your favour: there is nothing to pay.",
    page="Page",
    of="of",
)

WORDS: dict[Locale, Words] = {"nl": _DUTCH, "fr": _FRENCH, "en": _ENGLISH}
