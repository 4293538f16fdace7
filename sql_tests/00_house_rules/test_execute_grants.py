"""Who may execute what, frozen: a change here is a change of what somebody may do."""

import pytest

from devstack.testing import Database

QUERY = """
select concat_ws(' ', case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end,
           p.oid::regprocedure)
  from pg_proc p cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
 where p.pronamespace::regnamespace::text in ('public', 'portal', 'private', 'audit')
   and acl.grantee <> p.proowner
 order by 1
"""
FROZEN = """
anon private.garage_id()
anon private.pre_request()
anon private.refuse(text,text,text,integer)
authenticated private.credit_invoice(uuid,text)
authenticated private.credited_total(uuid,uuid)
authenticated private.garage_id()
authenticated private.garage_id_for(text)
authenticated private.is_belgian_enterprise_number(text)
authenticated private.is_email(text)
authenticated private.is_iban(text)
authenticated private.is_phone(text)
authenticated private.is_vat_number(text)
authenticated private.is_vin(text)
authenticated private.issue_invoice(uuid)
authenticated private.mark_conversation_read(uuid)
authenticated private.merge_customers(uuid,uuid)
authenticated private.name_key(text)
authenticated private.paid_total(uuid,uuid)
authenticated private.payment_status(numeric,numeric,numeric)
authenticated private.plate_on(uuid,uuid,date)
authenticated private.pre_request()
authenticated private.refuse(text,text,text,integer)
authenticated private.refuse_control_character()
authenticated private.refuse_missing(text)
authenticated private.register_plate(uuid,text,date)
authenticated private.require(text)
authenticated private.retry_delivery(uuid)
authenticated private.switch_garage(uuid)
authenticated private.today_at(uuid)
authenticated private.trace_invoice(text)
authenticated private.transfer_vehicle(uuid,uuid,date)
authenticated public.credit_invoice(uuid,text)
authenticated public.find_duplicate_customers(uuid)
authenticated public.issue_invoice(uuid)
authenticated public.mark_conversation_read(uuid)
authenticated public.merge_customers(uuid,uuid)
authenticated public.plate(public.vehicles)
authenticated public.register_plate(uuid,text,date)
authenticated public.retry_delivery(uuid)
authenticated public.switch_garage(uuid)
authenticated public.trace_invoice(text)
authenticated public.transfer_vehicle(uuid,uuid,date)
authenticated public.vat_totals(date,date)
authenticated public.vin_warning(public.vehicles)
edge private.garage_id()
edge private.portal_grant_document(uuid,uuid,uuid,uuid,text,text,text)
edge private.portal_login_finish(uuid,boolean,text)
edge private.portal_login_reserve(uuid,text,text,text,text,text)
edge private.portal_logout(text)
edge private.portal_refresh(text,text,text,text,text)
edge private.refuse(text,text,text,integer)
portal portal.credited_invoice(portal.invoices)
portal portal.mark_conversation_read(uuid)
portal portal.register_push_token(text)
portal portal.send_message(text,uuid)
portal private.credited_total(uuid,uuid)
portal private.garage_id()
portal private.granted_object_name()
portal private.paid_total(uuid,uuid)
portal private.payment_status(numeric,numeric,numeric)
portal private.plate_on(uuid,uuid,date)
portal private.portal_customer_id()
portal private.portal_garage_id(text)
portal private.portal_mark_conversation_read(uuid)
portal private.portal_register_push_token(text)
portal private.portal_send_message(text,uuid)
portal private.pre_request()
portal private.refuse(text,text,text,integer)
portal private.today_at(uuid)
service_role private.garage_id()
service_role private.pre_request()
service_role private.refuse(text,text,text,integer)
supabase_auth_admin private.custom_access_token_hook(jsonb)
worker private.claim_jobs(text,integer,integer)
worker private.finish_job(text,bigint,uuid,integer,text,text,integer,jsonb)
worker private.garage_id()
worker private.housekeep()
worker private.refuse(text,text,text,integer)
"""


@pytest.mark.req("D1", "S2")
def test_who_may_execute_what_is_as_it_was_decided(busy_database: Database) -> None:
    with busy_database.connect() as connection:
        connection.execute("set local search_path = pg_catalog")
        found = [row["concat_ws"] for row in connection.execute(QUERY)]
    assert sorted(found) == FROZEN.split("\n")[1:-1]
