"""A Kafka cluster without Kafka: librdkafka's mock cluster, driven through its C interface.

It listens on real loopback sockets and speaks the real protocol, so that clients, in this or in
another process, cannot tell it from a broker until they ask for what it lacks: it answers no
admin request, `offsets_for_times` gives -1, a topic that a client makes by asking for it has
4 partitions, and of each partition it keeps the last 5 MB or 100,000 records.
See https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h.
"""

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from schemas.errors import AssayError

_POINTER = ctypes.c_void_p
_INT = ctypes.c_int
_INT16 = ctypes.c_int16
_INT32 = ctypes.c_int32
_TEXT = ctypes.c_char_p
_SIZE = ctypes.c_size_t

# Without these, ctypes would pass and return pointers as 32-bit integers.
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "rd_kafka_conf_new": (_POINTER, ()),
    "rd_kafka_conf_set_log_cb": (None, (_POINTER, _POINTER)),
    "rd_kafka_new": (_POINTER, (_INT, _POINTER, _TEXT, _SIZE)),
    "rd_kafka_destroy": (None, (_POINTER,)),
    "rd_kafka_err2name": (_TEXT, (_INT,)),
    "rd_kafka_mock_cluster_new": (_POINTER, (_POINTER, _INT)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, (_POINTER,)),
    "rd_kafka_mock_topic_create": (_INT, (_POINTER, _TEXT, _INT, _INT)),
    "rd_kafka_mock_broker_set_down": (_INT, (_POINTER, _INT32)),
    "rd_kafka_mock_broker_set_up": (_INT, (_POINTER, _INT32)),
    "rd_kafka_mock_broker_set_rtt": (_INT, (_POINTER, _INT32, _INT)),
    "rd_kafka_mock_partition_set_leader": (_INT, (_POINTER, _TEXT, _INT32, _INT32)),
    "rd_kafka_mock_coordinator_set": (_INT, (_POINTER, _TEXT, _TEXT, _INT32)),
    "rd_kafka_mock_push_request_errors_array": (None, (_POINTER, _INT16, _SIZE, _POINTER)),
}
_PRODUCER = 0  # rd_kafka_type_t


class MockCluster:
    """A running mock cluster; a context manager, gone with all its data when left.

    Its methods may be called from any thread, also while clients are connected. Broker ids are
    1 to `brokers`.

    Attributes:
        bootstrap_servers: `host:port` of every broker, comma-separated, for any Kafka client.
    """

    def __init__(self, brokers: int = 1) -> None:
        """Start listening.

        Args:
            brokers: How many brokers; each topic is replicated to all of them.

        Raises:
            AssayError: librdkafka is not there, or would not start.
        """
        self._brokers = brokers
        self._library = _load_library()
        conf = self._library.rd_kafka_conf_new()
        # A broker that a test takes down is no news: librdkafka would say so on stderr.
        self._library.rd_kafka_conf_set_log_cb(conf, None)
        message = ctypes.create_string_buffer(512)
        self._host = self._library.rd_kafka_new(_PRODUCER, conf, message, len(message))
        if not self._host:
            fault = message.value.decode(errors="replace")
            raise AssayError(f"mock cluster: {fault}; check the limit of open files")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._host, brokers)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._host)
            raise AssayError(
                f"mock cluster: {brokers} brokers could not listen on 127.0.0.1; "
                "free some ports or ask for fewer brokers"
            )
        self.bootstrap_servers: str = self._library.rd_kafka_mock_cluster_bootstraps(
            self._cluster
        ).decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; clients see it at their next metadata request.

        Raises:
            AssayError: The topic exists already.
        """
        replicas = self._brokers
        self._call("rd_kafka_mock_topic_create", name.encode(), partitions, replicas)

    def set_down(self, broker: int) -> None:
        """Disconnect the clients of a broker and refuse new connections."""
        self._call("rd_kafka_mock_broker_set_down", broker)

    def set_up(self, broker: int) -> None:
        """Let a broker that was down accept connections again; its records are still there."""
        self._call("rd_kafka_mock_broker_set_up", broker)

    def set_rtt(self, broker: int, ms: int) -> None:
        """Delay each answer of a broker by `ms` milliseconds; 0 ends it."""
        self._call("rd_kafka_mock_broker_set_rtt", broker, ms)

    def set_leader(self, topic: str, partition: int, broker: int) -> None:
        """Move the leadership of a partition; clients learn of it by an error and new metadata."""
        self._call("rd_kafka_mock_partition_set_leader", topic.encode(), partition, broker)

    def set_coordinator(self, group: str, broker: int) -> None:
        """Move the coordinator of a consumer group; its members learn of it by an error."""
        self._call("rd_kafka_mock_coordinator_set", b"group", group.encode(), broker)

    def push_errors(self, api_key: int, *codes: int) -> None:
        """Let the next requests of a kind fail, one error each, then succeed again.

        Args:
            api_key: Kafka's number of the request, such as 0 for Produce, 8 for OffsetCommit
                (https://kafka.apache.org/protocol#protocol_api_keys).
            codes: Error codes as `confluent_kafka.KafkaError` names them.
        """
        errors = (_INT * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._open_cluster(), api_key, len(codes), errors
        )

    def close(self) -> None:
        """Disconnect every client and free the cluster; a second call does nothing."""
        cluster, self._cluster = self._cluster, None
        if cluster:
            self._library.rd_kafka_mock_cluster_destroy(cluster)
            self._library.rd_kafka_destroy(self._host)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open_cluster(self) -> int:
        # A freed pointer would crash the whole process, not raise.
        if not self._cluster:
            raise AssayError("mock cluster: it is closed; use it inside its `with` block")
        return int(self._cluster)

    def _call(self, function: str, *arguments: object) -> None:
        call: Callable[..., int] = getattr(self._library, function)
        if code := call(self._open_cluster(), *arguments):
            what = function.removeprefix("rd_kafka_mock_")
            shown = ", ".join(
                argument.decode() if isinstance(argument, bytes) else str(argument)
                for argument in arguments
            )
            name = self._library.rd_kafka_err2name(code).decode()
            raise AssayError(f"mock cluster: {what}({shown}): {name}; check topic, ids and counts")


def _load_library() -> ctypes.CDLL:
    library = ctypes.CDLL(_library_path())
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def _library_path() -> str:
    """Find the librdkafka that confluent-kafka uses: the one in its wheel, else the system's."""
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise AssayError("mock cluster: confluent-kafka is not installed; reinstall assay")
    package = Path(spec.origin).parent
    # Where the tools that repair wheels put it: auditwheel (Linux), delocate (macOS).
    for folder in (package.with_name("confluent_kafka.libs"), package / ".dylibs"):
        for path in sorted(folder.glob("librdkafka*")):
            return str(path)
    if name := ctypes.util.find_library("rdkafka"):
        return name
    raise AssayError(
        f"mock cluster: no librdkafka beside {package}; install confluent-kafka from its wheel"
    )
