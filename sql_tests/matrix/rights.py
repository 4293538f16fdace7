"""What was decided: which permission opens which verb of which relation, and what a customer sees of it.

What is not listed is closed to everybody, so a new table, view or bucket is a failure until it is decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rights:
    """Permissions of members by verb; `rows` splits a view's rows among permissions by a condition."""

    read: str | None = None
    insert: str | None = None
    update: str | None = None
    delete: str | None = None
    rows: Mapping[str, str] = field(default_factory=dict)

    @property
    def read_by(self) -> Mapping[str, str]:
        """Conditions on rows and the permission that shows them."""
        return self.rows or ({"true": self.read} if self.read else {})


@dataclass(frozen=True)
class Shown:
    """The rows of their garage that a customer ({me}) sees, while the garage has the module."""

    condition: str
    module: str = "portal"


GARAGE, PEOPLE, CUSTOMERS = "garage.read", "members.read", "customers.read"
VEHICLES, WORK, INVOICES = "vehicles.read", "work_orders.read", "invoices.read"
ACCOUNTS, TALK, DELIVERIES = "portal_accounts.read", "conversations.read", "deliveries.read"
HISTORY, PROVIDERS = "audit.read", "providers.read"
REQUESTS, PRIVACY = "rights.read", "privacy.read"

STAFF = {
    "public.garages": Rights(GARAGE, update="garage.write"),
    "public.garage_logos": Rights(GARAGE, "garage.write"),
    "public.garage_modules": Rights(GARAGE, "garage.write", "garage.write"),
    "public.memberships": Rights(PEOPLE),
    "public.membership_permissions": Rights(PEOPLE),
    "public.member_permissions": Rights(PEOPLE),
    "public.invitations": Rights(PEOPLE),
    "public.customers": Rights(CUSTOMERS, "customers.write", "customers.write"),
    "public.customer_opt_outs": Rights(CUSTOMERS, "customers.write", delete="customers.write"),
    "public.customer_cards": Rights(CUSTOMERS),
    "public.vehicles": Rights(VEHICLES, "vehicles.write", "vehicles.write"),
    "public.vehicle_ownerships": Rights(VEHICLES, "vehicles.write", "vehicles.write"),
    "public.vehicle_plates": Rights(VEHICLES),
    "public.odometer_readings": Rights(VEHICLES, "vehicles.write"),
    "public.odometer_history": Rights(VEHICLES),
    "public.vehicle_history": Rights(
        rows={
            "kind = 'work_order'": WORK,
            "kind in ('invoice', 'credit_note')": INVOICES,
            "kind = 'odometer_reading'": VEHICLES,
        }
    ),
    "public.work_orders": Rights(WORK, "work_orders.write", "work_orders.write"),
    "public.work_order_tasks": Rights(WORK, "work_orders.write", "work_orders.write", "work_orders.write"),
    "public.work_order_lines": Rights(WORK, "work_orders.write", "work_orders.write", "work_orders.write"),
    "public.work_order_photos": Rights(WORK, "work_orders.write", delete="work_orders.write"),
    "public.work_order_events": Rights(WORK),
    "public.work_order_series": Rights(WORK),
    "public.work_list": Rights(WORK),
    "public.invoices": Rights(INVOICES, "invoices.write", "invoices.write", "invoices.write"),
    "public.invoice_lines": Rights(INVOICES, "invoices.write", "invoices.write", "invoices.write"),
    "public.invoice_vat_totals": Rights(INVOICES),
    "public.invoice_series": Rights(INVOICES),
    "public.invoice_documents": Rights(INVOICES),
    "public.invoice_balances": Rights(INVOICES),
    "public.open_invoices": Rights(INVOICES),
    "public.day_totals": Rights(INVOICES),
    "public.payments": Rights(INVOICES, "payments.write"),
    "public.communications": Rights(DELIVERIES),
    "public.push_devices": Rights(DELIVERIES),
    "public.push_notifications": Rights(DELIVERIES),
    "public.delivery_attempts": Rights(DELIVERIES),
    "public.delivery_events": Rights(DELIVERIES),
    "public.delivery_history": Rights(DELIVERIES),
    "public.suppressions": Rights(DELIVERIES),
    "public.message_templates": Rights(GARAGE),
    "public.provider_accounts": Rights(PROVIDERS),
    "public.channel_settings": Rights(PROVIDERS, "providers.write", "providers.write", "providers.write"),
    "public.unsettled_deliveries": Rights(
        rows={
            "kind in ('communication', 'push_notification')": DELIVERIES,
            "kind = 'invoice_document'": INVOICES,
        }
    ),
    "public.portal_accounts": Rights(ACCOUNTS, update="portal_accounts.write"),
    "public.portal_devices": Rights(ACCOUNTS, update="portal_accounts.write"),
    "public.portal_sessions": Rights(ACCOUNTS, update="portal_accounts.write"),
    "public.portal_invitations": Rights(ACCOUNTS),
    "public.conversations": Rights(TALK, "conversations.write", "conversations.write"),
    "public.messages": Rights(TALK, "conversations.write"),
    "public.inbound_messages": Rights(TALK),
    "public.message_photos": Rights(TALK, "conversations.write"),
    "public.rights_requests": Rights(REQUESTS),
    "public.customer_restrictions": Rights(REQUESTS),
    "public.restriction_openings": Rights(REQUESTS),
    "public.legal_holds": Rights(REQUESTS),
    "public.legal_bases": Rights(GARAGE, "privacy.write", "privacy.write", "privacy.write"),
    "public.retention_policies": Rights(GARAGE),
    "public.retention_runs": Rights(PRIVACY),
    "public.processing_records": Rights(GARAGE),
    "public.subprocessors": Rights(GARAGE),
    "public.retention": Rights(GARAGE),
    "public.audit_entries": Rights(HISTORY),
    "public.access_entries": Rights(HISTORY),
    "public.client_errors": Rights("telemetry.read"),
    "public.audit_seals": Rights(HISTORY),
    "public.support_requests": Rights(GARAGE),
    "public.support_grants": Rights(GARAGE),
    "public.instructions": Rights(HISTORY),
    "public.breach_notices": Rights("breaches.read"),
}
# What staff of Autexor read, and nobody else; it belongs to no garage, and nobody writes it by hand.
OPERATORS = tuple(
    f"website.{name}"
    for name in (
        *("settings", "policy_versions", "requests", "request_notes", "mails", "mail_attempts"),
        *("consents", "page_views", "rights_actions", "client_errors"),
    )
)
OWNED = "select from public.vehicle_ownerships o where o.customer_id = {me} and o.vehicle_id = "
TODAY = " and o.valid_from <= current_date and coalesce(o.valid_to > current_date, true)"
SPOKEN = "conversation_id in (select id from public.conversations where customer_id = {me})"
ISSUED = "(select id from public.invoices where customer_id = {me} and issued_at is not null)"
MINE = "in (select id from public.portal_accounts where customer_id = {me})"
CUSTOMER = {
    "portal.garage": Shown("true"),
    "portal.profile": Shown("id = {me}"),
    "portal.devices": Shown(f"id in (select id from public.portal_devices where account_id {MINE})"),
    "portal.sessions": Shown(f"id in (select id from public.portal_sessions where account_id {MINE})"),
    "portal.vehicles": Shown(f"exists ({OWNED} v.id {TODAY})"),
    "portal.odometer_readings": Shown(
        f"exists ({OWNED} v.vehicle_id and o.valid_from <= v.read_on"
        " and coalesce(o.valid_to > v.read_on, true))"
    ),
    "portal.work_orders": Shown(
        "id in (select id from public.work_orders where customer_id = {me}"
        " and status not in ('estimate', 'cancelled'))",
        "work_orders",
    ),
    "portal.invoices": Shown(f"id in {ISSUED}", "invoicing"),
    "portal.invoice_lines": Shown(f"invoice_id in {ISSUED}", "invoicing"),
    "portal.invoice_vat_totals": Shown(f"invoice_id in {ISSUED}", "invoicing"),
    "portal.conversations": Shown(
        "id in (select id from public.conversations where customer_id = {me})", "conversations"
    ),
    "portal.messages": Shown(SPOKEN, "conversations"),
    "portal.message_photos": Shown(SPOKEN, "conversations"),
    "portal.documents": Shown(
        f"invoice_id in {ISSUED} and id in (select id from public.invoice_documents where status = 'stored')",
        "pdf_storage",
    ),
}
# Calls by which an operator of Autexor speaks of any garage, whichever it is: that is what they are for. To
# everybody else they are closed, and that is tried.
OPERATED = (
    "find_garages", "request_support", "open_support", "my_support_requests", "end_support", "save_breach",
    "record_breach", "change_breach", "list_breaches", "breach_scope", "tell_garages",
)  # fmt: skip
# The workers' doorbell, which holds no data: their key hears it.
SERVICE = ("private.wakeups",)
BUCKETS = {
    "invoices": Rights("documents.read"),
    "work_order_photos": Rights(WORK, "work_orders.write", delete="work_orders.write"),
    "message_photos": Rights(TALK, "conversations.write"),
}
CHANNELS = {"conversations": TALK}
