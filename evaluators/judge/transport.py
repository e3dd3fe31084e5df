"""HTTP to a judge: no redirect, no environment, and never more bytes than agreed."""

import os
import ssl
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from openai import AsyncOpenAI, Omit

from schemas.config import JudgeConfig

_CONNECT_S = 5.0
_KEEPALIVE_S = 60.0
_POOL_SIZE = 8
_INFLATE_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class ResponseRefused(httpx2.TransportError):
    """A response that is not read to its end: too large, or in an encoding nobody asked for."""


class CappedTransport(httpx2.AsyncBaseTransport):
    """Read each response here and whole, so that its decoded size has a bound.

    A connection pool looks at all of its connections for each request; with a hundred in one pool
    that was 40 % of the CPU time of a call. So there are several small pools, and a request takes
    the first that is not full.

    Args:
        pools: The transports that talk to the network.
        max_bytes: Size of a decoded body beyond which it is refused.
    """

    def __init__(self, pools: Sequence[httpx2.AsyncBaseTransport], max_bytes: int) -> None:
        self._pools = pools
        self._in_flight = [0] * len(pools)
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request.

        Raises:
            ResponseRefused: The body is larger than the cap or not readable.
        """
        full = enumerate(self._in_flight)
        index = next((i for i, busy in full if busy < _POOL_SIZE), len(self._pools) - 1)
        self._in_flight[index] += 1
        try:
            return await self._send(self._pools[index], request)
        finally:
            self._in_flight[index] -= 1

    async def _send(
        self, pool: httpx2.AsyncBaseTransport, request: httpx2.Request
    ) -> httpx2.Response:
        response = await pool.handle_async_request(request)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        # The body is decoded: its encoding and length on the wire say nothing about it any more.
        kept = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        return httpx2.Response(
            response.status_code, headers=kept, content=body, extensions=response.extensions
        )

    async def _read(self, response: httpx2.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        inflate = _inflater(encoding)
        chunks: list[bytes] = []
        size = 0
        stream = response.stream
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise ResponseRefused("the response cannot be read asynchronously")
        async for raw in stream:
            chunk = raw
            if inflate is not None:
                # One byte more than allowed is enough to know; the rest of a bomb stays packed.
                try:
                    chunk = inflate.decompress(raw, self._max_bytes - size + 1)
                except zlib.error as error:
                    raise ResponseRefused(f"the response is not valid {encoding}") from error
            size += len(chunk)
            if size > self._max_bytes:
                raise ResponseRefused(f"the response is larger than {self._max_bytes} bytes")
            chunks.append(chunk)
        if inflate is not None and not inflate.eof:
            raise ResponseRefused(f"the response ends in the middle of its {encoding}")
        return b"".join(chunks)

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._pools:
            await pool.aclose()


def _inflater(encoding: str) -> "zlib._Decompress | None":
    if encoding in ("", "identity"):
        return None
    window = _INFLATE_WINDOW.get(encoding)
    if window is None:
        raise ResponseRefused("the response is in an encoding that was not asked for")
    return zlib.decompressobj(window)


class JudgeApi(AsyncOpenAI):
    """The SDK with headers of our own only.

    The SDK adds organisation, project, an admin key and free headers from the environment, and a
    description of this machine; none of that is an endpoint's business that the config did not
    send it to.
    """

    def __init__(self, config: JudgeConfig, http_client: httpx2.AsyncClient) -> None:
        key = config.api_key.get_secret_value() if config.api_key else ""
        self._own_headers: dict[str, str | Omit] = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "assay",
            "Authorization": f"Bearer {key}" if key else Omit(),
            **config.headers,
        }
        super().__init__(
            api_key=key,
            base_url=config.base_url,
            max_retries=0,
            default_query=dict(config.query),
            http_client=http_client,
            _enforce_credentials=False,
        )
        # Else the SDK asks a thread for it, for a header that is not sent.
        self._platform = "Unknown"

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        """What the config says, and nothing else."""
        return self._own_headers

    def _validate_headers(self, headers: Any, custom_headers: Any) -> None:
        """Accept a request without a key: many self-hosted endpoints have none."""


def open_api(config: JudgeConfig) -> JudgeApi:
    """Build the SDK client for one judge.

    Raises:
        OSError: `ca_file` cannot be read (`ssl.SSLError`, if it holds no certificate).
    """
    tls = ssl.create_default_context(cafile=config.ca_file)
    # The limiter decides how many are in flight; a pool must never be the queue.
    limits = httpx2.Limits(
        max_connections=None,
        max_keepalive_connections=_POOL_SIZE,
        keepalive_expiry=_KEEPALIVE_S,
    )
    pools = [
        httpx2.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=config.proxy)
        for _ in range(config.max_concurrency // _POOL_SIZE + 1)
    ]
    http_client = httpx2.AsyncClient(
        transport=CappedTransport(pools, config.max_response_bytes),
        follow_redirects=False,
        trust_env=False,
        timeout=httpx2.Timeout(config.attempt_s, connect=min(_CONNECT_S, config.attempt_s)),
    )
    return JudgeApi(config, http_client)


def trace_headers() -> Mapping[str, str]:
    """A `traceparent` that is not sampled, so that a tracing gateway drops our calls' spans."""
    token = os.urandom(24).hex()
    return {"traceparent": f"00-{token[:32]}-{token[32:]}-00"}
