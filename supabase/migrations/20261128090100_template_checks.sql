-- A saved template waits in the queue "check" until a worker has tried it with sample data. The newest
-- version that was found good is live; one that is overtaken while it waits is not used any more.

select pgmq.create('check');
create trigger _500_enqueue after insert on public.message_templates
    for each row execute function private.tg__enqueue('check');

create function private.check_job(template_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    template public.message_templates;
begin
    update public.message_templates t
       set attempt = t.attempt + 1, claimed_at = clock_timestamp(),
           status = case when t.attempt < t.attempt_limit then t.status else 'refused' end,
           problem = case when t.attempt < t.attempt_limit then t.problem else 'worker_died' end
     where t.id = check_job.template_id and t.status = 'unchecked'
    returning * into template;
    if template.status is distinct from 'unchecked' then
        return null;
    end if;
    return jsonb_build_object(
        'kind', 'check_template', 'subject_id', template.id, 'garage_id', template.garage_id,
        'attempt', template.attempt, 'channel', template.channel, 'template', template.kind,
        'locale', template.locale,
        'wording', jsonb_build_object('version', template.version, 'subject', template.subject,
            'text', template.body_text, 'html', template.body_html,
            'content_sid', template.content_sid));
end $$;
comment on function private.check_job is
    'What a worker needs to try a template; null when it is not waiting any more';

create function private.finish_check(id uuid, attempt int, outcome text, reason text, result jsonb)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    template public.message_templates;
    verdict text := case when outcome = 'done' and result ->> 'verdict' = 'live' then 'live'
        else 'refused' end;
begin
    -- Verdicts on versions of one template come one after the other.
    perform from public.garages g
       join public.message_templates t on t.garage_id = g.id and t.id = finish_check.id
        for no key update of g;
    select * into template from public.message_templates t
     where t.id = finish_check.id and t.attempt = finish_check.attempt
       and t.status = 'unchecked' for update;
    if not found then
        return null;
    elsif outcome = 'retry' then
        return template.status;
    elsif verdict = 'live' then
        update public.message_templates t set status = 'retired'
         where t.garage_id = template.garage_id and t.kind = template.kind
           and t.channel = template.channel and t.locale = template.locale
           and t.status = 'live' and t.version < template.version;
        if private.wording_for(template.garage_id, template.kind, template.channel,
            template.locale) is not null then
            verdict := 'retired';
        end if;
    end if;
    update public.message_templates t
       set checked_at = clock_timestamp(), status = verdict,
           problem = case verdict when 'refused' then left(coalesce(result ->> 'problem',
               finish_check.reason, 'not_checked'), 500) end
     where t.id = template.id;
    return verdict;
end $$;
comment on function private.finish_check is
    'What a worker found out about a template: live, refused or, when a newer one is live, retired';

