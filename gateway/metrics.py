"""What the worker counts, for ``/metrics``; labels are bounded: no documents, no agencies."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.model import AgencyCode, Channel, Lane, PackageKind


class DeliveryMeter:
    """Counts attempts by channel, lane and outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "gateway_attempts_total", "Delivery attempts", ["channel", "lane", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "gateway_attempt_seconds", "Time that an attempt took", ["channel"], registry=registry
        )
        self._opened = Counter("gateway_circuits_opened_total", "Endpoints left alone for a time", registry=registry)

    def attempted(self, *, channel: Channel, lane: Lane, outcome: str, seconds: float) -> None:
        """One delivery was tried."""
        self._attempts.labels(channel.value, lane.name.lower(), outcome).inc()
        self._seconds.labels(channel.value).observe(seconds)

    def circuit_opened(self, via: AgencyCode) -> None:
        """One endpoint is left alone; which one, the ledger and the log say."""
        del via
        self._opened.inc()


class FetchMeter:
    """Counts what is fetched from axes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._polls = Counter(
            "gateway_axis_polls_total", "Questions to axes for arrivals", ["channel", "outcome"], registry=registry
        )
        self._fetched = Counter(
            "gateway_fetched_total", "Packages fetched from axes", ["channel", "kind", "outcome"], registry=registry
        )

    def polled(self, *, channel: Channel, outcome: str) -> None:
        """An axis was asked: ``answered``, or the code of the failure."""
        self._polls.labels(channel.value, outcome).inc()

    def fetched(self, *, channel: Channel, kind: PackageKind, outcome: str) -> None:
        """A package was ``taken``, a ``duplicate``, or ``not_taken``."""
        self._fetched.labels(channel.value, kind.value, outcome).inc()


class StampMeter:
    """Counts how stamping the event log goes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stamps = Counter(
            "gateway_timestamps_total", "Time-stamps of the event log", ["outcome"], registry=registry
        )

    def stamped(self, outcome: str) -> None:
        """``stamped``, or the code of the failure."""
        self._stamps.labels(outcome).inc()
