"""Whose adapter an account gets, and that its key is nowhere to be read."""

import logging
import traceback
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from workers.__main__ import build_providers
from workers.adapters import providers as module
from workers.adapters.memory import MemoryMailer, MemoryTexter
from workers.adapters.providers import ProviderFactory
from workers.adapters.sendgrid import SendGridMailer
from workers.adapters.smtp import SmtpMailer
from workers.adapters.twilio import TwilioTexter
from workers.core.accounts import Account, SendGridAccount, SmtpAccount, TwilioAccount
from workers.core.errors import ProviderError
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail
from workers.ports import TextMessage
from workers.settings import WorkerSettings

if TYPE_CHECKING:
    from conftest import Provider

ACCOUNTS: TypeAdapter[Any] = TypeAdapter(Account)
SECRET = "SG.canary-key"
SENDER = Sender(address="no-reply@autexor.be", name="Garage Noord", reply_to="info@garage-noord.test")


def account(n: int = 1, provider: str = "sendgrid", secret: str = SECRET, **changes: Any) -> Any:
    of_its_kind: dict[str, Any] = {
        "sendgrid": {},
        "smtp": {"host": "mail.example.com", "port": 465, "security": "tls", "username": "x"},
        "twilio": {"account_sid": "AC" + "1" * 32, "sender": "+3231234567"},
    }[provider]
    payload = {"provider": provider, "id": UUID(int=n), "secret": secret, **of_its_kind, **changes}
    return ACCOUNTS.validate_python(payload)


@pytest.fixture
def settings(provider: "Provider") -> WorkerSettings:
    return WorkerSettings.model_validate(
        {
            "environment": "devstack",
            "database_url": "postgresql://worker:x@127.0.0.1/postgres",
            "supabase_url": provider.url,
            "service_role_key": "x",
            "sendgrid_api_key": "SG.canary-platform",
            "sendgrid_url": provider.url,
            "twilio_url": provider.url,
        }
    )


@pytest.mark.req("D10")
def test_each_account_is_served_by_its_provider(settings: WorkerSettings) -> None:
    providers = build_providers(settings)
    assert isinstance(providers.mailer(None), SendGridMailer)
    assert isinstance(providers.mailer(account()), SendGridMailer)
    assert isinstance(providers.mailer(account(2, "smtp")), SmtpMailer)
    assert isinstance(providers.texter(account(3, "twilio")), TwilioTexter)
    assert {type(account(1, name)) for name in ("sendgrid", "smtp", "twilio")} == {
        SendGridAccount,
        SmtpAccount,
        TwilioAccount,
    }


@pytest.mark.req("D10")
def test_one_garages_key_never_sends_anothers_mail(settings: WorkerSettings, provider: "Provider") -> None:
    providers = build_providers(settings)
    provider.answer.status = 202
    keys = [None, account(1, secret="SG.one"), account(2, secret="SG.two"), account(1, secret="SG.new")]
    for each in (*keys, *keys):
        providers.mailer(each).send(
            Mail("x", "y", "z"),
            Recipient(address="carla@example.test", name="Carla"),
            SENDER,
            None,
            UUID(int=9),
        )
    used = [headers["Authorization"].removeprefix("Bearer ") for _, headers, _ in provider.requests]
    assert used == ["SG.canary-platform", "SG.one", "SG.two", "SG.new"] * 2


def factory() -> tuple[ProviderFactory, list[Any]]:
    made: list[Any] = []

    def mailer(each: Any) -> MemoryMailer:
        made.append(each)
        return MemoryMailer()

    def texter(each: Any) -> MemoryTexter:
        made.append(each)
        return MemoryTexter()

    return ProviderFactory(MemoryMailer("platform"), mailer, texter), made


def test_a_client_is_made_once_per_account_and_again_when_the_account_changed() -> None:
    providers, made = factory()
    first = providers.mailer(account())
    assert providers.mailer(account()) is first
    assert providers.mailer(account(secret="SG.new")) is not first
    assert providers.mailer(account()) is not first
    assert len(made) == 3
    assert providers.mailer(None).name == "platform"


def test_only_so_many_keys_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CLIENTS", 3)
    providers, made = factory()
    for n in (1, 2, 3, 1, 4):
        providers.texter(account(n, "twilio"))
    providers.texter(account(1, "twilio"))
    assert len(made) == 4
    providers.texter(account(2, "twilio"))
    assert len(made) == 5


@pytest.mark.req("D10")
def test_keys_are_in_no_log_reason_or_repr(
    settings: WorkerSettings, provider: "Provider", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    providers = build_providers(settings)
    provider.answer.status = 400
    to = Recipient(address="carla@example.test", name="Carla")
    told = [repr(providers), repr(settings)]
    for each in (
        None,
        account(1),
        account(2, "smtp", "canary-password"),
        account(3, "twilio", "canary-token"),
    ):
        try:
            if isinstance(each, TwilioAccount):
                providers.texter(each).send(TextMessage("sms", "+32470123456", "x"), each.sender, UUID(int=9))
            else:
                providers.mailer(each).send(Mail("x", "y", "z"), to, SENDER, None, UUID(int=9))
        except ProviderError as error:
            told += [repr(error), error.reason, *traceback.format_exception(error)]
        told += [repr(each), str(each)]
    assert sum("ProviderRefused" in one for one in told) >= 3
    assert "canary" not in "".join(told) + caplog.text
