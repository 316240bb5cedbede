# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of the collection's architecture, checked on the syntax tree alone.

Data walks one way: read, model, verdict, plan, apply, prove. Each part of ``plugins/module_utils`` is a room; this
file says which room may import which, which rooms do no I/O, and where the cluster may be written to.
``ARCHITECTURE.md`` gives the reasons. As a program it prints every breach, and ends with 1 if it found one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ("ansible_collections", "meshops", "istio_remediation")
UTILS = ("plugins", "module_utils")

# Knows nothing: every room but _model may use it.
SHARED = frozenset({"_redact"})

# Room → rooms and single files that it may import. A file with an entry of its own is not governed by its room's.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "_model": frozenset(),
    "_redact": frozenset({"_model"}),
    "_kube": SHARED,
    "_read": SHARED | {"_kube", "_model"},
    "_proxies": SHARED | {"_model"},
    "_verdict": SHARED | {"_model", "_proxies"},
    "_plan": SHARED | {"_model", "_proxies", "_verdict"},
    "_journal": SHARED | {"_kube", "_model", "_plan.change"},
    "_journal.copies": SHARED | {"_kube", "_model", "_plan.shadow"},
    "_apply": SHARED | {"_kube", "_model", "_plan.change", "_plan.shadow", "_journal"},
    "_prove.observation": SHARED | {"_model"},
    "_prove.judge": SHARED | {"_model", "_prove.observation"},
    "_prove.log_level": SHARED | {"_kube", "_model"},
    "_prove.probe": SHARED | {"_kube", "_model", "_prove.observation"},
    "_diagnose": SHARED | {"_kube", "_read", "_model", "_proxies", "_verdict", "_plan"},
    "_rehearsal": SHARED | {"_kube", "_model", "_plan", "_apply", "_prove", "_diagnose", "_verdict"},
    "_result": SHARED | {"_model", "_proxies", "_verdict", "_plan", "_diagnose"},
    "_module": SHARED | {"_kube", "_read", "_model", "_proxies"},
    "_diagnosing": SHARED | {"_kube", "_read", "_model", "_plan", "_diagnose", "_result", "_module"},
}
# Where modules meet the rest, and for nobody else.
FOR_MODULES = ("_module", "_diagnosing")

PURE = frozenset(
    {"_model", "_proxies", "_verdict", "_plan", "_prove.judge", "_prove.observation", "_redact", "_result"}
)
# Standard library that reaches outside the process, or gives another answer each time. The rest of it is allowed.
IMPURE_MODULES = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "select", "selectors", "signal", "subprocess", "threading"),
        *("fcntl", "glob", "io", "mmap", "os", "pathlib", "shelve", "shutil", "sqlite3", "sys", "tempfile"),
        *("ftplib", "http", "smtplib", "socket", "ssl", "urllib.error", "urllib.request"),
        *("ctypes", "getpass", "importlib", "logging", "pkgutil", "platform", "pty", "resource"),
        *("random", "secrets", "time", "uuid"),
    }
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "compile", "__import__"})
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})

# AnsiballZ ships what static imports name; a module that looks files up at run time does not find them.
DYNAMIC_IMPORTS = frozenset({"importlib", "pkgutil", "__import__"})

WRITE_VERBS = frozenset({"create", "update", "patch", "delete"})
MAY_WRITE = frozenset({"_apply"})
# Modules that promise never to change the cluster.
READ_ONLY_MODULES = ("_info", "_probe")


class Breach(NamedTuple):
    """One place where a law is broken."""

    path: str
    line: int
    law: str

    def __str__(self) -> str:
        """Return the breach in the form that editors understand."""
        return f"{self.path}:{self.line}: {self.law}"


class Import(NamedTuple):
    """One imported name, in full: ``("plugins", "module_utils", …)`` for our own, the dotted path for others."""

    line: int
    own: bool
    parts: tuple[str, ...]


def imports(path: str, tree: ast.AST) -> Iterator[Import]:
    """Yield everything that the file at ``path`` (relative to the checkout) imports, also inside functions."""
    package = tuple(Path(path).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield _resolve(node.lineno, tuple(name.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            for name in node.names:
                if node.level:
                    parts = (*package[: len(package) - node.level + 1], *module, name.name)
                    yield Import(node.lineno, True, parts)
                else:
                    yield _resolve(node.lineno, (*module, name.name))


def _resolve(line: int, parts: tuple[str, ...]) -> Import:
    if parts[: len(COLLECTION)] == COLLECTION:
        return Import(line, True, parts[len(COLLECTION) :])
    return Import(line, False, parts)


def inside(name: str, rooms: Iterable[str]) -> bool:
    """Tell whether the dotted ``name`` is one of ``rooms`` or lies in one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def room_of(path: str) -> str | None:
    """Return the entry of MAY_IMPORT that governs the file, or None if it lies in no room."""
    parts = Path(path).with_suffix("").parts
    if parts[:2] != UTILS:
        return None
    name = ".".join(parts[2:])
    rooms = [room for room in MAY_IMPORT if inside(name, [room])]
    return max(rooms, key=len, default=None)


def check_walk(path: str, tree: ast.AST) -> Iterator[Breach]:
    """Law 1: imports go one way, and only modules import what is for them."""
    room = room_of(path)
    in_utils = Path(path).parts[:2] == UTILS
    if in_utils and room is None and len(Path(path).parts) > 2 and Path(path).name != "__init__.py":
        yield Breach(path, 1, "lies in no known room; give it an entry in MAY_IMPORT of tests/tools/architecture.py")
        return
    for item in imports(path, tree):
        if not item.own or item.parts[:2] != UTILS:
            continue
        target = ".".join(item.parts[2:])
        if inside(target, FOR_MODULES) and room not in FOR_MODULES and not path.startswith("plugins/modules/"):
            yield Breach(path, item.line, f"imports {item.parts[2]}, which is for files in plugins/modules alone")
        elif room and not inside(target, [room, *MAY_IMPORT[room]]):
            yield Breach(path, item.line, f"{room} may not import {target}")
        elif _promises_to_read_only(path) and inside(target, ["_apply"]):
            yield Breach(path, item.line, "promises to change nothing and may not import _apply")


def _promises_to_read_only(path: str) -> bool:
    return path.startswith("plugins/modules/") and Path(path).stem.endswith(READ_ONLY_MODULES)


def check_purity(path: str, tree: ast.AST) -> Iterator[Breach]:
    """Law 2: rooms without I/O use the standard library alone, and of it nothing that leaves the process."""
    room = room_of(path)
    if room not in PURE:
        return
    for item in imports(path, tree):
        if item.own:
            continue
        name = ".".join(item.parts)
        if item.parts[0] != "__future__" and item.parts[0] not in sys.stdlib_module_names:
            yield Breach(
                path, item.line, f"{room} does no I/O and uses the standard library alone, not {item.parts[0]}"
            )
        elif inside(name, IMPURE_MODULES):
            yield Breach(path, item.line, f"{room} does no I/O and may not import {name}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield Breach(path, node.lineno, f"{room} does no I/O and may not call {node.func.id}()")
        elif isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_METHODS:
            yield Breach(path, node.lineno, f"{room} may not read the clock with .{node.func.attr}(); time is data")


def check_writes(path: str, tree: ast.AST) -> Iterator[Breach]:
    """Law 3: calls named like a write to the cluster occur in ``_apply`` alone.

    The syntax tree does not know types, so ``dict.update`` counts as well; write ``a | b`` or ``a |= b`` instead.
    A function of a file in a pure room, called by that file's name, is no write: ``change.patch()`` describes one.
    """
    if not path.startswith("plugins/") or room_of(path) in MAY_WRITE:
        return
    pure_files = {item.parts[-1] for item in imports(path, tree) if item.own and _names_pure_file(item)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITE_VERBS):
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id in pure_files:
            continue
        yield Breach(path, node.lineno, f"calls .{node.func.attr}(); only _apply writes")


def _names_pure_file(item: Import) -> bool:
    return item.parts[:2] == UTILS and inside(".".join(item.parts[2:]), PURE)


def check_shipping(path: str, tree: ast.AST) -> Iterator[Breach]:
    """Law 4: what modules need is imported by name, and ``__init__.py`` files hold nothing."""
    if not path.startswith("plugins/"):
        return
    body = tree.body if isinstance(tree, ast.Module) else []
    if Path(path).name == "__init__.py" and body:
        yield Breach(path, 1, "__init__.py must be empty: older ansible-test refuses it and lists belong in catalog.py")
    for item in imports(path, tree):
        if not item.own and item.parts[0] in DYNAMIC_IMPORTS:
            yield Breach(
                path, item.line, f"imports {item.parts[0]}: what it finds at run time is not shipped by Ansible"
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
            yield Breach(path, node.lineno, "calls __import__(): what it finds at run time is not shipped by Ansible")


LAWS = (check_walk, check_purity, check_writes, check_shipping)


def check(sources: Mapping[str, str]) -> list[Breach]:
    """Return every breach in ``sources`` (path relative to the checkout → Python source), sorted by place.

    :raises SyntaxError: a source does not parse.
    """
    trees = {path: ast.parse(source, filename=path) for path, source in sources.items()}
    return sorted(breach for path, tree in trees.items() for law in LAWS for breach in law(path, tree))


def sources() -> dict[str, str]:
    """Return the Python files of the collection itself: everything under ``plugins``."""
    files = sorted((ROOT / "plugins").rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


def main() -> None:
    """Print every breach in the checkout."""
    found = sources()
    if not found:
        sys.exit("error: plugins holds no Python file: there is no architecture to check")
    breaches = check(found)
    for breach in breaches:
        print(breach)
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
