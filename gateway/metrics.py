"""What the worker counts, for ``/metrics``; labels are bounded: no documents, no agencies."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.model import AgencyCode, Channel, ExaminationKind, Lane, PackageKind


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


class RevocationMeter:
    """Counts what is asked about revocation, and what follows from it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._asked = Counter(
            "gateway_revocation_asked_total", "Questions to authorities", ["kind", "outcome"], registry=registry
        )
        self._rejudged = Counter(
            "gateway_documents_rejudged_total", "Verdicts changed after acceptance", ["standing"], registry=registry
        )

    def asked(self, *, kind: str, outcome: str) -> None:
        """A source was asked: ``new``, ``same``, or the code of the failure."""
        self._asked.labels(kind, outcome).inc()

    def rejudged(self, *, standing: str) -> None:
        """A document's verdict has changed to this standing."""
        self._rejudged.labels(standing).inc()


class ExaminationMeter:
    """Counts what is examined after acceptance."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._examined = Counter(
            "gateway_examined_total",
            "Examinations carried out after acceptance",
            ["kind", "outcome"],
            registry=registry,
        )

    def examined(self, *, kind: ExaminationKind, outcome: str) -> None:
        """One was carried out: the state that it ended in, or ``postponed``."""
        self._examined.labels(kind.value, outcome).inc()
