"""Run `assay` where nothing but loopback can be reached: `without_network.py FILE ARGUMENT...`.

Each attempt to connect, send or look up a name elsewhere is refused, and written to FILE.
"""

import sys
import traceback
from typing import Any

_LOOPBACK = ("127.0.0.1", "::1", "localhost", "", None)


def refuse_all_but_loopback(path: str) -> None:
    """From here on this process is alone with itself."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            host = address[0] if isinstance(address, tuple) else None  # else a Unix socket
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = arguments[0]
        else:
            return
        if host in _LOOPBACK:
            return
        caller = traceback.extract_stack(limit=12)[0]
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123  no import inside a hook
            file.write(f"{event} {host} ({caller.filename}:{caller.lineno})\n")
        raise ConnectionRefusedError(f"{host}: this test reaches nothing but loopback")

    sys.addaudithook(hook)


if __name__ == "__main__":
    file, *arguments = sys.argv[1:]
    refuse_all_but_loopback(file)
    sys.argv = ["assay", *arguments]
    from assay_cli import main

    main()
