"""Work bounded and paced: worker pool, rate limiter, single flight, pool of costly things."""

from pyeino.concurrency._bounded_pool import BoundedPool
from pyeino.concurrency._clock import SYSTEM_CLOCK, Clock, SystemClock, Timer
from pyeino.concurrency._errors import ClosedError, JobCancelledError
from pyeino.concurrency._jobs import Job, Result
from pyeino.concurrency._poll import poll
from pyeino.concurrency._rate_limiter import RateLimiter
from pyeino.concurrency._single_flight import SingleFlight, own_error
from pyeino.concurrency._wakeups import Wakeups
from pyeino.concurrency._worker_pool import WorkerPool

__all__ = [
    "SYSTEM_CLOCK",
    "BoundedPool",
    "Clock",
    "ClosedError",
    "Job",
    "JobCancelledError",
    "RateLimiter",
    "Result",
    "SingleFlight",
    "SystemClock",
    "Timer",
    "Wakeups",
    "WorkerPool",
    "own_error",
    "poll",
]
