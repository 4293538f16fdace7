"""Every bucket x every caller x read, insert, move and delete: own paths, others' paths, look-alikes."""

import json

from sql_tests.cast import NOORD, ZUID
from sql_tests.matrix.attempts import OWNER, Ask, Outcome
from sql_tests.matrix.callers import Caller
from sql_tests.matrix.rights import BUCKETS, Rights
from sql_tests.matrix.world import World, literal

# Names that are almost a garage's: they are nobody's.
LOOK_ALIKES = tuple(
    name
    for garage in (NOORD, ZUID)
    for name in (
        f"{garage.upper()}x/a", f" {garage}/a", f"{garage} /a", f"./{garage}/a", f"/{garage}/a",
        f"../{garage}/a", f"{garage}%2fa", f"{garage}\\a", f"{{{garage}}}/a", garage.replace("-", "") + "/a",
        f"x/../{garage}/a", f"{garage}\u2215a",
    )
)  # fmt: skip
OWN = ("{}/matrix.bin", "{}/a/b/c.bin", "{}/", "{}//", "{}")
STORE = "insert into storage.objects (bucket_id, name) values ({bucket}, {name})"
# Where files are to be put, and the customer whose file it is to be; the others are the garage's to put.
PATHS = {
    "work_order_photos": "select garage_id::text as garage, storage_path as path, null as customer"
    " from public.work_order_photos",
    "message_photos": "select p.garage_id::text as garage, p.storage_path as path,"
    " case p.sender when 'customer' then c.customer_id::text end as customer"
    " from public.message_photos p join public.conversations c on c.id = p.conversation_id"
    " where c.closed_at is null",
}
SEE = "select jsonb_agg(name order by name) from storage.objects where bucket_id = {bucket}"
ALL = "select md5(coalesce(string_agg(concat(bucket_id, name), '|' order by bucket_id, name), ''))"
ALL += " from storage.objects"


def run(world: World) -> None:
    """All buckets there are, each with the same names in it."""
    if world.only is not None and "storage.objects" not in world.only:
        return
    world.connection.execute("savepoint files")
    world.connection.execute("select set_config('storage.allow_delete_query', 'true', true)")
    buckets = [row["id"] for row in world.connection.execute("select id from storage.buckets order by id")]
    for bucket in buckets:
        names = [*LOOK_ALIKES, *(own.format(garage) for own in OWN for garage in (NOORD, ZUID))]
        for name in names:
            statement = STORE.format(bucket=literal(bucket), name=literal(name))
            world.connection.execute(statement.encode())
    for bucket in buckets:
        Bucket(world, bucket).run()
    _buckets_themselves(world)
    world.connection.execute("rollback to savepoint files")


class Bucket:
    """One bucket: who may do what with which path in it."""

    def __init__(self, world: World, bucket: str) -> None:
        self.world, self.bucket = world, bucket
        announced = {
            name: world.connection.execute(query.encode()).fetchall() for name, query in PATHS.items()
        }
        self.announced = [place for places in announced.values() for place in places]
        self.places = {place["path"]: place["customer"] for place in announced.get(bucket, [])}
        self.rights = BUCKETS.get(bucket, Rights())
        self.quoted = literal(bucket)
        self.before = self._value(Ask(ALL, is_query=True))
        rows = world.connection.execute("select name from storage.objects where bucket_id = %s", (bucket,))
        self.names = [str(row["name"]) for row in rows]

    def run(self) -> None:
        """All callers."""
        for caller in self.world.callers:
            self._reads(caller)
            self._inserts(caller)
            self._changes(caller)

    def _reads(self, caller: Caller) -> None:
        (found,) = self.world.attempt(caller, [Ask(f"{SEE.format(bucket=self.quoted)}", is_query=True)])
        expected = {name for name in self.names if self._may(caller, "read") and _is_of(name, caller.garage)}
        if caller.role == "service_role":
            expected = set(self.names)
        elif caller.role == "portal" and self.bucket == "invoices":
            expected = set(caller.files)
        self.world.report.tried("storage path", len(self.names))
        if caller.role in ("worker", "edge"):
            if not found.is_denied:
                self._fail(caller, "read", found, True)
            return
        seen = set(json.loads(found.value or "[]")) if found.is_done else {str(found)}
        if seen != expected:
            strange = found.is_done and any(not _is_of(name, caller.garage) for name in seen - expected)
            self._fail(caller, "read", f"{sorted(seen ^ expected)[:4]}", strange)

    def _inserts(self, caller: Caller) -> None:
        """New files: where a row of one's own side says that a photo belongs, and nowhere else."""
        fresh = [(p["garage"], p["path"]) for p in self.announced if p["path"] not in self.names]
        fresh += [(garage, f"{garage}/new.bin") for garage in (NOORD, ZUID)]
        fresh += [("", f"{name}-new") for name in LOOK_ALIKES]
        asks = [Ask(STORE.format(bucket=self.quoted, name=literal(path))) for _, path in fresh]
        controls = self.world.attempt(OWNER, asks)
        for (garage, path), found, control in zip(
            fresh, self.world.attempt(caller, asks), controls, strict=True
        ):
            self.world.report.tried("storage path")
            allowed = caller.role == "service_role" or (
                path in self.places and garage == caller.garage and self._puts(caller, self.places[path])
            )
            if found.is_done != allowed or not (found.is_done or found.is_denied):
                self._fail(caller, f"insert {path}", found, garage != caller.garage)
            if not control.is_done and not control.is_stopped:
                self.world.report.empty("storage path", self.bucket, control)

    def _changes(self, caller: Caller) -> None:
        """Moving and deleting, of everything in the bucket at once."""
        where = f"where bucket_id = {self.quoted}"
        own = sum(1 for name in self.names if _is_of(name, caller.garage))
        for verb, statement, allowed in (
            ("move", f"update storage.objects set name = 'x' || id {where}", 0),
            ("delete", f"delete from storage.objects {where}", own * self._may(caller, "delete")),
        ):
            (found,) = self.world.attempt(caller, [Ask(statement, after=self._others(caller))])
            self.world.report.tried("storage path", len(self.names))
            if caller.role == "service_role":
                continue  # the workers' and operators' key: passes by policies, on purpose
            harmed = (
                found.is_done
                and found.after is not None
                and found.after != self._value(Ask(self._others(caller), is_query=True))
            )
            if harmed or found.touched != allowed:
                self._fail(caller, verb, f"{found}, may touch {allowed}", harmed)
            if not self.world.owner(Ask(statement)).touched:
                self.world.report.empty("storage path", self.bucket, self.world.owner(Ask(statement)))

    def _others(self, caller: Caller) -> str:
        return f"{ALL} where split_part(name, '/', 1) is distinct from {literal(caller.garage)}"

    def _value(self, ask: Ask) -> str | None:
        return self.world.owner(ask).value

    def _may(self, caller: Caller, verb: str) -> bool:
        permission = getattr(self.rights, verb)
        return caller.role == "authenticated" and permission in caller.permissions

    def _puts(self, caller: Caller, customer: str | None) -> bool:
        return caller.customer == customer if customer else self._may(caller, "insert")

    def _fail(self, caller: Caller, verb: str, found: object, crosses: bool) -> None:
        self.world.report.fail(f"storage path, {verb}", self.bucket, caller.name, found, crosses)


def _is_of(name: str, garage: str | None) -> bool:
    return garage is not None and name.split("/")[0] == garage


def _buckets_themselves(world: World) -> None:
    """Nobody opens, makes, renames or removes a bucket, nor sees that there is one."""
    statements = {
        "read": Ask("select count(*)::text from storage.buckets", is_query=True),
        "open": Ask("update storage.buckets set public = true"),
        "make": Ask("insert into storage.buckets (id, name, public) values ('new', 'new', true)"),
    }
    for verb, ask in statements.items():
        control = world.owner(ask)
        if control.value == "0" or not (control.rows and control.is_done):
            world.report.empty("storage path", f"buckets, {verb}", control)
        for caller in world.callers:
            if caller.role == "service_role":
                continue
            (found,) = world.attempt(caller, [ask])
            world.report.tried("storage path")
            if not (found.is_denied or found.value == "0" or _nothing(ask, found)):
                world.report.fail(f"storage path, {verb}", "storage.buckets", caller.name, found, True)


def _nothing(ask: Ask, found: Outcome) -> bool:
    return not ask.is_query and found.is_done and not found.rows
