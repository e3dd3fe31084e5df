"""Start and end the programs that tests run beside themselves; nothing outlives the test run."""

import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_FIRST_PORT, _LAST_PORT = 15_000, 32_000


class Unavailable(RuntimeError):  # noqa: N818  a state of this machine, not of the code
    """This machine lacks a program that a test needs; the message says which and how to get it."""


class StartFailed(RuntimeError):  # noqa: N818  named for what happened
    """A program ended early or was not ready in time; the message has its last lines."""


def free_ports(count: int) -> list[int]:
    """Choose free ports of 127.0.0.1, all different.

    They lie below the range that the kernel gives to outgoing connections: a program that is
    restarted finds its port still free, and a client that tries a port where nobody listens
    cannot be connected to itself.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def spawn(
    command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program whose output is appended to `log`, and that dies with us.

    A test run that is killed cannot clean up; on Linux the kernel then ends what it started.
    """
    setpriv = shutil.which("setpriv")
    wrapper = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    with log.open("ab") as output:
        return subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
        )


def stop(process: subprocess.Popen[bytes], *, timeout_s: float = 15) -> int:
    """End a program by SIGTERM, after `timeout_s` by SIGKILL; returns its exit status."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(timeout_s)


def last_lines(log: Path, count: int = 30) -> str:
    """Return the end of a log, indented, for the message of a failed test."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {line}" for line in lines[-count:])


def missing(programs: Iterable[str]) -> list[str]:
    """Return those of the programs that are not on the PATH."""
    return [program for program in programs if shutil.which(program) is None]
