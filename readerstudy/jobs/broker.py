"""TASKS=celery: messages that wake workers. Imported by nothing that runs with TASKS=polling.

A message carries the name of its queue; the body of the task is *claim a row or return*. So a
message that comes twice, too late, or after its job was cancelled does nothing, and one that never
comes is replaced by the sweep. What runs, how often, and who may write is decided by the row's
lease and token alone (`leases`), exactly as with TASKS=polling.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from amqp.exceptions import AMQPError
from celery import Celery, signals
from celery.exceptions import CeleryError
from celery.worker import state
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from kombu import Exchange, Queue
from kombu.exceptions import KombuError, OperationalError

from . import leases
from .models import Job
from .worker import StopRequested, Worker, describe

log = logging.getLogger("readerstudy.worker")
BROKER_ERRORS = (OperationalError, KombuError, AMQPError, CeleryError, OSError)
WAKE = "readerstudy.jobs.wake"
# For an answer of the broker, and for all of them that one message takes.
ANSWER_SECONDS = 3.0
# Those left behind included: a broker that froze within a word holds them until it thaws or dies.
AT_ONCE = 8
# A sweep sends no more than this for one queue: the next one goes on.
SWEEP_AT_MOST = 500

EXCHANGE = Exchange("readerstudy", type="direct", durable=True)
QUEUES = {name: Queue(name, EXCHANGE, routing_key=name, durable=True) for name in Job.Queue.values}


def _encryption() -> dict[str, Any] | bool:
    """How the broker proves who it is, where its address asks for TLS: by a certificate for the
    name in the address. Left to themselves the libraries take any certificate (rediss), or any of
    an authority that they know, whatever its name (amqps)."""
    address = urlsplit(settings.BROKER_URL)
    authorities = settings.BROKER_CA_FILE or None  # none: those of the system
    if address.scheme == "amqps":
        return {
            "cert_reqs": ssl.CERT_REQUIRED,
            "ca_certs": authorities,
            "server_hostname": address.hostname,
        }
    if address.scheme == "rediss":
        return {
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            "ssl_ca_certs": authorities,
            "ssl_check_hostname": True,
        }
    return False


def _application() -> Celery:
    app = Celery("readerstudy", broker=settings.BROKER_URL, set_as_current=False)
    app.conf.update(
        broker_use_ssl=_encryption(),
        task_queues=list(QUEUES.values()),
        task_default_queue=Job.Queue.CPU,
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # Whoever can write to the broker can wake workers, and nothing more.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # A job runs in the consumer's own thread: heartbeats would stop during each job.
        broker_heartbeat=0,
        broker_connection_timeout=2.0,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    if str(settings.BROKER_URL).startswith("redis"):
        app.conf.broker_transport_options = {
            "socket_timeout": 5.0,
            "socket_connect_timeout": 2.0,
            "socket_keepalive": True,
            # A message of a killed worker comes again after this; the lease has long spoken.
            "visibility_timeout": 3600,
        }
    return app


def _sender() -> Celery:
    """The same for sending and counting alone: who consumes has to wait, messages come or not."""
    app = _application()
    if "amqp" in str(settings.BROKER_URL).split(":")[0]:
        app.conf.broker_transport_options = {
            "read_timeout": ANSWER_SECONDS,
            "write_timeout": ANSWER_SECONDS,
        }
    return app


app = _application()
sender = _sender()
_worker: Worker | None = None
_asking = threading.BoundedSemaphore(AT_ONCE)
T = TypeVar("T")


@app.task(name=WAKE, bind=False)
def wake(queue: str) -> None:
    """Claim the oldest runnable job of the queue and run it, or return if there is none."""
    global _worker
    if queue not in QUEUES:
        return
    if _worker is None:
        _worker = Worker((queue,))
    try:
        _worker.run_one((queue,))
    except StopRequested:
        log.info("stopping")  # the job was handed back; Celery ends after this message
    except DatabaseError as error:
        log.error("database not usable, trying again: %s", describe(error))
        connection.close()


def _in_time(work: Callable[[Callable[[T], None]], None]) -> T:
    """Run `work` until it tells an answer, in a thread that is left behind if that takes too long.

    Opening, asking and closing each wait for the broker: a limit for each would add up, and one
    that froze after its greeting would hold a page, the sweep or `/ready` for all of them.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            work(answer.set_result)
        except Exception as error:  # noqa: BLE001 - handed on
            if not answer.done():
                answer.set_exception(error)
        finally:
            _asking.release()

    if not _asking.acquire(blocking=False):
        raise OperationalError(f"{AT_ONCE} others wait for the broker already")
    threading.Thread(target=run, name="broker", daemon=True).start()
    return answer.result(ANSWER_SECONDS)


def kind_of(error: BaseException) -> str:
    """One of BROKER_ERRORS for a log, with what led to it, down to the system's own: a certificate
    that is refused is to be seen. Without its message, which may quote the address's password."""
    names, seen = [type(error).__name__], error
    while not isinstance(seen, OSError) and (cause := seen.__cause__ or seen.__context__):
        names.append(type(cause).__name__)
        seen = cause
    return " of ".join(dict.fromkeys(names))


def send_wakeup(queue: str) -> None:
    """Send one message. Raises one of BROKER_ERRORS if the broker does not take it in time."""

    def send(tell: Callable[[None], None]) -> None:
        sender.send_task(
            WAKE,
            args=(queue,),
            queue=queue,
            retry=True,  # once and at once: a pooled connection may have died unnoticed
            retry_policy={
                "max_retries": 1,
                "interval_start": 0,
                "interval_step": 0,
                "interval_max": 0,
            },
        )
        tell(None)

    _in_time(send)


def depths() -> dict[str, int]:
    """Messages that wait in each queue. Raises one of BROKER_ERRORS."""

    def count(tell: Callable[[dict[str, int]], None]) -> None:
        found = {}
        with sender.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            with broker.channel() as channel:
                for name, queue in QUEUES.items():
                    queue(channel).declare()  # a broker that lost its disk has none
                    counted = channel.queue_declare(
                        queue=name, durable=True, exclusive=False, auto_delete=False
                    )
                    found[name] = int(counted.message_count)
                tell(found)  # before the goodbyes, which are answered too

    return _in_time(count)


def sweep() -> int:
    """Send a message for each runnable row that has none waiting. How many were sent.

    Rows whose worker died, whose retry is due, or whose message was lost are found here. Counting
    suffices: a message is not meant for one row. Safe on many workers at once.
    """
    runnable = {name: leases.count_runnable(name) for name in QUEUES}
    if not any(runnable.values()):
        return 0
    waiting = depths()
    sent = 0
    for name, count in runnable.items():
        for _ in range(min(SWEEP_AT_MOST, count - waiting[name])):
            send_wakeup(name)
            sent += 1
    return sent


def consume(worker: Worker) -> None:
    """Run jobs as messages come, until SIGTERM. One process, one job at a time."""
    global _worker
    _worker = worker
    signals.setup_logging.connect(_keep_logging)
    signals.worker_ready.connect(_listen)
    signals.task_prerun.connect(_begin)
    celery_worker = app.Worker(
        hostname=f"{os.getpid()}@{socket.gethostname()}",
        pool="solo",
        concurrency=1,
        queues=list(worker.queues),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        task_events=False,
        optimization="fair",
        quiet=True,
    )
    celery_worker.start()
    log.info("worker stopped")


def _keep_logging(**_: Any) -> None:
    """A receiver here tells Celery to leave the platform's logging as it is."""


def _begin(**_: Any) -> None:
    close_old_connections()  # one that died while the worker waited


def _listen(**_: Any) -> None:
    """On a signal hand the job in hand back, then let Celery end."""
    worker = _worker
    if worker is None:
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        state.should_stop = 0  # what Celery's own handler does
        worker.on_signal(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    log.info("worker started for %s", " and ".join(worker.queues))
