-- A garage's own words for its messages: versions that never change, at most one of them in use per kind,
-- channel and language. What was saved is used once a worker has tried it; SQL cannot read templates.

insert into private.permissions (permission, module) values ('templates.write', null);
insert into private.role_permissions (role, permission)
select role, 'templates.write' from unnest(array['owner', 'manager']::public.member_role[]) role;

create table public.message_templates (
    id uuid primary key default gen_random_uuid(),
    garage_id uuid not null references public.garages (id),
    kind text not null references private.message_kinds (kind),
    channel text not null,
    locale text not null,
    version int not null,
    subject text,
    body_text text not null,
    body_html text,
    content_sid text,
    status text not null default 'unchecked',
    problem text,
    attempt int not null default 0,
    attempt_limit int not null default 5,
    claimed_at timestamptz,
    created_by uuid not null,
    created_at timestamptz not null default now(),
    checked_at timestamptz,
    unique (garage_id, id),
    unique (garage_id, kind, channel, locale, version),
    foreign key (garage_id, created_by) references public.memberships (garage_id, id),
    constraint message_templates_channel check (channel in ('email', 'sms', 'whatsapp', 'push')),
    constraint message_templates_locale check (locale in ('nl', 'fr', 'en')),
    constraint message_templates_version check (version > 0),
    constraint message_templates_subject check (
        case when channel in ('email', 'push') then coalesce(length(subject), 0) between 1 and 500
            else subject is null end),
    constraint message_templates_text check (
        length(body_text) between 1 and case channel when 'email' then 20000 else 4000 end),
    constraint message_templates_html check (
        body_html is null or channel = 'email' and length(body_html) between 1 and 50000),
    constraint message_templates_content_sid check (
        content_sid is null or channel = 'whatsapp' and content_sid ~ '^HX[0-9a-f]{32}$'),
    constraint message_templates_status check (
        status in ('unchecked', 'live', 'refused', 'retired')),
    constraint message_templates_refused_has_problem check (
        status <> 'refused' or problem is not null),
    constraint message_templates_live_is_checked check (status <> 'live' or checked_at is not null)
);
alter table public.message_templates enable row level security;
alter table public.message_templates force row level security;
comment on table public.message_templates is
    'controller=garage; retention=contract. The garage''s own words for its messages, one row per version; without a live one the words that ship are used';
comment on column public.message_templates.id is 'internal';
comment on column public.message_templates.garage_id is 'internal';
comment on column public.message_templates.kind is 'internal';
comment on column public.message_templates.channel is 'internal';
comment on column public.message_templates.locale is 'internal';
comment on column public.message_templates.version is
    'internal: counted per kind, channel and language';
comment on column public.message_templates.subject is
    'internal: of a mail; the title of a push';
comment on column public.message_templates.body_text is 'internal';
comment on column public.message_templates.body_html is
    'internal: of a mail; without one the text is shown as HTML';
comment on column public.message_templates.content_sid is
    'internal: the template at Twilio that WhatsApp approved, in the same words';
comment on column public.message_templates.status is
    'internal: unchecked, live, refused or retired';
comment on column public.message_templates.problem is
    'internal: why it was refused, or what went wrong with the live one, by part and line';
comment on column public.message_templates.attempt is
    'internal: raised by each claim, never reset';
comment on column public.message_templates.attempt_limit is 'internal';
comment on column public.message_templates.claimed_at is 'internal';
comment on column public.message_templates.created_by is
    'internal: the member who wrote it';
comment on column public.message_templates.created_at is 'internal';
comment on column public.message_templates.checked_at is 'internal';
comment on constraint message_templates_kind_fkey on public.message_templates is
    'message_kind_unknown: There is no such kind of message | See the kinds in the manual on templates';
comment on constraint message_templates_channel on public.message_templates is
    'channel_unknown: Messages are not sent this way | Use email, sms, whatsapp or push';
comment on constraint message_templates_locale on public.message_templates is
    'locale_unknown: This language is not known | Use nl, fr or en';
comment on constraint message_templates_subject on public.message_templates is
    'template_subject_invalid: A mail and a push have a subject of 1 to 500 characters, texts have none | Add it, shorten it or leave it out';
comment on constraint message_templates_text on public.message_templates is
    'template_text_invalid: A text has 1 to 4000 characters, of a mail up to 20000 | Shorten it';
comment on constraint message_templates_html on public.message_templates is
    'template_html_invalid: Only a mail has HTML, of up to 50000 characters | Shorten it or leave it out';
comment on constraint message_templates_content_sid on public.message_templates is
    'content_sid_invalid: A template of WhatsApp is named by HX and 32 hexadecimal characters | Copy it from Twilio''s console';
create unique index message_templates_live_idx
    on public.message_templates (garage_id, kind, channel, locale) where status = 'live';
create index message_templates_kind_idx on public.message_templates (kind);
create index message_templates_created_by_idx
    on public.message_templates (garage_id, created_by);
create index message_templates_created_at_idx
    on public.message_templates (garage_id, created_at desc);

create function private.tg_message_templates__freeze()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if (old.garage_id, old.kind, old.channel, old.locale, old.version, old.subject, old.body_text,
            old.body_html, old.content_sid, old.created_by, old.created_at)
        is distinct from (new.garage_id, new.kind, new.channel, new.locale, new.version,
            new.subject, new.body_text, new.body_html, new.content_sid, new.created_by,
            new.created_at) then
        perform private.refuse('template_frozen', 'A saved template never changes',
            'Save a new version', 409);
    end if;
    return new;
end $$;
create trigger _900_freeze before update on public.message_templates
    for each row execute function private.tg_message_templates__freeze();
alter table public.message_templates enable always trigger _900_freeze;

create function private.save_message_template(kind text, channel text, locale text,
    body_text text, subject text, body_html text, content_sid text)
returns public.message_templates
language plpgsql
volatile
security definer -- nobody may write versions by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    author public.memberships := private.current_member('templates.write');
    saved public.message_templates;
begin
    if (private.message_kind(save_message_template.kind)).is_ours_alone then
        perform private.refuse('words_are_ours', 'In this message Autexor itself speaks',
            'Word the messages of your garage: see the kinds in the manual on templates', 403);
    elsif not exists (select from private.message_kinds k
                    where k.kind = save_message_template.kind
                      and save_message_template.channel = any (k.channels)) then
        perform private.refuse('channel_not_of_kind', 'Such a message is not sent by this channel',
            'See the kinds and their channels in the manual on templates', 422);
    end if;
    -- One at a time per garage: versions are counted.
    perform from public.garages g where g.id = author.garage_id for no key update;
    if (select count(*) from public.message_templates t
         where t.garage_id = author.garage_id
           and t.created_at > now() - interval '1 hour') >= 200 then
        perform private.refuse('too_many_templates', 'Two hundred templates were saved in this hour',
            'Try them with a preview first, and wait a little', 429);
    end if;
    insert into public.message_templates (garage_id, kind, channel, locale, version, subject,
        body_text, body_html, content_sid, created_by)
    select author.garage_id, save_message_template.kind, save_message_template.channel,
           save_message_template.locale, coalesce(max(t.version), 0) + 1,
           save_message_template.subject, save_message_template.body_text,
           save_message_template.body_html, save_message_template.content_sid, author.id
      from public.message_templates t
     where t.garage_id = author.garage_id and t.kind = save_message_template.kind
       and t.channel = save_message_template.channel and t.locale = save_message_template.locale
    returning * into saved;
    return saved;
end $$;

create function private.retire_message_template(kind text, channel text, locale text)
returns int
language plpgsql
volatile
security definer -- nobody may write versions by hand
set search_path = pg_catalog, pg_temp
as $$
declare
    garage uuid := private.require('templates.write');
    retired int;
begin
    perform from public.garages g where g.id = garage for no key update;
    -- Those that nobody has tried yet, too: else one would be used after all.
    update public.message_templates t set status = 'retired'
     where t.garage_id = garage and t.kind = retire_message_template.kind
       and t.channel = retire_message_template.channel
       and t.locale = retire_message_template.locale and t.status in ('live', 'unchecked');
    get diagnostics retired = row_count;
    if retired = 0 then
        perform private.refuse('template_not_found', 'There is no template of yours in use here',
            'The words that ship are used already', 404);
    end if;
    return retired;
end $$;

create function public.save_message_template(kind text, channel text, locale text,
    body_text text, subject text default null, body_html text default null,
    content_sid text default null)
returns public.message_templates
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.save_message_template(save_message_template.kind, save_message_template.channel,
        save_message_template.locale, save_message_template.body_text,
        save_message_template.subject, save_message_template.body_html,
        save_message_template.content_sid);
end;
comment on function public.save_message_template is
    'Saves a new version of a garage''s own words; a worker tries it and makes it live, or refuses it and says why';
create function public.retire_message_template(kind text, channel text, locale text)
returns int
language sql
volatile
set search_path = pg_catalog, pg_temp
begin atomic
    select private.retire_message_template(retire_message_template.kind,
        retire_message_template.channel, retire_message_template.locale);
end;
comment on function public.retire_message_template is
    'Goes back to the words that ship; how many versions were retired';
grant execute on function private.save_message_template, private.retire_message_template,
    public.save_message_template, public.retire_message_template to authenticated;

create or replace function private.wording_for(garage_id uuid, kind text, channel text, locale text)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('version', t.version, 'subject', t.subject, 'text', t.body_text,
               'html', t.body_html, 'content_sid', t.content_sid)
      from public.message_templates t
     where t.garage_id = wording_for.garage_id and t.kind = wording_for.kind
       and t.channel = wording_for.channel and t.locale = wording_for.locale
       and t.status = 'live';
$$;
comment on function private.wording_for is
    'The garage''s own words that are in use for a message; null means those that ship';

create function private.note_wording_problem(garage_id uuid, kind text, channel text, locale text,
    problem text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update public.message_templates t set problem = left(note_wording_problem.problem, 500)
     where note_wording_problem.problem is not null
       and t.garage_id = note_wording_problem.garage_id and t.kind = note_wording_problem.kind
       and t.channel = note_wording_problem.channel and t.locale = note_wording_problem.locale
       and t.status = 'live' and t.problem is distinct from left(note_wording_problem.problem, 500);
$$;
comment on function private.note_wording_problem is
    'Keeps with the live template why a message could not be made of it; the words that ship went out';
