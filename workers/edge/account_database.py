"""The SQL functions about a customer's access itself, as `workers.edge.database` has those of sign-in."""

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from workers.edge.database import Answer, Attempt, Calls, Client, Device, Refusal, Session, session_or_refusal
from workers.edge.tokens import PortalClaims

Change = Literal["password_changed", "pin_changed", "email_change_asked", "account_closed"]


class ChangeAttempt(Attempt):
    """A counted confirmation of a change; `login` is whose it is."""

    login: str = ""


class LinkHolder(Answer):
    """Whose link it is."""

    login: str


class AccountDatabase:
    """Activation, recovery, further devices, changes, endings. Methods are named as the functions are."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def take_proof(self, jti_sha256: str) -> bool:
        """Mark a proof as used; False when it was used before."""
        return bool((await self._calls.call("portal_take_proof", {"jti_sha256": jti_sha256}))["is_new"])

    async def rehash(self, attempt: Attempt, *, password_hash: str, pin_hash: str) -> None:
        """Keep the secrets of a good sign-in as hashed anew, unless they changed meanwhile."""
        arguments = {
            "attempt_id": attempt.attempt_id,
            "old_password_hash": attempt.password_hash,
            "password_hash": password_hash,
            "old_pin_hash": attempt.pin_hash,
            "pin_hash": pin_hash,
        }
        await self._calls.call("portal_rehash", arguments)

    async def activation(self, *, token_sha256: str, client: Client) -> LinkHolder | Refusal:
        """Return the login that an invitation's token will give; counted per address."""
        return await self._holder("portal_activation", token_sha256, client)

    async def activate(
        self,
        *,
        token_sha256: str,
        password_hash: str,
        pin_hash: str,
        device: Device,
        label: str | None,
        refresh_token_sha256: str,
        client: Client,
    ) -> Session | Refusal:
        """Accept an invitation, and open the first session."""
        arguments = {
            "token_sha256": token_sha256,
            "password_hash": password_hash,
            "pin_hash": pin_hash,
            "label": label,
            "refresh_token_sha256": refresh_token_sha256,
        }
        answer = await self._calls.call("portal_activate", arguments | asdict(device) | _seen(client))
        return session_or_refusal(answer)

    async def forgot_password(self, *, garage_id: UUID, login: str, client: Client) -> None:
        """Mail a link to set a new password, if this login exists."""
        arguments = {"garage_id": garage_id, "login": login, **_seen(client)}
        await self._calls.call("portal_forgot_password", arguments)

    async def reset(self, *, token_sha256: str, client: Client) -> LinkHolder | Refusal:
        """Return the login whose password a mailed token may set; counted per address."""
        return await self._holder("portal_reset", token_sha256, client)

    async def reset_password(
        self, *, token_sha256: str, password_hash: str, client: Client
    ) -> Refusal | None:
        """Set a forgotten password and end every session."""
        arguments = {"token_sha256": token_sha256, "password_hash": password_hash, **_seen(client)}
        return _refusal(await self._calls.call("portal_reset_password", arguments))

    async def device_ask(self, *, attempt_id: UUID, is_ok: bool, device: Device) -> None:
        """Settle an attempt; mail a code for this installation when the password was right."""
        arguments = {
            "attempt_id": attempt_id,
            "is_ok": is_ok,
            "device_id": device.device_id,
            "fingerprint": device.fingerprint,
        }
        await self._calls.call("portal_device_ask", arguments)

    async def device_finish(
        self,
        *,
        attempt_id: UUID,
        is_ok: bool,
        code_sha256: str,
        device: Device,
        label: str | None,
        pin_hash: str,
        refresh_token_sha256: str,
    ) -> Session | None:
        """Settle an attempt; bind the installation and open a session when code and password were right."""
        arguments = {
            "attempt_id": attempt_id,
            "is_ok": is_ok,
            "code_sha256": code_sha256,
            "device_id": device.device_id,
            "fingerprint": device.fingerprint,
            "label": label,
            "pin_hash": pin_hash,
            "refresh_token_sha256": refresh_token_sha256,
        }
        answer = await self._calls.call("portal_device_finish", arguments)
        return Session.model_validate(answer) if answer else None

    async def confirm_email(self, *, token_sha256: str, client: Client) -> Refusal | None:
        """Make the new address the login."""
        arguments = {"token_sha256": token_sha256, **_seen(client)}
        return _refusal(await self._calls.call("portal_confirm_email", arguments))

    async def change_reserve(
        self, claims: PortalClaims, *, device: Device, client: Client
    ) -> ChangeAttempt | Refusal:
        """Count a confirmation by password and PIN, before anything slow."""
        arguments = _session(claims) | asdict(device) | _seen(client)
        answer = await self._calls.call("portal_change_reserve", arguments)
        return _refusal(answer) or ChangeAttempt.model_validate(answer)

    async def change(
        self, *, attempt_id: UUID, is_ok: bool, change: Change, value: str | None
    ) -> Refusal | None:
        """Settle an attempt and make the change; `value` is the new hash or address."""
        arguments = {"attempt_id": attempt_id, "is_ok": is_ok, "change": change, "value": value}
        return _refusal(await self._calls.call("portal_change", arguments))

    async def end_session(self, claims: PortalClaims, *, ended_id: UUID | None) -> Refusal | None:
        """End a session of the same account, or every one."""
        arguments = _session(claims) | {"ended_id": ended_id}
        return _refusal(await self._calls.call("portal_end_session", arguments))

    async def revoke_device(self, claims: PortalClaims, *, revoked_id: UUID) -> Refusal | None:
        """Put a device of the same account out of use."""
        arguments = _session(claims) | {"revoked_id": revoked_id}
        return _refusal(await self._calls.call("portal_revoke_device", arguments))

    async def _holder(self, function: str, token_sha256: str, client: Client) -> LinkHolder | Refusal:
        arguments = {"token_sha256": token_sha256, "client_ip": client.ip}
        answer = await self._calls.call(function, arguments)
        return _refusal(answer) or LinkHolder.model_validate(answer)


def _session(claims: PortalClaims) -> dict[str, object]:
    return {"session_id": claims.session_id, "account_id": claims.sub, "garage_id": claims.garage_id}


def _seen(client: Client) -> dict[str, object]:
    return {"client_ip": client.ip, "user_agent": client.user_agent}


def _refusal(answer: dict[str, Any]) -> Refusal | None:
    return Refusal.model_validate(answer) if "error" in answer else None
