"""A bridge from a Family to the Prometheus client that keeps recording cheap and bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

from pyeino.errors import MissingDependencyError
from pyeino.monitoring._exports import ExemplarExport, FamilyExport, MetricsExport, family_export
from pyeino.monitoring._families import Family, Kind

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from prometheus_client.metrics_core import Metric
    from prometheus_client.openmetrics import exposition as open_format
    from prometheus_client.registry import Collector
    from prometheus_client.samples import Exemplar
except ImportError as error:
    raise MissingDependencyError("prometheus_client", extra="server") from error

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"


class Child(Protocol):
    """One series; which methods work depends on its kind."""

    def inc(self, amount: float = 1) -> None: ...
    def set(self, value: float) -> None: ...
    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None: ...


class Series(dict[tuple[str, ...], Child]):
    """The series of one family by label values; each is resolved once.

    Beyond `limit` of them, further label values are counted under "other", so that a label fed
    with something unbounded by mistake cannot grow without end.
    """

    def __init__(self, family: Family, registry: CollectorRegistry, *, limit: int) -> None:
        super().__init__()
        self.family = family
        self._limit = limit
        self._metric = _make(family, registry)
        if not family.labels:
            self[()] = self._metric  # type: ignore[assignment]  # used by its kind's methods only

    def __missing__(self, key: tuple[str, ...]) -> Child:
        if len(key) != len(self.family.labels):
            raise ValueError(f"{self.family.name} has labels {self.family.labels}, found {key}")
        if len(self) >= self._limit:
            key = (OTHER,) * len(key)
            if key in self:
                return self[key]
        child: Child = self._metric.labels(*key)  # type: ignore[assignment]  # of the metric's kind
        self[key] = child
        return child


def _make(family: Family, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name, text, labels = family.name, family.help, family.labels
    if family.kind is Kind.COUNTER:
        return Counter(name, text, labels, registry=registry)
    if family.kind is Kind.GAUGE:
        return Gauge(name, text, labels, registry=registry)
    return Histogram(name, text, labels, registry=registry, buckets=family.buckets)


class _WithoutCreated(Collector):
    """The registry without the `_created` series, which the Go client does not have."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Each family with its samples but those."""
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]
            yield metric


def new_registry() -> CollectorRegistry:
    """A registry of our own, apart from the client's global one."""
    return CollectorRegistry(auto_describe=False)


def expose(registry: CollectorRegistry, *, openmetrics: bool) -> tuple[bytes, str]:
    """All series of `registry` and their content type: OpenMetrics 1.0, or the text format 0.0.4.

    Only OpenMetrics has room for exemplars.
    """
    return _written(_WithoutCreated(registry), openmetrics=openmetrics)


def _written(collector: Collector, *, openmetrics: bool) -> tuple[bytes, str]:
    # The client types its writers for a registry, or not at all; they only call its collect().
    source: Any = collector
    if openmetrics:
        writer: Any = open_format
        return writer.generate_latest(source), open_format.CONTENT_TYPE_LATEST
    return generate_latest(source), CONTENT_TYPE


def export(registry: CollectorRegistry) -> tuple[FamilyExport, ...]:
    """Every counter, gauge and histogram of `registry` with its samples."""
    kinds = frozenset(Kind)
    return tuple(family_export(one) for one in registry.collect() if one.type in kinds)


class _Exported(Collector):
    """A MetricsExport in the form that the client renders."""

    def __init__(self, exported: MetricsExport) -> None:
        self._exported = exported

    def collect(self) -> Iterator[Metric]:
        """Each family."""
        for family in self._exported.families:
            metric = Metric(family.name, family.help, family.kind)
            for sample in family.samples:
                value = math.nan if sample.value is None else sample.value
                metric.add_sample(
                    sample.name, dict(sample.labels), value, exemplar=_exemplar(sample.exemplar)
                )
            yield metric


def _exemplar(exported: ExemplarExport | None) -> Exemplar | None:
    if exported is None:
        return None
    return Exemplar({"trace_id": exported.trace_id}, exported.value, exported.timestamp)


def expose_export(exported: MetricsExport, *, openmetrics: bool) -> tuple[bytes, str]:
    """All samples of `exported`, as `expose` writes them."""
    return _written(_Exported(exported), openmetrics=openmetrics)
