# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which a fix is chosen."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  strategy:
    description:
      - Which fix to take. V(auto) takes the least harmful one that works and for which no consent is missing.
      - V(host_rewrite) lets the proxy send the upstream's own name as Host.
      - V(route_alias) adds a VirtualService that accepts the foreign Host from that proxy alone.
      - V(service_protocol) declares the protocol of the upstream's port so that the Host plays no part.
      - V(destination_rule) corrects a DestinationRule that keeps clients from mTLS.
    type: str
    choices: [auto, host_rewrite, route_alias, service_protocol, destination_rule]
    default: auto
  protocol:
    description: What O(strategy=service_protocol) declares. V(auto) is a value that Istio does not know, so that the
      protocol is detected; V(tcp) takes HTTP away from all clients of the port.
    type: str
    choices: [auto, tcp]
    default: auto
  accept_effects:
    description:
      - Effects that are consented to, by the tokens that C(consent_needed) of a remedy lists.
    type: list
    elements: str
    default: []
  plan_hash:
    description:
      - Hash of the plan that was looked at and approved. The fix is refused if the plan is another one now.
    type: str
  annotate:
    description:
      - Whether O(strategy=service_protocol) with O(protocol=tcp) also writes the annotation
        C(networking.istio.io/service-protocol), which Istio does not read, for tools that look for it.
    type: bool
    default: false
  state:
    description:
      - Whether to cure the path or to take back what the newest run changed.
    type: str
    choices: [applied, reverted]
    default: applied
  rehearse:
    description:
      - Only try the fix on a copy of the proxy, which is set up, asked as the probe asks, and removed again. What the
        path consists of is not written to. Not every fix can be tried so; the refusal says why.
    type: bool
    default: false
  force_live:
    description:
      - Whether to change an object even though an owner such as Helm, Argo CD, Flux or an operator manages it and may
        take the change back. The run's record says so. By default such a fix is refused, and RV(at_owner) says what to
        change there.
    type: bool
    default: false
  soak_seconds:
    description:
      - How many seconds to watch after the changes whether they stay, at most 600; V(0) = not at all. A change that
        someone takes back meanwhile is a failure, which names who that was; the others are taken back then.
      - By default 60 where O(force_live) was needed, else 0.
    type: int
  run:
    description:
      - Name of the run to take back, as RV(run) says. By default the newest one. Only with O(state=reverted).
    type: str
  wait_timeout:
    description: How many seconds the changes may take to come into effect.
    type: int
    default: 120
"""
