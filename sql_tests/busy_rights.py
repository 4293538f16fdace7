"""What the busy garages have of privacy: requests in every state, holds, restrictions of the past, bases."""

from devstack.config import SUPERUSER
from devstack.testing import Database

# Customers who use their rights, in every state, and what a garage said of its processing.
REQUESTED = """
insert into public.rights_requests (garage_id, customer_id, kind, object_to, due_on, status, verified_at,
    verified_how)
select c.garage_id, c.id, a.kind, case a.kind when 'objection' then 'email' end, current_date + 30, s.status,
       case s.status when 'verified' then now() end, case s.status when 'verified' then 'id_card' end
  from public.customers c, unnest(array['access', 'rectification', 'erasure', 'restriction', 'objection',
           'portability']) a (kind), unnest(array['verified', 'received']) s (status)
 where c.full_name !~ '^Nele';
insert into public.legal_holds (garage_id, customer_id, reason)
select garage_id, id, 'Geschil' from public.customers where full_name ~ '^Karel';
insert into public.legal_holds (garage_id, customer_id, reason)
select garage_id, id, 'Geschil' from public.customers where garage_id::text like '%2' limit 1;
insert into public.customer_restrictions (garage_id, customer_id, request_id, lifted_at, lift_reason)
select garage_id, customer_id, id, now(), 'Opgelost' from public.rights_requests where kind = 'restriction';
insert into public.restriction_openings (garage_id, customer_id, membership_id, reason)
select r.garage_id, r.customer_id, m.id, 'Moest iets nakijken'
  from public.customer_restrictions r join public.memberships m on m.garage_id = r.garage_id;
insert into public.legal_bases (garage_id, processing, basis)
select id, 'customers', 'contract' from public.garages;
insert into public.retention_policies (garage_id, processing, keep_for)
select id, 'customers', '8 years' from public.garages;
insert into public.retention_runs (garage_id, as_of, actor, counts)
select id, now(), 'worker', '{}' from public.garages;
insert into private.erasing (garage_id, xid, as_of, kind)
select id, '3'::xid8, now(), 'erasure' from public.garages;
insert into private.file_removals (garage_id, bucket, path)
select id, 'invoices', id || '/gone.pdf' from public.garages
"""


def keep_busy(database: Database) -> None:
    """As if it had all happened: written by the superuser, past triggers."""
    with database.connect(SUPERUSER) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(REQUESTED)
