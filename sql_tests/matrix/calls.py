"""Every function x every caller x ids and words of another garage, or of another customer of the same one.

What a caller is told of something that is not theirs is what they are told of something that does not exist:
the same state, message, detail, hint and result. A thing of their own is something else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import uuid4

from sql_tests.cast import NOORD
from sql_tests.matrix.attempts import Ask, Outcome
from sql_tests.matrix.callers import Caller
from sql_tests.matrix.catalogue import Function, Relation
from sql_tests.matrix.keys import ID, OTHER, masked
from sql_tests.matrix.rights import CUSTOMER, OPERATED
from sql_tests.matrix.world import World, literal

VERB = "call with a foreign id"
# Callers that are the platform itself: they work for every garage, by functions made for them.
PLATFORM = ("worker", "edge")
# Ids that are known to whom they concern alone: whoever sends one has it.
CAPABILITIES = ("visitor_id",)
# Words are tried by those who could do most with them.
SPEAKERS = ("owner", "owner of the other garage", "customer", "the same person at the other garage")
# What the other arguments are, by name or else by type.
VALUES = {
    "change": "role", "role": "mechanic", "value": "mechanic", "permission": "invoices.read",
    "email": "nina@example.test", "plate": "1-ZZZ-999", "module": "invoicing", "body": "Dag", "text": "Reden",
    "date": "2026-01-02", "integer": "10", "numeric": "1", "text[]": "{een}",
    "public.member_role": "mechanic", "jsonb": "{}", "bigint": "1", "boolean": "true",
    "kind": "access", "how": "id_card", "reason": "Omdat het moet", "object_to": None, "interval": "6 years",
    "processing": "conversations", "sha256": "a" * 64, "counts": '{"rows": 1}', "changes": '{"city": "Gent"}',
    "table_name": "public.customers", "plan_sha256": "a" * 64, "timestamp with time zone": None,
    "from_date": "2026-01-01", "query": "Niemand", "sender": "garage", "platform": "ios",
    "channel": "email", "locale": "nl", "body_text": "Dag", "subject": "Dag",
    "visitor_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "homepage": "", "phone": "+32470123456", "path": "/", "outcome": "answered", "purpose": "statistics",
    "policy_version": "2026-02-23", "full_name": "Nina", "published_on": "2099-01-01", "version": "9",
}  # fmt: skip


# What operators are told of every garage is theirs to know.
OF_ALL_GARAGES = ("private.all_client_errors()", "website.all_client_errors()")


def run(world: World) -> None:
    """All functions; only when the run is about everything or names functions."""
    for function in world.catalogue.functions:
        if world.only is None or function.signature in world.only:
            Calls(world, function).run()


@dataclass(frozen=True)
class Sent:
    """What is sent for one argument: of whom, and the like that does not exist."""

    value: str
    missing: str


class Calls:
    """One function."""

    def __init__(self, world: World, function: Function) -> None:
        self.world, self.function = world, function
        names = function.argument_names
        self.arguments = list(zip(names, function.argument_types, strict=True))

    def run(self) -> None:
        """The closed door for those without EXECUTE, strangers' ids for those with it."""
        told_apart = False
        for caller in self.world.callers:
            if caller.role not in self.function.roles:
                self._closed(caller)
            elif caller.role not in PLATFORM and not self.function.is_pure:
                if not self._is_operated_by(caller):
                    self._foreign(caller)
                if self._ids() and (caller.garage == NOORD or caller.is_operator):
                    told_apart = self._tells_own(caller) or told_apart
        needs_control = self.function.roles and not set(self.function.roles) <= set(PLATFORM)
        if needs_control and self._ids() and not self.function.is_pure and not told_apart:
            self.world.report.empty(VERB, self.function.signature, "one's own is as good as nothing")

    def _is_operated_by(self, caller: Caller) -> bool:
        """Does an operator speak of any garage by this call?"""
        return caller.is_operator and self.function.name.split(".")[1] in OPERATED

    def _closed(self, caller: Caller) -> None:
        (found,) = self.world.attempt(caller, [self.ask({})])
        self.world.report.tried("call without a grant")
        if found.state != "42501":
            self.world.report.fail(VERB, self.function.signature, caller.name, found, True)

    def _foreign(self, caller: Caller) -> None:
        """Each argument in turn is foreign or missing, the others are one's own."""
        fixed = {i: own[0] for i, own in self._own(caller).items() if own}
        tries: list[tuple[dict[int, str], dict[int, str]]] = []
        strange = {i: list(self._strange(caller, i)) for i in range(len(self.arguments))}
        for i, sents in strange.items():
            tries += [({**fixed, i: s.value}, {**fixed, i: s.missing}) for s in sents]
        together = [i for i, sents in strange.items() if sents and self._is_id(i)]
        if len(together) > 1:
            tries.append(
                (
                    {**fixed, **{i: strange[i][0].value for i in together}},
                    {**fixed, **{i: strange[i][0].missing for i in together}},
                )
            )
        tries = tries or [({}, {})]
        asks = [self.ask(arguments) for pair in tries for arguments in pair]
        if self.function.is_volatile:
            asks = [replace(ask, after=self._others(caller)) for ask in asks]
        outcomes = self.world.attempt(caller, asks)
        for (sent, missing), found, of_none in zip(tries, outcomes[::2], outcomes[1::2], strict=True):
            self.world.report.tried(VERB)
            if _told(found, sent) != _told(of_none, missing):
                self._fail(caller, f"{sent}: {found}; of none: {of_none}")
            leaked = self._foreign_ids(caller) & set(
                ID.findall(f"{found.value} {found.message} {found.detail}")
            )
            if caller.is_operator and self.function.signature in OF_ALL_GARAGES:
                continue
            if leaked - set(ID.findall(str(sent))):
                self._fail(caller, f"{sent}: shows {sorted(leaked)[:3]}")
            if found.after is not None and found.after != self.world.untouched(self._others(caller)):
                self._fail(caller, f"{sent}: changed rows of another garage")

    def _tells_own(self, caller: Caller) -> bool:
        """The positive control: with something of one's own it does something else."""
        missing = {i: str(uuid4()) for i in self._ids()}
        own = self._own(caller)
        asks = [self.ask(missing)]
        for n in range(max(map(len, own.values()), default=0)):
            chosen = {i: ids[(n + i) % len(ids)] for i, ids in own.items() if ids}
            asks.append(self.ask({**missing, **chosen}))
        of_none, *found = self.world.attempt(caller, asks)
        for outcome in found:
            self.world.report.tried(VERB)
            leaked = self._foreign_ids(caller) & set(ID.findall(f"{outcome.value} {outcome.detail}"))
            if leaked and not self._is_operated_by(caller):
                self._fail(caller, f"of one's own: shows {sorted(leaked)[:3]}")
        return any(_told(outcome, {}) != _told(of_none, {}) for outcome in found)

    def ask(self, arguments: dict[int, str]) -> Ask:
        """A call; what is not given is something harmless."""
        values = []
        for i, (name, kind) in enumerate(self.arguments):
            if kind in self.world.catalogue.relations:
                record = arguments.get(i, "{}")
                values.append(f"jsonb_populate_record(null::{kind}, {literal(record)})")
            else:
                value = arguments.get(i, VALUES.get(name, VALUES.get(kind)))
                spread = "variadic " if self.function.is_variadic else ""
                values.append(f"{spread}{literal(value)}::{kind}")
        call = f"{self.function.name}({', '.join(values)})"
        return Ask(f"select string_agg(r::text, '|') from {call} r", is_query=True)

    def _ids(self) -> list[int]:
        return [i for i in range(len(self.arguments)) if self._is_id(i)]

    def _is_id(self, i: int) -> bool:
        name, kind = self.arguments[i]
        return name not in CAPABILITIES and (kind == "uuid" or kind in self.world.catalogue.relations)

    def _own(self, caller: Caller) -> dict[int, list[str]]:
        """Per argument that is an id, things of the caller's."""
        found = {}
        for i in self._ids():
            rows = [(r, id) for r in self._targets(i) for id in self._things(r, caller, is_own=True)]
            found[i] = [self._value(i, r, id) for r, id in rows]
        return found

    def _strange(self, caller: Caller, i: int) -> Iterator[Sent]:
        """Things of others that could be sent for an argument."""
        name, kind = self.arguments[i]
        if self._is_id(i):
            for relation in self._targets(i):
                for id in self._things(relation, caller, is_own=False):
                    yield Sent(self._value(i, relation, id), self._value(i, relation, str(uuid4())))
        elif kind == "text" and name not in ("change", "module", "permission", "code", "message", "hint"):
            for word in self.words(caller) if caller.name in SPEAKERS else []:
                yield Sent(word, turned(word))

    def _value(self, i: int, relation: Relation, id: str) -> str:
        """An id as the argument's type wants it."""
        if self.arguments[i][1] == "uuid":
            return id
        return f'{{"id": "{id}", "garage_id": "{id}"}}' if not relation.tenant else self._record(relation, id)

    def _record(self, relation: Relation, id: str) -> str:
        base = self.world.catalogue.relations.get(relation.name.replace("portal.", "public."), relation)
        for garage in (NOORD, OTHER[NOORD]):
            for row in self.world.samples(base, garage):
                if row.get("id") == id:
                    pairs = [
                        f'"{c}": "{row[c]}"' for c, k in relation.columns.items() if k == "uuid" and row[c]
                    ]
                    return "{" + ", ".join(pairs) + "}"
        return f'{{"id": "{id}", "garage_id": "{id}", "credits_invoice_id": "{uuid4()}"}}'

    def _targets(self, i: int) -> list[Relation]:
        """The tables whose ids an argument could be, by the names of columns that point at them."""
        name, kind = self.arguments[i]
        catalogue = self.world.catalogue
        if kind in catalogue.relations:
            return [catalogue.relations[kind]]
        pointed = {
            near: key.parent for key in catalogue.foreign_keys for near in key.near if near != "garage_id"
        }
        pointed |= {"garage_id": "public.garages", "keep_id": "public.customers"}
        pointed |= {"duplicate_id": "public.customers", "membership_id": "public.memberships"}
        pointed |= {"work_order_id": "public.work_orders"}
        pointed |= {"mail_id": "website.mails"}
        pointed |= {"support_request_id": "public.support_requests"}
        pointed |= {"breach_id": "private.breaches", "breach_notice_id": "public.breach_notices"}
        pointed |= {"hold_id": "public.legal_holds"}
        if name == "request_id":  # of a customer to their garage, or of a visitor to Autexor
            return [catalogue.relations[kind] for kind in ("public.rights_requests", "website.requests")]
        if name == "invitation_id":  # of a colleague or of a customer
            return [catalogue.relations[f"public.{kind}"] for kind in ("portal_invitations", "invitations")]
        if name in pointed:
            return [catalogue.relations[pointed[name]]]
        return [
            r
            for r in catalogue.relations.values()
            if r.is_table and r.tenant and r.columns.get("id") == "uuid"
        ]

    def _things(self, relation: Relation, caller: Caller, is_own: bool) -> list[str]:
        """Up to four ids: for members by garage, for customers by what the portal shows them, too."""
        base = self.world.catalogue.relations.get(relation.name.replace("portal.", "public."), relation)
        if base.tenant is None:
            everything = [str(row["id"]) for row in self.world.samples(base, None)]
            return everything[:8] if is_own == caller.is_operator else []
        garage = caller.garage or NOORD
        own = [str(row["id"]) for row in self.world.samples(base, garage)]
        foreign = [str(row["id"]) for row in self.world.samples(base, OTHER[garage])]
        view = self.world.catalogue.relations.get(base.name.replace("public.", "portal."))
        if caller.garage is None:
            own, foreign = [], [*foreign, *own]
        elif caller.customer and view and view.name in CUSTOMER and "id" in view.columns:
            mine = CUSTOMER[view.name].condition.replace("{me}", literal(caller.customer))
            shown = self.world.truth(view, ("id",), f"{view.whose(garage)} and {mine}")
            own, foreign = [i for i in own if i in shown], [*[i for i in own if i not in shown], *foreign]
        foreign = [id for id in foreign if id not in self.world.homes(caller)]
        return own[:8] if is_own else [*foreign[:2], *foreign[-2:]][: len(foreign)]

    def words(self, caller: Caller) -> list[str]:
        """Texts that only the other garage has: names, numbers, addresses, plates, paths, tokens."""
        garage = caller.garage or NOORD
        own = {word for row in self._texts(garage, 12) for word in row}
        foreign = dict.fromkeys(word for row in self._texts(OTHER[garage], 3) for word in row)
        return [word for word in foreign if word not in own and turned(word) not in own]

    def _texts(self, garage: str, rows: int) -> Iterator[list[str]]:
        for relation in self.world.catalogue.relations.values():
            if relation.is_table and relation.tenant:
                kinds = [c for c, kind in relation.columns.items() if kind == "text"]
                for row in self.world.samples(relation, garage)[:rows]:
                    yield [str(row[c]) for c in kinds if row[c] and 5 <= len(str(row[c])) <= 80]

    def _foreign_ids(self, caller: Caller) -> set[str]:
        """Ids that occur in the other garage alone."""
        garage = caller.garage or NOORD
        return self._all_ids[OTHER[garage]] - self._all_ids[garage] - self.world.homes(caller)

    @cached_property
    def _all_ids(self) -> dict[str, set[str]]:
        found = {}
        for garage in OTHER:
            rows = (
                str(self.world.samples(relation, garage))
                for relation in self.world.catalogue.relations.values()
                if relation.is_table and relation.tenant
            )
            found[garage] = {id for row in rows for id in ID.findall(row)}
        return found

    def _others(self, caller: Caller) -> str:
        """All rows of the other garages, in one value."""
        parts = [
            f"select '{relation.name} ' || t::text as row from {relation.name} t"
            f" where {relation.whose(garage)}"
            for relation in self.world.catalogue.relations.values()
            if relation.is_table and relation.tenant
            for garage in caller.strangers
        ]
        rows = " union all ".join(parts)
        return f"select md5(coalesce(string_agg(row, '|' order by row), '')) from ({rows}) rows"

    def _fail(self, caller: Caller, found: str) -> None:
        self.world.report.fail(VERB, self.function.signature, caller.name, found, True)


def turned(word: str) -> str:
    """A word of the same shape that nobody has: every digit, or else letter, is the next one."""
    digits, lower = "0123456789", "abcdefghijklmnopqrstuvwxyz"
    rows = [digits] if any(map(str.isdigit, word)) else [lower, lower.upper()]
    turn = {a: b for row in rows for a, b in zip(row, row[1:] + row[0], strict=True)}
    return word.translate(str.maketrans(turn))


def _told(outcome: Outcome, sent: dict[int, str]) -> tuple[str | None, ...]:
    """What a caller learns, but for what they sent themselves, ids and the time."""
    found = []
    for text in (outcome.message, outcome.detail, outcome.hint, outcome.value):
        for value in sent.values():
            for way in (value, value.upper(), re.sub("[^A-Z0-9]", "", value.upper())):
                text = None if text is None else text.replace(way, "…")
        found.append(None if text is None else TIME.sub("…", masked(text)))
    return (outcome.state, *found)


TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(\+\d\d)?")
