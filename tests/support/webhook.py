"""A receiver of Alertmanager's webhooks, on 127.0.0.1."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert of a notification, and when it came.

    Attributes:
        alert: As Alertmanager sends it: status, labels, annotations, startsAt, generatorURL.
        receiver: The receiver of Alertmanager's configuration that it went to.
        time_s: Unix seconds.
    """

    alert: dict[str, Any]
    receiver: str
    time_s: float

    @property
    def labels(self) -> dict[str, str]:
        """The alert's labels."""
        labels: dict[str, str] = self.alert["labels"]
        return labels


class Webhook:
    """Keeps what Alertmanager sends; a context manager.

    Attributes:
        url: The address to configure.
        notices: Every alert of every notification, in the order of their arrival.
    """

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        notices = self.notices

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now = time.time()
                notices.extend(Notice(alert, body["receiver"], now) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def firing(self, name: str, **labels: str) -> list[Notice]:
        """The notices that an alert fires, where its labels have these values."""
        wanted = {"alertname": name, **labels}.items()
        return [
            notice
            for notice in list(self.notices)
            if notice.alert["status"] == "firing" and wanted <= notice.labels.items()
        ]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
