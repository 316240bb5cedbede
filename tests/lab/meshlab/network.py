# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's network namespace, and ways into it.

The host's own namespace gets no interface, no firewall rule and no kernel setting. The namespace is made by hand
and not by ``ip netns add``, which would leave a mount on /run/netns behind for good; ``ip netns`` lists it just so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import threading
from pathlib import Path

from meshlab.errors import LabError
from meshlab.settings import NODE_IP, NODE_NETNS

NAMED_NAMESPACES = Path("/run/netns")
NODE_NAMESPACE = NAMED_NAMESPACES / NODE_NETNS
BRIDGE = "meshlab0"

CLONE_NEWNET = 0x40000000
MNT_DETACH = 2

KERNEL_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
"""Settings below /proc/sys, which are those of the node's namespace alone: it routes between its pods."""

libc = ctypes.CDLL(None, use_errno=True)


def create() -> None:
    """Make the node's network namespace: its address, a default route, and forwarding. Needs root."""
    NAMED_NAMESPACES.mkdir(parents=True, exist_ok=True)
    NODE_NAMESPACE.touch()
    checked(["unshare", f"--net={NODE_NAMESPACE}", "true"])
    for arguments in (
        "link set lo up",
        # A bridge without ports, because not every kernel has the dummy link type.
        f"link add {BRIDGE} type bridge",
        f"address add {NODE_IP}/32 dev {BRIDGE}",
        f"link set {BRIDGE} up",
        # connect() to a Service address looks up a route before kube-proxy's rules rewrite the destination.
        f"route add default dev {BRIDGE} src {NODE_IP}",
    ):
        checked(inside(["ip", *arguments.split()]))
    for setting, value in KERNEL_SETTINGS.items():
        checked(inside(["sh", "-c", f"echo {value} > /proc/sys/{setting}"]))


def inside(command: list[str]) -> list[str]:
    """Return the command line that runs *command* in the node's network namespace, in the same process."""
    return ["nsenter", f"--net={NODE_NAMESPACE}", "--", *command]


def checked(command: list[str]) -> str:
    """Run a short command and return its output; raise LabError with its complaint when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise LabError(f"Making the lab's network failed: {' '.join(command)}: {complaint[-1]}")
    return done.stdout


def delete() -> None:
    """Remove the names of the lab's network namespaces, also half-made ones; each goes with its last process."""
    for name in sorted(NAMED_NAMESPACES.glob("meshlab-*")):
        while os.path.ismount(name):
            unmount(name)
        name.unlink()
    # Ours to remove only when nobody else uses it. ``ip netns add`` mounts the folder on itself, which os.path.ismount
    # does not see; the kernel does.
    try:
        NAMED_NAMESPACES.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY):
            raise


def unmount(path: Path) -> None:
    """Detach what is mounted at *path*."""
    if libc.umount2(os.fsencode(path), MNT_DETACH) != 0:
        raise LabError(f"Cannot unmount {path}: {os.strerror(ctypes.get_errno())}.")


def connect(host: str, port: int, timeout: float, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """Return a socket of the node's namespace that is connected to *host*:*port*. Raises OSError.

    A socket stays in the namespace in which it was made. A thread of its own enters the namespace, makes the
    socket and ends, so that the program never leaves the host's namespace.
    """
    outcome: list[socket.socket | OSError] = []

    def enter_and_connect() -> None:
        try:
            with NODE_NAMESPACE.open() as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(NODE_NAMESPACE))
            made = socket.socket(socket.AF_INET, kind)
            made.settimeout(timeout)
            try:
                made.connect((host, port))
            except OSError:
                made.close()
                raise
            outcome.append(made)
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=enter_and_connect)
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, OSError):
        raise result
    return result
