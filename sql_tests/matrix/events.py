"""Realtime: every published table and every private channel x every caller.

Realtime asks the database as the subscriber: may they select the changed row, and, for a private channel,
which probe rows of `realtime.messages` do they see or may they insert. The same is asked here.
"""

from itertools import product

from sql_tests.cast import CUSTOMERS, NOORD, ZUID
from sql_tests.matrix.attempts import OWNER, Ask
from sql_tests.matrix.callers import Caller
from sql_tests.matrix.rights import CHANNELS
from sql_tests.matrix.tables import Reads
from sql_tests.matrix.world import World, literal

VERB = "realtime event"
PUBLISHED = """
select format('%I.%I', schemaname, tablename) as name from pg_publication_tables
 where pubname = 'supabase_realtime'
"""
# Topics that the policies speak of: what they format, with the garage's id put in.
TOPICS = """
select distinct m[1] as topic from pg_policy p, regexp_matches(
    concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)),
    '''(garage:%s:[a-z_]+)''', 'g') m
 where p.polrelid = 'realtime.messages'::regclass
"""
PROBE = "insert into realtime.messages (topic, extension, private) values ({topic}, {extension}, true)"
EXTENSIONS = ("broadcast", "presence")


def run(world: World) -> None:
    """Changes of published tables, then private channels."""
    for row in world.connection.execute(PUBLISHED).fetchall():
        relation = world.catalogue.relations.get(row["name"])
        if relation is None:
            world.report.fail(VERB, row["name"], "everybody", "a table of another schema is published", True)
        elif relation in world.relations:
            for caller in world.callers:
                Reads(world, relation).cell(caller, VERB)
    if world.only is None or "realtime.messages" in world.only:
        _channels(world)


def _channels(world: World) -> None:
    found = {row["topic"] for row in world.connection.execute(TOPICS)}
    topics = found | {f"garage:%s:{channel}" for channel in CHANNELS} | {"garage:%s", "garage:%s:anything"}
    topics |= {f"garage:%s:customer:{customer.customer_id}" for customer in CUSTOMERS}
    for caller, topic, garage in product(world.callers, sorted(topics), (NOORD, ZUID)):
        for extension in EXTENSIONS:
            _listen(world, caller, topic.replace("%s", garage), garage, extension)


def _listen(world: World, caller: Caller, topic: str, garage: str, extension: str) -> None:
    """Hear what is said on a topic, and say something there."""
    probe = PROBE.format(topic=literal(topic), extension=literal(extension))
    named = f"select set_config('realtime.topic', {literal(topic)}, true);"
    hear = Ask(
        f"select count(*)::text from realtime.messages where topic = {literal(topic)}"
        f" and extension = {literal(extension)}",
        is_query=True,
        before=f"{probe}; {named}",
    )
    heard, said = world.attempt(caller, [hear, Ask(probe, before=named)])
    world.report.tried(VERB, 2)
    channel = topic.rsplit(":", 1)[-1]
    may_hear = extension == "broadcast" and garage == caller.garage
    may_hear = may_hear and (CHANNELS.get(channel) in caller.permissions or channel == caller.customer)
    is_heard = heard.is_done and heard.value != "0"
    if caller.role == "service_role":
        return  # the workers' and operators' key: passes by policies, on purpose
    if is_heard != may_hear:
        world.report.fail(VERB, topic, caller.name, f"hears {extension}: {heard}", garage != caller.garage)
    if not said.is_denied:
        world.report.fail(VERB, topic, caller.name, f"says {extension}: {said}", garage != caller.garage)
    for ask in (hear, Ask(probe, before=named)):
        control = world.attempt(OWNER, [ask])[0] if not may_hear and caller is world.callers[0] else None
        if control and (not control.is_done or control.value == "0"):
            world.report.empty(VERB, topic, control)
