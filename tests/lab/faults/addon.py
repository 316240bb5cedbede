# SPDX-License-Identifier: GPL-3.0-or-later
"""An addon of mitmproxy (https://docs.mitmproxy.org/stable/addons-overview) that harms the requests it is told to.

It runs in mitmproxy's own Python and imports nothing of ours. What it does is data, sent to itself:

    PUT /faults     harm requests so from now on, and count them from 0; {} harms none
    DELETE /faults  harm none any more, and let go what is held
    GET /faults     {"held": whether an answer is held, "requests": [[method, path with query, body], …],
                     "statuses": [what the server answered to each, 0 where it was not asked or has not answered, …]}

The data has `strikes` (index of the first request that is harmed), `lasting`, `methods`, `spared` (a part of paths
that are never harmed), `writes` (whether to count what stores something and nothing else) and `does`: `answer` with
`status`, `headers` and `body` in place of the server; or, once the server has answered, `reset` the connection,
`truncate` the answer, or `hold` it. A stream is truncated within its first message that says something.
"""

from __future__ import annotations

import asyncio
import json

from mitmproxy import http

HERE = "/faults"
HARM, NUMBER, CUT = "harm", "number", "cut"
# A port-forward begins with a message per channel: the channel, and two bytes for the port's number.
GREETING = 3
REVIEWS = "/authorization.k8s.io/"


class Faults:
    """The state of one proxy."""

    def __init__(self) -> None:
        self.plan: dict = {}
        self.seen: list[list[str]] = []
        self.statuses: list[int] = []
        self.held = False
        self.released = asyncio.Event()

    def request(self, flow: http.HTTPFlow) -> None:
        """Count a request, and answer it where the server is not to be asked."""
        asked = flow.request
        if asked.path == HERE:
            flow.response = http.Response.make(200, self._told(asked), {"Content-Type": "application/json"})
            return
        flow.metadata[NUMBER] = len(self.seen), self.statuses
        self.seen.append([asked.method, asked.path, asked.get_text(strict=False) or ""])
        self.statuses.append(0)
        only_writes = self.plan.get("writes", False)
        counted = [seen for seen in self.seen if _writes(*seen)] if only_writes else self.seen
        if (only_writes and not _writes(*self.seen[-1])) or not self._strikes(len(counted) - 1, asked):
            return
        flow.metadata[HARM] = self.plan["does"]
        if self.plan["does"] == "answer":
            headers = {"Content-Type": "application/json", **self.plan.get("headers", {})}
            flow.response = http.Response.make(self.plan["status"], json.dumps(self.plan["body"]), headers)

    async def response(self, flow: http.HTTPFlow) -> None:
        """Harm an answer on its way back."""
        does = flow.metadata.get(HARM)
        if does != "answer" and NUMBER in flow.metadata:
            number, statuses = flow.metadata[NUMBER]
            statuses[number] = flow.response.status_code
        if does == "reset":
            flow.kill()
        elif does == "truncate":
            content = flow.response.content
            flow.response.content = content[: len(content) // 2]
        elif does == "hold":
            self.held = True
            await self.released.wait()
            self.held = False

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Cut a stream on its way back; nothing but its end follows."""
        message = flow.websocket.messages[-1]
        if flow.metadata.get(HARM) != "truncate" or message.from_client or len(message.content) <= GREETING:
            return
        if flow.metadata.get(CUT):
            message.drop()
        else:
            message.content = message.content[: len(message.content) // 2]
            flow.metadata[CUT] = True

    def _strikes(self, number: int, asked: http.Request) -> bool:
        plan = self.plan
        if not plan or asked.method not in plan["methods"] or (plan["spared"] and plan["spared"] in asked.path):
            return False
        return number == plan["strikes"] or (plan["lasting"] and number > plan["strikes"])

    def _told(self, asked: http.Request) -> str:
        if asked.method == "PUT":
            self.plan, self.seen, self.statuses = json.loads(asked.get_text()), [], []
        elif asked.method == "DELETE":
            self.plan = {}
            self.released.set()
            self.released = asyncio.Event()
        return json.dumps({"held": self.held, "requests": self.seen, "statuses": self.statuses})


def _writes(method: str, path: str, body: str) -> bool:
    """Whether a request stores something: no read, no dry run, no access review."""
    return method != "GET" and REVIEWS not in path and "dryRun" not in path and '"dryRun"' not in body


addons = [Faults()]
