"""What can go wrong with the local stack, in words a newcomer can act on.

StackError
"""


class StackError(Exception):
    """A failure of the local stack: what happened, why, how to fix it, and a stable code."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", code: str = "stack_failed") -> None:
        super().__init__("\n".join(line for line in (what, why, fix) if line))
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code
