"""The words that `pyeino loadtest` understands."""

from __future__ import annotations

import argparse

EPILOG = """\
A body is a template: {{n}} is the number of the request from 0, {{suffix}} the same after a space
and nothing for the first, {{worker}} the number of the worker, {{uuid}} a fresh id. Without one,
the native chat routes get {"message": "test message{{suffix}}", "user_id": "test_user"}.

Durations: 30s, 2m, 250ms, or a number of seconds.

exit codes: 0 ok, 1 a threshold was missed or nothing succeeded, 2 wrong usage, 130 interrupted
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add every flag of the load test to `parser`."""
    _add_load(parser)
    _add_requests(parser)
    _add_report(parser)


def _add_load(parser: argparse.ArgumentParser) -> None:
    load = parser.add_argument_group("load")
    load.add_argument(
        "--target",
        default="http://127.0.0.1:8080",
        metavar="URL",
        help="where to; without a path /api/v1/chat (default http://127.0.0.1:8080)",
    )
    load.add_argument(
        "-c",
        "--concurrency",
        type=int,
        default=10,
        metavar="N",
        help="requests under way at once (default 10)",
    )
    load.add_argument(
        "-d", "--duration", default="30s", help="of the measured window (default 30s)"
    )
    load.add_argument(
        "--ramp-up", default="0s", help="time in which the load grows, before the window"
    )
    load.add_argument(
        "--rate",
        type=float,
        metavar="N",
        help="open loop: so many requests a second are due, whatever the server does",
    )
    load.add_argument("--timeout", default="60s", help="of one request (default 60s)")
    load.add_argument(
        "--drain", default="10s", help="for requests to end after the window (default 10s)"
    )


def _add_requests(parser: argparse.ArgumentParser) -> None:
    requests = parser.add_argument_group("requests")
    requests.add_argument("--method", default="POST", help="POST (default), GET, PUT, …")
    requests.add_argument(
        "--body",
        action="append",
        default=[],
        metavar="TEXT|@FILE",
        help="what to send; given again, or a file with one a line: in turn",
    )
    requests.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="NAME: VALUE",
        help="a further header; may be given again",
    )
    requests.add_argument(
        "--api-key",
        default="",
        metavar="KEY",
        help="sent as a bearer token (better: PYEINO_LOADTEST_API_KEY, which ps does not show)",
    )
    requests.add_argument("--ca-file", metavar="FILE", help="certificates to trust, for https")
    requests.add_argument(
        "--insecure", action="store_true", help="take any certificate; for trying out only"
    )
    requests.add_argument(
        "--first-chunk-limit", default="1s", help="goodput: time to a first chunk (default 1s)"
    )
    requests.add_argument(
        "--gap-limit", default="200ms", help="goodput: average time between chunks (200ms)"
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    report = parser.add_argument_group("report")
    report.add_argument("--json", metavar="FILE", help="write the result as JSON; - for stdout")
    report.add_argument("--html", metavar="FILE", help="write a report with plots, one file")
    report.add_argument(
        "--max-error-rate",
        type=float,
        metavar="SHARE",
        help="exit code 1 when more of the requests failed, such as 0.01",
    )
    report.add_argument(
        "--max-p95", metavar="DURATION", help="exit code 1 when the p95 latency is above it"
    )
    report.add_argument("--quiet", action="store_true", help="no progress line")
