import signal
import subprocess
import sys
import threading

import pytest

from bmp_astro.core.signals import OrderlyStop

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(autouse=True)
def default_handlers():
    """The handlers of an ordinary program, whatever the test runner has installed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_counts_requests_up_to_two(number):
    told = []
    with OrderlyStop(on_stop=told.append) as stop:
        assert stop.requested == 0
        for _ in range(3):
            signal.raise_signal(number)
    assert stop.requested == 2
    assert told == [1, 2, 2]
    assert stop.signal_name == number.name


def test_different_signals_add_up():
    with OrderlyStop() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert stop.requested == 2


def test_previous_handlers_come_back_also_after_an_error():
    def mine(number, frame):
        raise AssertionError("not reached")

    signal.signal(signal.SIGTERM, mine)
    stop = OrderlyStop()

    def body():
        with stop:
            assert signal.getsignal(signal.SIGTERM) is not mine
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert signal.getsignal(signal.SIGTERM) is mine
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert stop.installed == ()


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with OrderlyStop() as stop:
        assert stop.installed == (signal.SIGTERM,)
        signal.raise_signal(signal.SIGINT)
    assert stop.requested == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_does_nothing_outside_the_main_thread():
    seen = []

    def body():
        with OrderlyStop() as stop:
            seen.append(stop.installed)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [()]


def test_nested_contexts_give_the_outer_one_back():
    with OrderlyStop() as outer:
        with OrderlyStop() as inner:
            signal.raise_signal(signal.SIGINT)
        assert (outer.requested, inner.requested) == (0, 1)
        signal.raise_signal(signal.SIGINT)
    assert outer.requested == 1


def test_a_program_in_the_background_of_a_shell_keeps_sigint_ignored():
    # A shell without job control starts background programs with SIGINT ignored.
    code = (
        "import signal\n"
        "from bmp_astro.core.signals import OrderlyStop\n"
        "with OrderlyStop() as stop:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print(stop.requested, stop.installed)\n"
    )
    command = f"'{sys.executable}' -c '{code}' & wait"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20)
    assert done.stdout.startswith("1 (<Signals.SIGTERM"), done.stderr
