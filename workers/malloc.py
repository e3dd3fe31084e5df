"""Settings of the C library's allocator, for a process of several threads and large buffers."""

import ctypes
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Of glibc's `malloc.h`."""
_LARGE_BYTES = 256 * 1024
_ARENAS = 2


def give_back_large_buffers() -> None:
    """Let what is large go back to the system as soon as it is freed.

    By itself glibc raises the size from which a buffer is mapped on its own, up to 32 MB, each time
    one is freed; from then on such buffers come from one of eight heaps a core, which shrink only
    at their ends. A worker whose client unpacks records of 4 MB kept hundreds of MB of them. Other
    C libraries have no such settings and need none.
    """
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        set_option(_M_ARENA_MAX, _ARENAS)
