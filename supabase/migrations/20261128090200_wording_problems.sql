-- What went wrong with a garage's own words is noted with the words.

create or replace function private.finish_communication(id uuid, attempt int, outcome text,
    reason text, result jsonb)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    communication public.communications;
begin
    update public.communications c
       set status = case finish_communication.outcome
               when 'done' then 'sent' when 'retry' then 'queued' when 'unknown'
                   then 'unknown' else 'failed' end,
           last_error = finish_communication.reason,
           subject = result ->> 'subject',
           body_text = case when k.keeps_text then result ->> 'body_text' end,
           body_html = case when k.keeps_text then result ->> 'body_html' end,
           template_version = result ->> 'template_version',
           wording_version = (result ->> 'wording_version')::int,
           segments = (result ->> 'segments')::int,
           provider = result ->> 'provider', provider_message_id = result ->> 'provider_message_id',
           sent_at = case when finish_communication.outcome = 'done' then clock_timestamp() end
      from private.message_kinds k
     where c.id = finish_communication.id and c.attempt = finish_communication.attempt
       and c.status = 'sending' and k.kind = c.template
    returning c.* into communication;
    perform private.note_wording_problem(communication.garage_id, communication.template,
        communication.channel, communication.locale, result ->> 'wording_problem');
    return communication.status;
end $$;
