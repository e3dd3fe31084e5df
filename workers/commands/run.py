"""`assay run`: one worker, until SIGTERM."""

from collections.abc import Sequence

from schemas.config import Config
from workers import logs
from workers.app import Worker, run_process
from workers.strays import catch_strays

from .common import secrets_of
from .kafka_client import check_client


def run(config: Config, *, lanes: Sequence[str] | None, metrics_port: int | None) -> None:
    """Run a worker; returns after a clean stop.

    Args:
        config: What to run.
        lanes: Names of the lanes to run; None: those that the config needs.
        metrics_port: In the place of the config's, where given.

    Raises:
        ConfigError: The config names what is not there.
        WorkerStopped: The worker had to stop by itself.
    """
    check_client(config)
    if metrics_port is not None:
        metrics = config.metrics.model_copy(update={"port": metrics_port})
        config = config.model_copy(update={"metrics": metrics})
    log = logs.configure(config.logs.format, config.logs.level, secrets=secrets_of(config))
    catch_strays(logs.LibraryHandler(log))
    run_process(Worker(config, log, lanes=lanes))
