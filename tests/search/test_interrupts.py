"""Where Ctrl-C and SIGTERM are let through."""

from __future__ import annotations

import os
import signal

import pytest

from seglock.search.interrupts import Interrupts


def stop(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_waits_for_the_next_place_that_allows_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as stops:
        stop(number)
        with pytest.raises(KeyboardInterrupt), stops.allow_interrupts():
            pytest.fail("it was not let through")
    assert signal.getsignal(number) is before


def test_what_is_held_back_comes_at_the_end_of_the_block() -> None:
    done: list[str] = []
    with Interrupts() as stops:
        with pytest.raises(KeyboardInterrupt), stops.allow_interrupts():
            with stops.held_back():
                stop()
                done.append("the block")
            done.append("what follows")
        assert done == ["the block"]


def test_an_error_in_the_block_is_not_hidden() -> None:
    with (
        Interrupts() as stops,
        pytest.raises(OSError, match="full"),
        stops.allow_interrupts(),
        stops.held_back(),
    ):
        stop()
        raise OSError("full")


def test_a_block_where_no_stop_is_allowed_lets_none_through() -> None:
    with Interrupts() as stops:
        with stops.held_back():
            stop()
        with pytest.raises(KeyboardInterrupt):
            stops.sleep(60.0)


def test_nothing_is_let_through_while_all_is_put_away() -> None:
    with Interrupts() as stops, stops.allow_interrupts():
        with stops.held_back():
            stop()
            stops.ignore()
        stop()
        stops.sleep(0.0)


def test_a_second_stop_does_not_wait() -> None:
    with Interrupts():
        stop()
        with pytest.raises(KeyboardInterrupt):
            stop()
