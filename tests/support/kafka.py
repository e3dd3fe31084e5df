"""A real Apache Kafka for tests: one broker in KRaft mode, from the jars of Maven Central.

Its jars are copied once into `.cache/kafka` of the repository; from then on no network is needed.
"""

import base64
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.processes import (
    StartFailed,
    Unavailable,
    free_ports,
    last_lines,
    missing,
    spawn,
    stop,
)

_POM = Path(__file__).with_name("kafka-pom.xml")
_CACHE = Path(__file__).parents[2] / ".cache" / "kafka"
_JAVA_NEEDED = 17
_COPY_TIMEOUT_S = 300
_FORMAT_TIMEOUT_S = 60
_READY_TIMEOUT_S = 60
_ADMIN_TIMEOUT_S = 20

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a crash the broker may come back only when its old session has ended; 9 s is the default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# What a killed worker held moves on after 10 s, as under the classic protocol, not after 45 s.
group.consumer.session.timeout.ms=10000
group.consumer.min.session.timeout.ms=10000
"""


def libraries() -> Path:
    """Return the folder with Kafka's jars, after copying them there if this is the first time.

    Raises:
        Unavailable: There is no JDK of version 17, or no Maven, or Maven could not get the jars.
    """
    _require_java()
    # The pom is the name of what is in the cache: another version makes another folder.
    jars = _CACHE / sha256(_POM.read_bytes()).hexdigest()[:16]
    if jars.is_dir():
        return jars
    if missing(["mvn"]):
        raise Unavailable("Maven is not installed, so Kafka cannot be fetched; install `maven`")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        copied = Path(folder) / "jars"
        _copy_jars(copied)
        try:
            copied.rename(jars)  # at once, so that a run that is cut off leaves no half a Kafka
        except OSError:
            if not jars.is_dir():  # another run was faster: its jars are the same
                raise
    return jars


def _require_java() -> None:
    remedy = f"install a JDK of version {_JAVA_NEEDED} (`openjdk-17-jdk-headless`)"
    if missing(["java"]):
        raise Unavailable(f"Java is not installed, so Kafka cannot run; {remedy}")
    answer = subprocess.run(["java", "-version"], capture_output=True, check=False, timeout=30)  # noqa: S607
    found = re.search(rb'version "(\d+)', answer.stderr)
    if found is None or int(found[1]) < _JAVA_NEEDED:
        version = found[1].decode() if found else "unknown"
        raise Unavailable(f"Java {version} is too old for Kafka; {remedy}")


def _copy_jars(target: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_COPY_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"Maven did not get Kafka's jars within {_COPY_TIMEOUT_S} s; is there a network?"
        ) from error
    if done.returncode or not any(target.glob("kafka_*.jar")):
        errors = [line for line in done.stdout.decode(errors="replace").splitlines() if line]
        reason = errors[0] if errors else f"status {done.returncode}"
        raise Unavailable(f"Maven could not get Kafka's jars, is there a network? {reason}")


CLASSIC_ONLY = _PROPERTIES + "group.coordinator.rebalance.protocols=classic\n"
"""A broker that refuses the new group protocol, as older ones do."""


class KafkaServer:
    """One Kafka broker on loopback; a context manager that stops it and deletes its data.

    Attributes:
        bootstrap_servers: `host:port` for any Kafka client; stays the same over restarts.
    """

    def __init__(self, jars: Path, properties: str = _PROPERTIES) -> None:
        """Format the storage and start; returns when the broker answers.

        Args:
            jars: The folder that `libraries` gave.
            properties: Its settings; `{broker}` and `{controller}` stand for ports, `{data}` for a
                folder.

        Raises:
            StartFailed: It was not ready in time; the message has the end of its log.
        """
        self._jars = jars
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="assay-kafka-"))
        self._log = self._folder / "server.log"
        self._properties = self._folder / "server.properties"
        broker, controller = free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{broker}"
        self._properties.write_text(
            properties.format(broker=broker, controller=controller, data=self._folder / "data")
        )
        try:
            self._format()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Start the broker if it is not running; returns when it answers.

        Args:
            timeout_s: How long that may take.

        Raises:
            StartFailed: It was not ready in time; the message has the end of its log.
        """
        if self.is_running:
            return
        self._process = spawn(self._java("kafka.Kafka"), log=self._log)
        _wait_until(self._answers, timeout_s=timeout_s, failed=self._fail)

    def kill(self) -> None:
        """Crash the broker (SIGKILL); `start` brings it back with what it had on disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop the broker cleanly (SIGTERM)."""
        if self._process is not None and self.is_running:
            stop(self._process)

    def restart(self) -> None:
        """Stop the broker cleanly and start it again on the same port with the same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the broker and delete its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_topics(
        self, topics: Mapping[str, int], config: Mapping[str, str] | None = None
    ) -> None:
        """Create topics; returns when each of their partitions has a leader.

        Args:
            topics: Number of partitions by topic name.
            config: Topic configuration, the same for all of them.

        Raises:
            KafkaException: The broker refused, such as for a topic that exists.
        """
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        wanted = [
            NewTopic(name, num_partitions=count, replication_factor=1, config=dict(config or {}))
            for name, count in topics.items()
        ]
        created = admin.create_topics(
            wanted, operation_timeout=_ADMIN_TIMEOUT_S, request_timeout=_ADMIN_TIMEOUT_S
        )
        for future in created.values():
            future.result(timeout=_ADMIN_TIMEOUT_S)

        def have_leaders() -> bool:
            seen = admin.list_topics(timeout=_ADMIN_TIMEOUT_S).topics
            return all(
                name in seen
                and len(seen[name].partitions) == count
                and all(partition.leader >= 0 for partition in seen[name].partitions.values())
                for name, count in topics.items()
            )

        _wait_until(have_leaders, timeout_s=_ADMIN_TIMEOUT_S, failed=self._fail)

    def log_tail(self) -> str:
        """Return the last lines of the broker's log, indented."""
        return last_lines(self._log)

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        option = f"--cluster-id={cluster}"  # with a space, an id that starts with `-` is an option
        command = self._java("kafka.tools.StorageTool", "format", option, "-c")
        done = subprocess.run(command, capture_output=True, check=False, timeout=_FORMAT_TIMEOUT_S)
        if done.returncode:
            raise StartFailed(f"Kafka could not format its storage:\n{done.stderr.decode()}")

    def _java(self, main: str, *arguments: str) -> list[str]:
        options = ["-Xmx512m", "-Dorg.apache.logging.log4j.level=WARN"]
        classpath = ["-cp", str(self._jars / "*")]
        return ["java", *options, *classpath, main, *arguments, str(self._properties)]

    def _answers(self) -> bool:
        if not self.is_running:
            raise self._fail("ended by itself")
        # A new client each time: one that was refused waits longer and longer before it retries.
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            seen = client.list_topics(timeout=1)
        except KafkaException:
            return False
        # After a restart the broker answers before it leads again what it has on disk.
        return bool(seen.brokers) and all(
            partition.leader >= 0
            for topic in seen.topics.values()
            for partition in topic.partitions.values()
        )

    def _fail(self, fault: str) -> StartFailed:
        return StartFailed(f"Kafka {fault}; its last lines:\n{self.log_tail()}")


def _wait_until(
    ready: Callable[[], bool], *, timeout_s: float, failed: Callable[[str], Exception]
) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise failed(f"was not ready within {timeout_s} s")
        time.sleep(0.2)  # noqa: TID251  a test waits for another process, in no event loop
