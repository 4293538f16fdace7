import pytest
from pydantic import ValidationError

from workers.__main__ import main
from workers.settings import WorkerSettings

GOOD = {
    "DATABASE_URL": "postgresql://worker:hidden-password@db.test/postgres",
    "SUPABASE_URL": "https://project.supabase.co",
    "SERVICE_ROLE_KEY": "hidden-service-key",
    "SENDGRID_API_KEY": "hidden-sendgrid-key",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(f"AUTEXOR_{name}", value)


def test_production_is_the_default() -> None:
    settings = WorkerSettings.model_validate({})
    assert (settings.environment, settings.expo_url) == ("production", "https://exp.host")


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "http://project.supabase.co"),
        ("SENDGRID_URL", "http://api.sendgrid.com"),
        ("SENDGRID_URL", "https://mail.evil.test"),
        ("EXPO_URL", "http://127.0.0.1:54321/sandbox/expo"),
        ("PORTAL_URL", "http://portal.autexor.be"),
        ("DMS_URL", "http://app.autexor.be"),
    ],
)
def test_plain_http_and_strange_hosts_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"AUTEXOR_{name}", value)
    with pytest.raises(ValidationError):
        WorkerSettings.model_validate({})


def test_the_local_stack_may_use_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTEXOR_ENVIRONMENT", "devstack")
    monkeypatch.setenv("AUTEXOR_SUPABASE_URL", "http://127.0.0.1:54321")
    monkeypatch.setenv("AUTEXOR_EXPO_URL", "http://127.0.0.1:54321/sandbox/expo")
    assert WorkerSettings.model_validate({}).expo_url == "http://127.0.0.1:54321/sandbox/expo"


def test_secrets_do_not_print() -> None:
    settings = WorkerSettings.model_validate({})
    assert settings.service_role_key.get_secret_value() == GOOD["SERVICE_ROLE_KEY"]
    assert "hidden" not in repr(settings) + str(settings.model_dump())


def test_wrong_settings_end_with_misuse_and_say_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTEXOR_SENDGRID_URL", "http://api.sendgrid.com")
    monkeypatch.delenv("AUTEXOR_DATABASE_URL")
    assert main([]) == 2
    told = capsys.readouterr().err
    assert "AUTEXOR_SENDGRID_URL" in told
    assert "AUTEXOR_DATABASE_URL" in told
    assert "hidden" not in told


@pytest.mark.req("S1")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWILIO_URL", "http://api.twilio.com"),
        ("TWILIO_URL", "https://api.twilio.com.evil.test"),
        ("EDGE_URL", "http://project.supabase.co/functions/v1"),
        ("SMTP_CA_FILE", "ca.pem"),
    ],
)
def test_what_only_the_local_stack_may_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    WorkerSettings.model_validate({})
    monkeypatch.setenv(f"AUTEXOR_{name}", value)
    with pytest.raises(ValidationError):
        WorkerSettings.model_validate({})


def test_providers_call_back_at_the_project_itself_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert WorkerSettings.model_validate({}).edge_url == "https://project.supabase.co/functions/v1"
    monkeypatch.setenv("AUTEXOR_EDGE_URL", "https://hooks.autexor.be/")
    assert WorkerSettings.model_validate({}).edge_url == "https://hooks.autexor.be"
