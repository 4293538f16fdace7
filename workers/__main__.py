"""The composition root: `python -m workers` runs the loop, `python -m workers edge` the HTTP edge."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from workers.core.errors import PortTaken
from workers.core.logs import TEXT_FORMAT, JsonLines, LogFormat
from workers.settings import WorkerSettings

if TYPE_CHECKING:
    from workers.adapters.providers import ProviderFactory
    from workers.core.accounts import MailAccount, TwilioAccount
    from workers.ports import Mailer, Texter


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two programs until SIGTERM or Ctrl-C; 2 when the settings are wrong."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Autexor's background processes.")
    parser.add_argument("program", nargs="?", choices=("loop", "edge"), default="loop")
    try:
        if parser.parse_args(arguments).program == "edge":
            run_edge()
        else:
            run_loop(WorkerSettings.model_validate({}))
    except ValidationError as error:
        problems = (f"AUTEXOR_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        sys.stderr.write("\n".join(["The settings are incomplete or refused.", *problems, ""]))
        return 2
    except PortTaken as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def run_edge() -> None:
    """Serve the edge; imported here, so that workers run without its dependencies."""
    from workers.adapters.pdf import ChildProcessPdf
    from workers.edge.app import main as serve

    pdf = ChildProcessPdf()
    try:
        serve(pdf)
    finally:
        pdf.close()


def run_loop(settings: WorkerSettings) -> None:
    """Build the adapters and run the loop until it is told to stop. Raises PortTaken."""
    from workers.adapters.expo import ExpoPusher
    from workers.adapters.pdf import ChildProcessPdf
    from workers.adapters.postgres import PostgresQueue
    from workers.adapters.prometheus import PrometheusMeter
    from workers.adapters.realtime import RealtimeDoorbell
    from workers.adapters.storage import SupabaseFiles
    from workers.core.values import Sites
    from workers.health import HealthServer
    from workers.loop import Loop
    from workers.ports import Ports

    configure_logging(settings.log_format)
    ignore_proxies()
    service_key = settings.service_role_key.get_secret_value()
    with ExitStack() as opened:
        queue = PostgresQueue(settings.database_url.get_secret_value(), sum(settings.lanes.values()))
        files = SupabaseFiles(settings.supabase_url, service_key)
        pdf = ChildProcessPdf()
        pusher = ExpoPusher(settings.expo_url)
        providers = build_providers(settings)
        for adapter in (queue, pusher, providers, files, pdf):
            opened.callback(adapter.close)
        sites = Sites(settings.portal_url, settings.dms_url, settings.edge_url)
        ports = Ports(files, pdf, providers, pusher, sites)
        meter = PrometheusMeter(queue.metrics, settings.lanes)
        doorbell = RealtimeDoorbell(settings.supabase_url, service_key, meter)
        opened.callback(doorbell.stop)
        loop = Loop(queue, ports, doorbell, settings.poll_seconds, settings.lanes, meter)
        if settings.health_port:
            health = HealthServer(settings.health_bind, settings.health_port, loop.state, meter.expose)
            health.start()
            opened.callback(health.stop)
        stop_on_signal(loop.stop)
        queue.open()
        loop.run()


def build_providers(settings: WorkerSettings) -> ProviderFactory:
    """The mailers and texters of all accounts, and the platform's own mailer."""
    from workers.adapters.providers import ProviderFactory
    from workers.adapters.sendgrid import SendGridMailer
    from workers.adapters.smtp import SmtpMailer
    from workers.adapters.twilio import TwilioTexter
    from workers.core.accounts import SendGridAccount
    from workers.core.hosts import MailHosts

    hosts = MailHosts(is_local=settings.environment == "devstack")

    def mailer(account: MailAccount) -> Mailer:
        if isinstance(account, SendGridAccount):
            return SendGridMailer(account.secret.get_secret_value(), settings.sendgrid_url)
        return SmtpMailer(account, hosts, settings.smtp_ca_file or None)

    def texter(account: TwilioAccount) -> Texter:
        status_url = f"{settings.edge_url}/webhooks/twilio/{account.id}/status"
        token = account.secret.get_secret_value()
        return TwilioTexter(account.account_sid, token, settings.twilio_url, status_url)

    platform = SendGridMailer(settings.sendgrid_api_key.get_secret_value(), settings.sendgrid_url)
    return ProviderFactory(platform, mailer, texter)


def ignore_proxies() -> None:
    """Forget proxies that the environment names: Realtime's client has no option for it, and sends a key."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]


def stop_on_signal(stop: Callable[[], None]) -> None:
    """Call `stop` on the first SIGTERM or Ctrl-C; the second one ends the process at once."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        # On a thread of its own: what the signal interrupted may hold the lock that `stop` needs.
        threading.Thread(target=stop, name="stop").start()

    for each in numbers:
        signal.signal(each, handle)


def configure_logging(log_format: LogFormat = "text") -> None:
    """One line per event; libraries only from WARNING on, as their lower levels print keys and addresses."""
    lines = logging.StreamHandler()
    lines.setFormatter(JsonLines() if log_format == "json" else logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[lines])
    logging.getLogger("workers").setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
