# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the lab's processes again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from meshlab import processes
from meshlab.settings import Folders


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen]:
    """A process with a mark of the lab in its environment."""
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    with subprocess.Popen(command, env={processes.POD_MARK: "uid"}, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def write_pid(folders: Folders, text: str) -> None:
    path = processes.pid_file("x", folders)
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_a_marked_process_is_found(sleeper: subprocess.Popen) -> None:
    assert processes.is_marked(sleeper.pid)
    assert sleeper.pid in processes.of_the_lab()


def test_an_unmarked_process_is_not_found() -> None:
    assert not processes.is_marked(os.getpid())
    assert os.getpid() not in processes.of_the_lab()


def test_a_daemon_is_known_by_number_and_start_time(lab_folders: Folders, sleeper: subprocess.Popen) -> None:
    started = processes.start_time(sleeper.pid)
    write_pid(lab_folders, f"{sleeper.pid} {started}\n")
    assert processes.running("x", lab_folders) == sleeper.pid


def test_a_recycled_number_is_not_the_daemon(lab_folders: Folders, sleeper: subprocess.Popen) -> None:
    started = processes.start_time(sleeper.pid)
    write_pid(lab_folders, f"{sleeper.pid} {started - 1}\n")
    assert processes.running("x", lab_folders) is None


@pytest.mark.parametrize("text", ["", "7", "seven 8"])
def test_a_half_written_pid_file_is_no_daemon(lab_folders: Folders, text: str) -> None:
    write_pid(lab_folders, text)
    assert processes.running("x", lab_folders) is None


def test_no_pid_file_is_no_daemon(lab_folders: Folders) -> None:
    assert processes.running("x", lab_folders) is None


def test_a_zombie_does_not_run(sleeper: subprocess.Popen) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert processes.start_time(sleeper.pid) is None
    assert sleeper.pid not in processes.of_the_lab()


def test_names_with_spaces_and_brackets_do_not_confuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path)
    (tmp_path / "7").mkdir()
    fields = ["S", *map(str, range(4, 53))]
    (tmp_path / "7" / "stat").write_text(f"7 (a) Z (b) {' '.join(fields)}\n")
    assert processes.start_time(7) == 22


def test_a_daemon_gets_little_of_the_callers_environment() -> None:
    given = {"PATH": "/bin", "SECRET": "x", "KUBECONFIG": "/somewhere"}
    assert processes.daemon_environment(given) == {"PATH": "/bin", "MESHLAB_NODE": "1"}


def test_last_words(lab_folders: Folders) -> None:
    lab_folders.logs.mkdir(parents=True)
    (lab_folders.logs / "x.log").write_text("one\ntwo\n\n")
    assert processes.last_words("x", lab_folders) == "two"
    assert processes.last_words("silent", lab_folders) == ""
