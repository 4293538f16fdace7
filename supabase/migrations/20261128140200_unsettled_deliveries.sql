-- How a garage's own deliveries stand: what waits, is under way, failed or is unknown, and since when.

create index invoice_documents_unsettled_idx on public.invoice_documents (garage_id, status, created_at)
    where status in ('pending', 'rendering', 'failed');
create index communications_unsettled_idx on public.communications (garage_id, status, created_at)
    where status in ('queued', 'sending', 'unknown', 'failed');
create index push_notifications_unsettled_idx on public.push_notifications (garage_id, status, created_at)
    where status in ('queued', 'sending', 'unknown', 'failed');

create view public.unsettled_deliveries with (security_invoker = on) as
    select d.garage_id, 'invoice_document' as kind, d.status, count(*) as deliveries,
           min(d.created_at) as oldest_at
      from public.invoice_documents d
     where d.status in ('pending', 'rendering', 'failed')
     group by d.garage_id, d.status
    union all
    select c.garage_id, 'communication', c.status, count(*), min(c.created_at)
      from public.communications c
     where c.status in ('queued', 'sending', 'unknown', 'failed')
     group by c.garage_id, c.status
    union all
    select p.garage_id, 'push_notification', p.status, count(*), min(p.created_at)
      from public.push_notifications p
     where p.status in ('queued', 'sending', 'unknown', 'failed')
     group by p.garage_id, p.status;
comment on view public.unsettled_deliveries is
    'Documents, messages and pushes that are not settled, counted by status, and since when the oldest is there';
