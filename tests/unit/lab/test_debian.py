# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the host must have."""

from __future__ import annotations

import pytest
from meshlab import debian
from meshlab.errors import LabError


def without(*missing: str):
    return lambda program: None if program in missing else f"/usr/bin/{program}"


def test_nothing_is_done_when_nothing_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(debian, "apt_get", lambda *_: pytest.fail("apt-get was called"))
    debian.ensure_host_programs(without())


@pytest.mark.parametrize(("user", "missing"), [(1000, ("ip", "iptables")), (0, ("ip", "iptables", "apt-get"))])
def test_one_error_names_all_that_is_missing(monkeypatch, user: int, missing: tuple[str, ...]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    with pytest.raises(LabError, match=r"Missing programs: ip, iptables; .*packages: iproute2, iptables\)"):
        debian.ensure_host_programs(without(*missing))


def test_the_package_lists_are_renewed_when_the_first_try_fails(monkeypatch, capsys) -> None:
    calls = []

    def apt_get(arguments):
        calls.append(list(arguments))
        return "Unable to locate package" if len(calls) == 1 else None

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(debian, "apt_get", apt_get)
    debian.ensure_host_programs(without("iptables", "iptables-save"))
    assert [call[0] for call in calls] == ["install", "update", "install"]
    assert calls[0][-1:] == ["iptables"]
    assert "installing iptables" in capsys.readouterr().out


def test_what_apt_says_reaches_the_user(monkeypatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(debian, "apt_get", lambda _arguments: "E: no network")
    with pytest.raises(LabError, match="Missing programs: curl; apt-get could not install them: E: no network"):
        debian.ensure_host_programs(without("curl"))


@pytest.mark.parametrize(("text", "last"), [("a\nb\n\n", "b"), ("", "no reason given")])
def test_last_line(text: str, last: str) -> None:
    assert debian.last_line(text) == last
