-- The website and the staff of Autexor. Visitors call functions and read no table; operators read, and
-- change things by functions as well. No garage sees any of it, and the list of operators nobody does.

alter table private.operators enable row level security;
alter table private.operators force row level security;
revoke all on private.operators from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('private.operators');

alter table website.settings enable row level security;
alter table website.settings force row level security;
revoke all on website.settings from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.settings');
create policy operator_floor on website.settings as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.settings is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.settings to authenticated;
create policy select_operator on website.settings for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.settings is 'Operators of Autexor';

alter table website.policy_versions enable row level security;
alter table website.policy_versions force row level security;
revoke all on website.policy_versions from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.policy_versions');
create policy operator_floor on website.policy_versions as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.policy_versions is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.policy_versions to authenticated;
create policy select_operator on website.policy_versions for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.policy_versions is 'Operators of Autexor';

alter table website.requests enable row level security;
alter table website.requests force row level security;
revoke all on website.requests from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.requests');
create policy operator_floor on website.requests as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.requests is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.requests to authenticated;
create policy select_operator on website.requests for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.requests is 'Operators of Autexor';

alter table website.request_notes enable row level security;
alter table website.request_notes force row level security;
revoke all on website.request_notes from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.request_notes');
create policy operator_floor on website.request_notes as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.request_notes is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.request_notes to authenticated;
create policy select_operator on website.request_notes for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.request_notes is 'Operators of Autexor';

alter table website.mails enable row level security;
alter table website.mails force row level security;
revoke all on website.mails from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.mails');
create policy operator_floor on website.mails as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.mails is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.mails to authenticated;
create policy select_operator on website.mails for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.mails is 'Operators of Autexor';

alter table website.mail_attempts enable row level security;
alter table website.mail_attempts force row level security;
revoke all on website.mail_attempts from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.mail_attempts');
create policy operator_floor on website.mail_attempts as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.mail_attempts is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.mail_attempts to authenticated;
create policy select_operator on website.mail_attempts for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.mail_attempts is 'Operators of Autexor';

alter table website.consents enable row level security;
alter table website.consents force row level security;
revoke all on website.consents from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.consents');
create policy operator_floor on website.consents as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.consents is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.consents to authenticated;
create policy select_operator on website.consents for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.consents is 'Operators of Autexor';

alter table website.page_views enable row level security;
alter table website.page_views force row level security;
revoke all on website.page_views from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.page_views');
create policy operator_floor on website.page_views as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.page_views is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.page_views to authenticated;
create policy select_operator on website.page_views for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.page_views is 'Operators of Autexor';

alter table website.rights_actions enable row level security;
alter table website.rights_actions force row level security;
revoke all on website.rights_actions from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.rights_actions');
create policy operator_floor on website.rights_actions as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.rights_actions is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
grant select on website.rights_actions to authenticated;
create policy select_operator on website.rights_actions for select to authenticated
    using ((select private.operator_id()) is not null);
comment on policy select_operator on website.rights_actions is 'Operators of Autexor';

alter table website.day_salts enable row level security;
alter table website.day_salts force row level security;
revoke all on website.day_salts from anon, authenticated, portal, service_role, worker, edge;
call private.reset_policies('website.day_salts');
create policy operator_floor on website.day_salts as restrictive for all to public
    using ((select private.is_operator()))
    with check ((select private.is_operator()));
comment on policy operator_floor on website.day_salts is
    'The first lock: nothing for anybody but staff of Autexor, whatever else a policy says';
