"""How often one may write: by address as our own proxy tells it, by mailbox, and everybody together."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from devstack.testing import Database
from sql_tests.steps import change, look, refused
from sql_tests.visitors import at, requests, submit

pytestmark = pytest.mark.req("W4", "S4")

LATER = "update private.rate_limits set window_started_at = window_started_at - interval '61 minutes'"
NETWORKS = {
    "198.51.100.7": "198.51.100.7/32",
    " 198.51.100.7 ": "198.51.100.7/32",
    "198.51.100.7/8": "198.51.100.7/32",
    "::ffff:198.51.100.7": "198.51.100.7/32",
    "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
    "2001:DB8:1:2::": "2001:db8:1:2::/64",
    "": None,
    "unknown": None,
    "198.51.100.7, 10.0.0.1": None,
    "198.51.100.7:443": None,
}


def burst(site: Database, times: int, headers: Mapping[str, str] | None = None, start: int = 0) -> int:
    """Requests of ever other people; how many were taken."""
    taken = 0
    for number in range(start, start + times):
        try:
            submit(site, headers, email=f"visitor-{number}@example.test")
            taken += 1
        except psycopg.Error as error:
            assert (error.sqlstate, error.diag.message_detail) == ("PT429", "too_many_requests")
    return taken


def test_a_burst_from_one_address_is_refused_and_others_pass(site: Database) -> None:
    assert burst(site, 15) == 10
    assert burst(site, 1, at("198.51.100.8"), start=100) == 1
    change(site, LATER)
    assert burst(site, 1, start=200) == 1


def test_parallel_requests_do_not_beat_the_counter(site: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(lambda n: burst(site, 2, start=2 * n), range(12)))
    assert taken == 10 == len(requests(site))


def test_a_forged_header_gives_no_fresh_budget(site: Database) -> None:
    for number in range(10):
        forged = {"x-forwarded-for": f"203.0.113.{number}", "x-real-ip": f"203.0.113.{number}"}
        submit(site, {**at(), **forged}, email=f"visitor-{number}@example.test")
    with refused("too_many_requests", 429):
        submit(site, {**at(), "x-forwarded-for": "203.0.113.99", "forwarded": "for=203.0.113.99"})
    submit(site, at("203.0.113.99"))


def test_what_the_caller_wrote_in_front_of_our_proxys_word_does_not_count(site: Database) -> None:
    change(site, "update website.settings set client_address_header = 'x-forwarded-for'")
    try:
        headers = [{"x-forwarded-for": f"203.0.113.{n}, 198.51.100.7"} for n in range(11)]
        for number, header in enumerate(headers[:10]):
            submit(site, header, email=f"visitor-{number}@example.test")
        with refused("too_many_requests", 429):
            submit(site, headers[10])
        change(site, "update website.settings set client_address_hops = 2")
        submit(site, headers[10])
    finally:
        change(site, "update website.settings set client_address_header = default, client_address_hops = 1")


@pytest.mark.parametrize("headers", [{}, {"cf-connecting-ip": "x"}, {"cf-connecting-ip": ""}])
def test_who_says_nothing_of_their_address_shares_one_budget(site: Database, headers: dict[str, str]) -> None:
    assert burst(site, 6, {}) == 6
    assert burst(site, 6, headers, start=6) == 4


def test_one_line_of_an_ipv6_provider_is_one_address(site: Database) -> None:
    taken = sum(burst(site, 1, at(f"2001:db8:1:2:{n:x}::1"), start=n) for n in range(12))
    assert taken == 10
    assert burst(site, 1, at("2001:db8:1:3::1"), start=50) == 1


@pytest.mark.parametrize("address", NETWORKS)
def test_a_network_is_what_limits_count_by(site: Database, address: str) -> None:
    assert look(site, "select private.network_of(%s)", address) == NETWORKS[address]


def test_one_mailbox_is_written_for_three_times_an_hour_however_it_is_spelled(site: Database) -> None:
    spellings = ["vera.b@gmail.com", "V.E.R.A.B@gmail.com", "verab+news@gmail.com", "verab+x@gmail.com"]
    for number, email in enumerate(spellings[:3]):
        submit(site, at(f"198.51.100.{number}"), email=email, message=str(number))
    with refused("too_many_requests", 429):
        submit(site, at("198.51.100.9"), email=spellings[3], message="nog eens")
    submit(site, at("198.51.100.9"), email="vera.c@gmail.com")


def test_everybody_together_has_a_limit_for_who_has_many_addresses(site: Database) -> None:
    submit(site)
    full = (
        "update private.rate_limits set hits = 300 where key = private.limit_key('website requests', 'all')"
    )
    change(site, full)
    with refused("too_many_requests", 429):
        submit(site, at("203.0.113.1"), email="other@example.test")
    change(site, LATER)
    submit(site, at("203.0.113.1"), email="other@example.test")


def test_a_counter_is_kept_under_a_hash(site: Database) -> None:
    submit(site)
    assert look(site, "select count(*) from private.rate_limits where key !~ '^[0-9a-f]{64}$'") == 0
    assert look(site, "select count(*) from private.rate_limits") == 3
