# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m faults.owner REMEDY SECONDS``: an owner of the Service takes a fix back so long after it was written.

As Argo CD with self-heal does: by server-side apply, forced, as argocd-controller.
"""

from __future__ import annotations

import sys
import threading
import time
from urllib.parse import urlencode

from meshlab.api import APPLY, Api, Manifest
from meshlab.errors import LabError
from meshlab.settings import folders
from stage.place import NAMESPACE

from faults.victim import Victim

MANAGER = "argocd-controller"
SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus"


class Owner:
    """Keeps the ports of a Service as they are when it is constructed, with some delay."""

    def __init__(self, api: Api, delay: float) -> None:
        self._api, self._delay = api, delay
        self._ports = api.get(SERVICE)["spec"]["ports"]
        self._apply()
        self.reverted = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            if self._api.get(SERVICE)["spec"]["ports"] != self._ports:
                time.sleep(self._delay)
                self._apply()
                self.reverted += 1

    def _apply(self) -> None:
        metadata = {"name": "prometheus", "namespace": NAMESPACE}
        manifest: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
        query = urlencode({"fieldManager": MANAGER, "force": "true"})
        self._api.request("PATCH", f"{SERVICE}?{query}", {**manifest, "spec": {"ports": self._ports}}, APPLY)


def main(remedy: str, delay: float) -> str:
    """Return what the run printed. Raises LabError where it claims to have succeeded, or to have changed nothing."""
    api = Api(folders())
    owner = Owner(api, delay)
    try:
        code, printed = Victim("remediate", {"remedy": remedy, "force_live": True}).end()
    finally:
        owner.stop()
    if not owner.reverted:
        raise LabError(f"The owner had nothing to take back: {printed}")
    if code == 0:
        raise LabError(f"The run claims success, and the owner took the fix back: {printed}")
    if "changed=1 " not in printed:
        raise LabError(f"The run claims to have changed nothing, and the owner took its fix back: {printed}")
    return printed


if __name__ == "__main__":
    try:
        print(main(sys.argv[1], float(sys.argv[2])))
    except LabError as error:
        sys.exit(f"error: {error}")
