"""The program of an isolated evaluator: started with a socket to us, and killed with all it has."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

from evaluators.contract import Settings
from schemas.errors import ConfigError, PluginError

from .messages import HEAD, MAX_UP_BYTES, BadFrame, Facts, Start, pack_down, unpack_greeting

START_S = 120.0
"""For an evaluator to be built: it may load a large model."""

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from workers.isolation.child import main; main(int(sys.argv[1]))"
)


def spawn() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the program; it waits for a `Start` at its end of the socket.

    A fresh interpreter and no fork: a fork would copy locks that our threads hold. It has a session
    of its own, so that Ctrl-C reaches the worker alone, which still needs it to drain. The kernel
    kills it with the thread that called this: call it from one that lives as long as the worker.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)]
        child = subprocess.Popen(  # noqa: S603  our own interpreter
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return child, ours


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill it, and what the plugin has started in it."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def end(child: subprocess.Popen[bytes]) -> str:
    """Kill it if it lives, and say how it ended. Blocks for as long as the kernel takes.

    A process that has closed its socket by dying has its exit status already; it is not changed.
    """
    kill(child)
    code = child.wait()
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def describe(settings: Settings, memory_bytes: int | None) -> Facts:
    """Build the evaluator in a process, once, for what it declares. Blocks.

    Raises:
        PluginError: It cannot be found, imported or built there.
        ConfigError: Its rubric file is wrong.
    """
    child, link = spawn()
    try:
        link.settimeout(START_S)
        link.sendall(pack_down(Start(settings, memory_bytes)))
        hello = unpack_greeting(_frame(link))
    except (OSError, BadFrame) as error:
        name = settings.name
        raise PluginError(
            f'evaluator "{name}": its process did not start ({start_fault(error, end(child))}); '
            "try it without isolate, and give it more memory_bytes if they are limited",
            evaluator=name,
        ) from error
    finally:
        end(child)
        link.close()
    if isinstance(hello, Facts):
        return hello
    if hello.is_config:
        raise ConfigError(hello.message)
    raise PluginError(hello.message, evaluator=settings.name, distribution=hello.distribution)


def start_fault(error: Exception, how: str) -> str:
    """Why a process did not come up."""
    if isinstance(error, TimeoutError):
        return f"it was not built within {START_S:g} s"
    if isinstance(error, BadFrame):
        return f"it sent what is no message of ours: {error}"
    return f"it ended with {how}"


def _frame(link: socket.socket) -> bytes:
    (length,) = HEAD.unpack(_exactly(link, HEAD.size))
    if length > MAX_UP_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    return _exactly(link, length)


def _exactly(link: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = link.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("it closed the socket")
        parts += part
    return bytes(parts)
