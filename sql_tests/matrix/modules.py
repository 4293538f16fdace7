"""Every relation with every module off: what the module closes shows nothing, all else shows what it did."""

from sql_tests.matrix.tables import Reads
from sql_tests.matrix.world import World


def run(world: World) -> None:
    """One cell per module, relation, and the people who see most: the owner and a customer."""
    people = [caller for caller in world.callers if caller.name in ("owner", "customer")]
    modules = world.connection.execute("select module, requires from private.modules").fetchall()
    for module in modules:
        whole = module["module"]
        closed = frozenset({whole, *(m["module"] for m in modules if m["requires"] == whole)})
        permissions = {permission for permission, needed in world.module_of.items() if needed in closed}
        world.connection.execute("savepoint modules")
        world.connection.execute("alter table public.garage_modules disable trigger user")
        world.connection.execute(
            "update public.garage_modules set is_enabled = false where module = %s", (whole,)
        )
        for relation in world.relations:
            for caller in people:
                Reads(world, relation).cell(caller.without(permissions), "read with a module off", closed)
        world.connection.execute("rollback to savepoint modules")
