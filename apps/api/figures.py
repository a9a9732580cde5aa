"""What the servers say of themselves to Prometheus, added up over the workers."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers leave their figures for each other; the library reads it when it is imported."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

REQUESTS = Counter("nightmarket_requests", "Requests", ["route", "status"])
TOOK = Histogram("nightmarket_request_seconds", "From the first byte to the last", ["route"], buckets=SECONDS)
ANSWERS = Counter("nightmarket_answers", "Answers by step of the ladder", ["step"])
ANSWER_TOOK = Histogram("nightmarket_answer_seconds", "Computing an answer", ["step"], buckets=SECONDS)
EVENTS = Counter("nightmarket_events", "Events by what became of them", ["outcome"])
LISTS_DROPPED = Gauge("nightmarket_lists_dropped", "Lists that could not be logged", multiprocess_mode="livesum")
WAITING = Gauge("nightmarket_waiting", "Questions in line", multiprocess_mode="livesum")
ROWS_WAITING = Gauge("nightmarket_rows_waiting", "Events in line for the disk", multiprocess_mode="livesum")
LOG_UP = Gauge("nightmarket_log_up", "1 where every worker can write the log", multiprocess_mode="livemin")
BUNDLE_READ = Gauge(
    "nightmarket_bundle_read", "1 where every worker has the newest bundle", multiprocess_mode="livemin"
)
CHAMPION_AGE = Gauge("nightmarket_champion_age_seconds", "Since the champion was made", multiprocess_mode="livemax")
FEATURES_AGE = Gauge("nightmarket_features_age_seconds", "Since the night's data end", multiprocess_mode="livemax")


def text() -> bytes:
    """In Prometheus's own format."""
    if FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
