"""When to leave an endpoint alone."""

from datetime import UTC, datetime, timedelta

from gateway.delivery.circuit import CLOSED, Circuit, CircuitPolicy, Gate

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)
POLICY = CircuitPolicy(opens_after=3, first_pause=timedelta(seconds=30), longest_pause=timedelta(minutes=5), spread=0.5)


def failed(times: int, circuit: Circuit = CLOSED, now: datetime = NOON) -> Circuit:
    for _ in range(times):
        circuit = POLICY.after_failure(circuit, now=now, jitter=0.0)
    return circuit


def test_a_few_failures_leave_the_circuit_closed() -> None:
    assert failed(2) == Circuit(failures=2)
    assert failed(2).gate(NOON) is Gate.CLOSED


def test_failures_in_a_row_open_it_for_a_time() -> None:
    circuit = failed(3)
    assert circuit.open_until == NOON + timedelta(seconds=30)
    assert circuit.gate(NOON + timedelta(seconds=29)) is Gate.OPEN
    assert circuit.gate(NOON + timedelta(seconds=30)) is Gate.HALF_OPEN


def test_each_probe_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    circuit, pauses = failed(3), []
    for _ in range(6):
        assert circuit.open_until is not None
        now = circuit.open_until
        circuit = failed(1, circuit, now)
        assert circuit.open_until is not None
        pauses.append((circuit.open_until - now).total_seconds())
    assert pauses == [60, 120, 240, 300, 300, 300]


def test_failures_of_attempts_begun_before_it_opened_change_nothing() -> None:
    circuit = failed(3)
    assert failed(5, circuit, NOON + timedelta(seconds=1)) == circuit


def test_a_hundred_thousand_failures_do_not_overflow() -> None:
    circuit = POLICY.after_failure(Circuit(failures=100_000, open_until=NOON), now=NOON, jitter=0.999)
    assert circuit.open_until is not None
    assert circuit.open_until - NOON <= POLICY.longest_pause * 1.5


def test_chance_only_lengthens_a_pause() -> None:
    circuit = POLICY.after_failure(failed(2), now=NOON, jitter=0.5)
    assert circuit.open_until == NOON + timedelta(seconds=37.5)


def test_scaling_shortens_pauses() -> None:
    assert POLICY.scaled(0.1).first_pause == timedelta(seconds=3)
