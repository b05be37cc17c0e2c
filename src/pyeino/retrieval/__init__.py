"""Finding passages: ingestion, keyword and vector search, their fusion, and citations."""

from pyeino.retrieval._calibration import CALIBRATIONS, Calibration
from pyeino.retrieval._citations import Citation, PackedPassages, cite, pack_passages
from pyeino.retrieval._document_writer import DocumentWriter
from pyeino.retrieval._files import PLAIN_PARSERS, FileLoader
from pyeino.retrieval._fusion import Fusion
from pyeino.retrieval._hybrid import CalibratedRetriever, HybridRetriever, HybridRetrieverConfig
from pyeino.retrieval._ingest import Ingestor
from pyeino.retrieval._ingest_queued import QueuedIngestor
from pyeino.retrieval._ingest_report import IngestProgress, IngestReport
from pyeino.retrieval._ingest_worker import INGEST_QUEUE, IngestJob, IngestOutcome, IngestWorker
from pyeino.retrieval._legs import DEFAULT_INDEX, KeywordRetriever, VectorRetriever
from pyeino.retrieval._marks import LegScore, degraded_legs, leg_scores, similarity_of
from pyeino.retrieval._parsers import MarkdownParser
from pyeino.retrieval._query_vectors import QueryVectors
from pyeino.retrieval._splitter import HeadingSplitter, TokenCounter, estimate_tokens

__all__ = [
    "CALIBRATIONS",
    "DEFAULT_INDEX",
    "INGEST_QUEUE",
    "PLAIN_PARSERS",
    "CalibratedRetriever",
    "Calibration",
    "Citation",
    "DocumentWriter",
    "FileLoader",
    "Fusion",
    "HeadingSplitter",
    "HybridRetriever",
    "HybridRetrieverConfig",
    "IngestJob",
    "IngestOutcome",
    "IngestProgress",
    "IngestReport",
    "IngestWorker",
    "Ingestor",
    "KeywordRetriever",
    "LegScore",
    "MarkdownParser",
    "PackedPassages",
    "QueryVectors",
    "QueuedIngestor",
    "TokenCounter",
    "VectorRetriever",
    "cite",
    "degraded_legs",
    "estimate_tokens",
    "leg_scores",
    "pack_passages",
    "similarity_of",
]
