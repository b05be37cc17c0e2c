"""MetricsExport: what one process has measured, to be sent to another and added up there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pyeino.monitoring import _families as families


class ExemplarExport(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One observation: the trace that it was made in, its value, and when, in Unix seconds."""

    trace_id: str
    value: float
    timestamp: float


class SampleExport(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One sample: its whole name, its labels in their order, its value (None: not known).

    `exemplar` is one observation that the sample counts, by which a trace is found.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float | None
    exemplar: ExemplarExport | None = None


class FamilyExport(msgspec.Struct, frozen=True, kw_only=True):
    """One family with its samples; `kind` is counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: tuple[SampleExport, ...]


class MetricsExport(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of all families of one process, or of several that were merged.

    `lookups` are the hits and lookups of each cache in the window of its hit rate; `shared_queues`
    those that all processes look at, whose length must not be added up.
    """

    families: tuple[FamilyExport, ...]
    lookups: dict[str, tuple[float, float]] = {}
    shared_queues: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """As JSON, for a pipe, a socket or a file."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> MetricsExport:
        """What `encode` gave. Raises msgspec.ValidationError for anything else."""
        return msgspec.json.decode(data, type=cls)

    def retired(self) -> MetricsExport:
        """What stays of a process that has ended: counters and histograms, which never go back.

        Merge it with those of the living, or sums would shrink when a worker is replaced.
        """
        kept = tuple(one for one in self.families if one.kind != families.Kind.GAUGE)
        return MetricsExport(families=kept)

    def render(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The body of a scrape and its content type, as `Metrics.render` gives them."""
        from pyeino.monitoring import _series

        return _series.expose_export(self, openmetrics=openmetrics)


def merge_exports(exports: Sequence[MetricsExport]) -> MetricsExport:
    """One snapshot of several processes, each given once.

    Counters and histograms are added up, sample by sample. Gauges too, but for the length of a
    shared queue (the largest) and the hit rate of a cache (all hits by all lookups). A gauge that
    is not known in one process counts where it is. Raises ValueError when a family differs in
    kind or buckets between them, as between two versions.
    """
    merged: dict[str, _Merging] = {}
    shared = {name for export in exports for name in export.shared_queues}
    lookups: dict[str, tuple[float, float]] = {}
    for export in exports:
        for name, (hits, count) in export.lookups.items():
            known = lookups.get(name, (0.0, 0.0))
            lookups[name] = (known[0] + hits, known[1] + count)
        for family in export.families:
            found = merged.get(family.name)
            if found is None:
                found = merged[family.name] = _Merging(family, shared=shared)
            found.add(family)
    return MetricsExport(
        families=tuple(one.result(lookups) for one in merged.values()),
        lookups=lookups,
        shared_queues=tuple(sorted(shared)),
    )


class _Merging:
    """One family while it is added up."""

    def __init__(self, first: FamilyExport, *, shared: set[str]) -> None:
        self._first = first
        self._shared = shared
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float | None] = {}
        self._exemplars: dict[tuple[str, tuple[tuple[str, str], ...]], ExemplarExport] = {}
        self._bounds = _bounds(first)

    def add(self, family: FamilyExport) -> None:
        first, bounds = self._first, _bounds(family)
        if family.kind != first.kind:
            raise ValueError(f"{first.name} is a {first.kind} here and a {family.kind} there")
        if bounds and self._bounds and bounds != self._bounds:
            raise ValueError(f"{first.name} has other buckets in another process")
        self._bounds = self._bounds or bounds
        for sample in family.samples:
            key = (sample.name, sample.labels)
            known, value = self._values.get(key), sample.value
            if known is None or value is None:
                self._values[key] = known if value is None else value
            else:
                self._values[key] = self._rule(sample)((known, value))
            if (exemplar := sample.exemplar) is not None:
                before = self._exemplars.get(key, exemplar)
                self._exemplars[key] = max(before, exemplar, key=lambda one: one.timestamp)

    def _rule(self, sample: SampleExport) -> Callable[[Iterable[float]], float]:
        labels = dict(sample.labels)
        if sample.name == families.QUEUE_LENGTH.name and labels["queue_name"] in self._shared:
            return max
        return sum

    def result(self, lookups: Mapping[str, tuple[float, float]]) -> FamilyExport:
        first = self._first
        return FamilyExport(
            name=first.name,
            kind=first.kind,
            help=first.help,
            samples=tuple(
                SampleExport(
                    name=name,
                    labels=labels,
                    value=self._value(labels, value, lookups),
                    exemplar=self._exemplars.get((name, labels)),
                )
                for (name, labels), value in self._values.items()
            ),
        )

    def _value(
        self,
        labels: tuple[tuple[str, str], ...],
        value: float | None,
        lookups: Mapping[str, tuple[float, float]],
    ) -> float | None:
        if self._first.name != families.CACHE_HIT_RATE.name:
            return value
        window = lookups.get(dict(labels)["cache_type"])
        if window is None:
            return value
        return window[0] / window[1] if window[1] else None


def _bounds(family: FamilyExport) -> frozenset[str]:
    if family.kind != families.Kind.HISTOGRAM:
        return frozenset()
    return frozenset(
        value for sample in family.samples for key, value in sample.labels if key == "le"
    )


def family_export(metric: Any) -> FamilyExport:
    """A Metric of the Prometheus client as a FamilyExport, without its `_created` samples."""
    samples = tuple(
        SampleExport(
            name=sample.name,
            labels=tuple(sample.labels.items()),
            value=None if math.isnan(sample.value) else sample.value,
            exemplar=_exemplar_export(sample.exemplar),
        )
        for sample in metric.samples
        if not sample.name.endswith("_created")
    )
    return FamilyExport(
        name=metric.name, kind=metric.type, help=metric.documentation, samples=samples
    )


def _exemplar_export(exemplar: Any) -> ExemplarExport | None:
    if exemplar is None or exemplar.timestamp is None:
        return None
    return ExemplarExport(
        trace_id=exemplar.labels.get("trace_id", ""),
        value=exemplar.value,
        timestamp=float(exemplar.timestamp),
    )
