"""Outcomes to an OTLP/HTTP endpoint: as log records to `/v1/logs`, as spans to `/v1/traces`."""

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpx2
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_fixed,
)

from schemas.config import OtlpOutputConfig
from schemas.errors import AssayError, ConfigError
from schemas.events import OutcomesExported, Output, OutputResult
from schemas.outcome import Outcome

from .evaluation_result import logs_request, traces_request

_ATTEMPTS = 2
_AGAIN_AFTER_S = 1.0
_CONNECT_S = 2.0
_SILENCE_S = 5.0
_ANSWER_S = 5.0
_ANSWER_BYTES = 65_536
_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""The only answers that OTLP/HTTP lets be tried again."""


class NotTaken(AssayError):  # noqa: N818  named for what became of the request
    """The endpoint did not take a request.

    Attributes:
        may_retry: Whether it might take it another time.
    """

    def __init__(self, message: str, *, may_retry: bool) -> None:
        super().__init__(message)
        self.may_retry = may_retry


@dataclass(frozen=True, slots=True)
class Signal:
    """One of OTLP's signals: where it goes, and how it and the answer to it are written."""

    output: Output
    path: str
    encode: Callable[[Sequence[Outcome]], bytes]
    rejected: Callable[[bytes], tuple[int, str]]
    """Of an answer: how many of the request's items were not taken after all, and why."""


def _rejected_logs(answer: bytes) -> tuple[int, str]:
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    return partial.rejected_log_records, partial.error_message


def _rejected_spans(answer: bytes) -> tuple[int, str]:
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    return partial.rejected_spans, partial.error_message


SIGNALS = {
    "log": Signal(Output.OTLP_LOG, "/v1/logs", logs_request, _rejected_logs),
    "span": Signal(Output.OTLP_SPAN, "/v1/traces", traces_request, _rejected_spans),
}
"""By their names in `outputs.otlp.as`."""


class OtlpEndpoint:
    """An `Exporter` of one signal. No redirect, no proxy of the environment, one retry.

    Args:
        config: Where to.
        signal: As what.
        again_after_s: When a request is sent again that may be.
        silence_s: How long the endpoint may say nothing.

    Raises:
        ConfigError: `outputs.otlp.endpoint` is no address.
    """

    def __init__(
        self,
        config: OtlpOutputConfig,
        signal: Signal,
        *,
        again_after_s: float = _AGAIN_AFTER_S,
        silence_s: float = _SILENCE_S,
    ) -> None:
        self._signal = signal
        self._again_after_s = again_after_s
        try:
            self._url = httpx2.URL(config.endpoint.rstrip("/") + signal.path)
        except httpx2.InvalidURL as error:
            raise ConfigError(
                f"outputs.otlp.endpoint is no address ({error}); "
                "write it like http://127.0.0.1:4318",
                key="outputs.otlp.endpoint",
            ) from error
        self._client = httpx2.Client(
            headers={
                "Accept-Encoding": "identity",
                "User-Agent": "assay",
                **config.headers,
                "Content-Type": "application/x-protobuf",
            },
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),  # the system's authorities, as for judges
            timeout=httpx2.Timeout(silence_s, connect=min(_CONNECT_S, silence_s)),
        )

    @property
    def output(self) -> Output:
        """What it is called in metrics and logs."""
        return self._signal.output

    def export(
        self, outcomes: Sequence[Outcome], closing: threading.Event
    ) -> Iterable[OutcomesExported]:
        """Send outcomes in one request."""
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS) | stop_when_event_set(closing),
            wait=wait_fixed(self._again_after_s),
            retry=retry_if_exception(lambda error: isinstance(error, NotTaken) and error.may_retry),
            sleep=sleep_using_event(closing),
            reraise=True,
        )
        try:
            answer = attempts(self._post, self._signal.encode(outcomes))
        except NotTaken as error:
            return [self._ended(OutputResult.FAILED, len(outcomes), str(error))]
        return self._taken(outcomes, answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _taken(self, outcomes: Sequence[Outcome], answer: bytes) -> list[OutcomesExported]:
        try:
            rejected, why = self._signal.rejected(answer)
        except DecodeError:  # JSON, or whatever a gateway says
            rejected, why = 0, ""
        rejected = min(max(0, rejected), len(outcomes))
        ended = []
        if sent := len(outcomes) - rejected:
            ended.append(self._ended(OutputResult.SENT, sent))
        if rejected:
            ended.append(self._ended(OutputResult.REJECTED, rejected, why[:200]))
        return ended

    def _post(self, body: bytes) -> bytes:
        """Send one request; the answer to it.

        Raises:
            NotTaken: The endpoint cannot be reached, or says anything else than yes.
        """
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                if response.is_success:
                    return _read(response)
        except httpx2.TransportError as error:
            raise NotTaken(str(error) or type(error).__name__, may_retry=True) from error
        hint = " (redirects are not followed)" if response.has_redirect_location else ""
        raise NotTaken(
            f"{self._signal.path} answers {response.status_code}{hint}",
            may_retry=response.status_code in _AGAIN,
        )

    def _ended(self, result: OutputResult, count: int, error: str = "") -> OutcomesExported:
        return OutcomesExported(self.output, result, count, error)


def _read(response: httpx2.Response) -> bytes:
    """The body of an answer, or nothing where it is too long or too slow: it has been taken."""
    until = time.monotonic() + _ANSWER_S
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > _ANSWER_BYTES or time.monotonic() > until:
            return b""
    return body
