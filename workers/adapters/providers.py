"""Which adapter sends for which account; what it makes, it keeps, so that connections are used again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar
from uuid import UUID

from workers.core.accounts import MailAccount, TwilioAccount
from workers.ports import Mailer, Texter

# A client holds a key and perhaps a connection: those of garages that have not sent for long are let go.
MOST_CLIENTS = 256

AccountT = TypeVar("AccountT", bound=MailAccount | TwilioAccount)
ClientT = TypeVar("ClientT", bound=Mailer | Texter)


class ProviderFactory:
    """Adapters by account; safe in any thread. How to make one is given: adapters do not know each other."""

    def __init__(
        self,
        platform: Mailer,
        make_mailer: Callable[[MailAccount], Mailer],
        make_texter: Callable[[TwilioAccount], Texter],
    ) -> None:
        self._platform = platform
        self._mailers = _Kept(make_mailer)
        self._texters = _Kept(make_texter)

    def mailer(self, account: MailAccount | None) -> Mailer:
        """The mailer of an account; None is the platform's own."""
        return self._platform if account is None else self._mailers.of(account)

    def texter(self, account: TwilioAccount) -> Texter:
        """The texter of an account."""
        return self._texters.of(account)

    def close(self) -> None:
        """Forget every account, and with them their keys and connections."""
        self._mailers.clear()
        self._texters.clear()


class _Kept(Generic[AccountT, ClientT]):
    """The clients used last. An account that changed (another key, host or sender) gets another client.

    One let go is not closed but dropped: another thread may be in the midst of a call with it.
    """

    def __init__(self, make: Callable[[AccountT], ClientT]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._clients: OrderedDict[UUID, tuple[AccountT, ClientT]] = OrderedDict()

    def of(self, account: AccountT) -> ClientT:
        with self._lock:
            known = self._clients.get(account.id)
            if known is None or known[0] != account:
                known = account, self._make(account)
                self._clients[account.id] = known
            self._clients.move_to_end(account.id)
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
            return known[1]

    def clear(self) -> None:
        with self._lock:
            self._clients.clear()
