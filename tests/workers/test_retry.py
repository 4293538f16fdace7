from workers.core.retry import LONGEST_DELAY, LONGEST_RETRY_AFTER, backoff, retry_after_seconds


def test_delays_double_up_to_a_quarter_of_an_hour() -> None:
    assert [backoff(n, jitter=lambda: 1.0) for n in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert backoff(1000, jitter=lambda: 1.0) == LONGEST_DELAY


def test_delays_are_spread_so_that_workers_do_not_return_together() -> None:
    assert backoff(4, jitter=lambda: 0.0) == 20


def test_a_longer_retry_after_is_honoured_but_not_forever() -> None:
    assert backoff(1, retry_after=120) == 120
    assert backoff(1, retry_after=10**9) == LONGEST_RETRY_AFTER


def test_only_the_seconds_form_of_retry_after_counts() -> None:
    texts = ["30", " 7 ", "Wed, 21 Oct 2026 07:28:00 GMT", "", "-1", None]
    assert [retry_after_seconds(text) for text in texts] == [30, 7, None, None, None, None]
