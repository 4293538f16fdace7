"""The fixed words of a document, per language.

The mentions are those of directive 2006/112/EC, art. 226 (11) to (15), in the words of its Dutch, French and
English versions; the reduced rate is royal decree no 20, table A, heading XXII.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workers.core.jobs import Locale, Mention, VatCategory


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
    credit_note: str
    credits: str
    amount_credited: str
    discount: str
    attest_717: str
    mentions: Mapping[Mention, str]
    categories: Mapping[VatCategory, str]
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
    credit_note="Creditnota",
    credits="Creditnota bij factuur",
    amount_credited="Te crediteren",
    discount="Korting",
    attest_717="Attest 717:",
    mentions={
        "reverse_charge": "Btw verlegd.",
        "intra_community": "Vrijgestelde intracommunautaire levering, art. 39bis W.Btw.",
        "margin": "Bijzondere regeling – gebruikte goederen.",
        "exempt": "Vrijgesteld van btw.",
        "attest_717": "Verlaagd tarief van 6 %: voertuig van een persoon met een handicap, attest 717.",
    },
    categories={
        "reverse_charge": "Btw verlegd",
        "intra_community": "Intracommunautair",
        "margin": "Marge",
        "exempt": "Vrijgesteld",
    },
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
    credit_note="Note de crédit",
    credits="Note de crédit sur la facture",
    amount_credited="À créditer",
    discount="Remise",
    attest_717="Attestation 717 :",
    mentions={
        "reverse_charge": "Autoliquidation.",
        "intra_community": "Livraison intracommunautaire exemptée, art. 39bis CTVA.",
        "margin": "Régime particulier – biens d’occasion.",
        "exempt": "Exempté de TVA.",
        "attest_717": "Taux réduit de 6 % : véhicule d’une personne handicapée, attestation 717.",
    },
    categories={
        "reverse_charge": "Autoliquidation",
        "intra_community": "Intracommunautaire",
        "margin": "Marge",
        "exempt": "Exempté",
    },
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
    credit_note="Credit note",
    credits="Credit note on invoice",
    amount_credited="Amount credited",
    discount="Discount",
    attest_717="Attest 717:",
    mentions={
        "reverse_charge": "Reverse charge.",
        "intra_community": "Exempt intra-Community supply, art. 138 of directive 2006/112/EC.",
        "margin": "Margin scheme – second-hand goods.",
        "exempt": "Exempt from VAT.",
        "attest_717": "Reduced rate of 6 %: vehicle of a person with a disability, attest 717.",
    },
    categories={
        "reverse_charge": "Reverse charge",
        "intra_community": "Intra-Community",
        "margin": "Margin",
        "exempt": "Exempt",
    },
    page="Page",
    of="of",
)

WORDS: dict[Locale, Words] = {"nl": _DUTCH, "fr": _FRENCH, "en": _ENGLISH}
