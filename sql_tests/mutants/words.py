"""Taking one condition out of SQL text: `where a and b` without a, and without b."""

import re
from collections.abc import Iterator

# A condition ends where one of these begins, at its own depth of brackets.
ENDS = re.compile(
    r"(and|or|then|group by|order by|limit|union|loop|returning|for update|on conflict|left join|join"
    r"|where)\b|;|$",
    re.IGNORECASE,
)
STARTS = re.compile(r"\b(where|and|on(?! conflict))\s", re.IGNORECASE)
QUIET = re.compile(r"'(?:[^']|'')*'|--[^\n]*")


def conjuncts(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of the condition that is gone and the text without it."""
    blank = QUIET.sub(lambda m: "_" * len(m.group()), text)
    for start in STARTS.finditer(blank):
        end = _end(blank, start.end())
        if blank[end : end + 4].lower() == "then":
            continue  # the condition of an `if`, not of a query
        gone = " ".join(text[start.end() : end].split())
        if gone and gone.lower() != "true" and not re.match(r"_+$", blank[start.end() : end].strip()):
            keeps = "" if start.group(1).lower() == "and" else f"{start.group(1)} true "
            yield gone[:120], text[: start.start()] + keeps + text[end:]


def _end(blank: str, begin: int) -> int:
    depth = 0
    for i in range(begin, len(blank)):
        if blank[i] == "(":
            depth += 1
        elif blank[i] == ")":
            depth -= 1
            if depth < 0:
                return i
        elif depth == 0 and (blank[i] == ";" or (not blank[i - 1].isalnum() and _is_end(blank, i))):
            return i
    return len(blank)


def _is_end(blank: str, i: int) -> bool:
    found = ENDS.match(blank, i)
    return bool(found and found.group()) and blank[i - 1] not in "_."
