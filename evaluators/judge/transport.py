"""HTTP to a judge: no redirect, no environment, and never more bytes than agreed."""

import os
import ssl
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import aiohttp
import httpx2
from openai import AsyncOpenAI, Omit
from openai._models import FinalRequestOptions
from yarl import URL

from schemas.config import JudgeConfig

_PATH = "/chat/completions"
_CONNECT_S = 5.0
_KEEPALIVE_S = 60.0
_INFLATE_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class ResponseRefused(httpx2.TransportError):
    """A response that is not read to its end: too large, or in an encoding nobody asked for."""


class CappedTransport(httpx2.AsyncBaseTransport):
    """The SDK's requests over aiohttp, each response read here and whole: its size has a bound.

    The SDK's own transport took two thirds of the CPU time of a call (`bench/judge.py`).
    The session is opened by the first request, on its event loop.

    Args:
        config: The judge's section of the config.
    """

    def __init__(self, config: JudgeConfig) -> None:
        self._tls = ssl.create_default_context(cafile=config.ca_file)
        self._proxy = config.proxy
        self._max_bytes = config.max_response_bytes
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=min(_CONNECT_S, config.attempt_s)
        )
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request.

        Raises:
            ResponseRefused: The body is larger than the cap or not readable.
            TransportError: There is no whole answer; `TimeoutException` where it took too long.
        """
        if self._session is None:
            self._session = self._open_session()
        body = await request.aread()
        try:
            async with self._session.request(
                request.method,
                _parsed(str(request.url)),
                headers=request.headers.multi_items(),
                data=body or None,
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                answer = await self._read(response)
        except TimeoutError as error:
            raise httpx2.ReadTimeout(type(error).__name__) from error
        except aiohttp.ClientConnectorError as error:
            raise httpx2.ConnectError(_why(error)) from error
        except aiohttp.ClientError as error:
            raise httpx2.ReadError(type(error).__name__) from error
        # The body is decoded: its encoding and length on the wire say nothing about it any more.
        kept = [
            (name, value)
            for name, value in response.raw_headers
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        return httpx2.Response(response.status, headers=kept, content=answer, request=request)

    def _open_session(self) -> aiohttp.ClientSession:
        # The limiter decides how many are in flight; a pool must never be the queue.
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=_KEEPALIVE_S)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=self._timeout,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        inflate = _inflater(encoding)
        chunks: list[bytes] = []
        size = 0
        async for raw in response.content.iter_any():
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
        if self._session is not None:
            await self._session.close()


class PlainClient(httpx2.AsyncClient):
    """Hands a request to its transport as it is, and the response back as it came.

    It has no redirects, cookies, hooks and credentials to look after, and does not look.
    """

    def __init__(self, transport: CappedTransport) -> None:
        self._capped = transport
        super().__init__(transport=transport, trust_env=False)

    async def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        """Send one request."""
        return await self._capped.handle_async_request(request)


def _why(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, without the address: a proxy's may hold a password."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "the TLS handshake fails"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


@lru_cache(maxsize=64)
def _parsed(url: str) -> URL:
    return URL(url, encoded=True)


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
        self._urls: dict[str, httpx2.URL] = {}
        # With a key, or the SDK makes one for each call; it is a header that is not sent.
        self._completion = FinalRequestOptions.construct(
            method="post", url=_PATH, idempotency_key="none"
        )
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

    async def complete(self, body: bytes) -> httpx2.Response:
        """Send a chat completion that is written down already.

        `post` would make the same options each time anew.
        """
        changed = {"content": body, "headers": trace_headers()}
        return await self.request(httpx2.Response, self._completion.model_copy(update=changed))

    def _build_request(
        self, options: FinalRequestOptions, *, retries_taken: int = 0
    ) -> httpx2.Request:
        """Join base URL, path and query once; each time anew took a fifth of a call's CPU time."""
        url = self._urls.get(options.url)
        if url is None:
            request = super()._build_request(options, retries_taken=retries_taken)
            url = self._urls[options.url] = request.url
        given = options.headers if isinstance(options.headers, Mapping) else {}
        headers = {
            name: value
            for name, value in {**self._own_headers, **given}.items()
            if isinstance(value, str)
        }
        content = options.content if isinstance(options.content, bytes) else b""
        body = httpx2.ByteStream(content)  # and no header of the library's own beside ours
        return httpx2.Request(options.method, url, headers=headers, stream=body)


def open_api(config: JudgeConfig) -> JudgeApi:
    """Build the SDK client for one judge.

    Raises:
        OSError: `ca_file` cannot be read (`ssl.SSLError`, if it holds no certificate).
    """
    return JudgeApi(config, PlainClient(CappedTransport(config)))


def trace_headers() -> Mapping[str, str]:
    """A `traceparent` that is not sampled, so that a tracing gateway drops our calls' spans."""
    token = os.urandom(24).hex()
    return {"traceparent": f"00-{token[:32]}-{token[32:]}-00"}
