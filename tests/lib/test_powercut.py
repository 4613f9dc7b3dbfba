# SPDX-License-Identifier: Apache-2.0
# The power-cut shim's own test: a Python process under it does file operations, says it is ready and has its power cut;
# what is on disk afterwards is compared with what was synced. Each test also shows that kill -9 keeps what the power
# cut loses, so that it is the shim that makes the difference.
import os
import signal
import subprocess
import sys

import pytest

BUILD = os.environ.get("MILLRACE_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
SHIM = os.path.join(os.path.abspath(BUILD), "lib", "powercut.so")

pytestmark = pytest.mark.skipif(not os.path.exists(SHIM), reason="powercut.so is not built (sanitizer build)")

PRELUDE = """
import os, threading, time, ctypes
os.chdir({root!r})
def put(name, data, sync=False, at=None, folder=False):
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    if at is None:
        os.lseek(fd, 0, os.SEEK_END); os.write(fd, data)
    else:
        os.pwrite(fd, data, at)
    if sync: os.fdatasync(fd)
    os.close(fd)
    if folder: sync_dir(os.path.dirname(name) or '.')
def sync_dir(name):
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY); os.fsync(fd); os.close(fd)
def done():
    print('done', flush=True); time.sleep(30)
"""


def run(root, script, end):
    env = dict(os.environ, LD_PRELOAD=SHIM, POWERCUT_ROOT=str(root))
    child = subprocess.Popen([sys.executable, "-c", PRELUDE.format(root=str(root)) + script], env=env,
                             stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "done\n"
    child.send_signal(end)
    assert child.wait(10) == -signal.SIGKILL


def tree(root):
    found = {}
    for folder, folders, names in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(folder, name), root) + "/"] = None
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.relpath(os.path.join(folder, name), root)] = file.read()
    return found


def check(tmp_path, script, after_cut, before=None):
    """Runs the script twice: after kill -9 the cut must not be what we see; after a power cut exactly that."""
    for name, end in (("kill", signal.SIGKILL), ("cut", signal.SIGUSR2)):
        root = tmp_path / name
        root.mkdir()
        for path, data in (before or {}).items():
            (root / path).write_bytes(data)
        run(root, script, end)
        if end == signal.SIGUSR2:
            assert tree(root) == after_cut
            assert not os.path.exists(str(root) + ".powercut")
        else:
            assert tree(root) != after_cut


def test_a_file_whose_directory_was_never_synced_disappears(tmp_path):
    check(tmp_path, "put('a', b'x', sync=True); put('b', b'y', sync=True, folder=True); put('c', b'z'); done()",
          {"a": b"x", "b": b"y"})


def test_appended_bytes_after_the_last_sync_are_gone(tmp_path):
    check(tmp_path, "put('a', b'one', sync=True, folder=True); put('a', b'two'); put('a', b'three'); done()",
          {"a": b"one"})


def test_overwritten_bytes_come_back(tmp_path):
    check(tmp_path, "put('a', b'XX', at=2); put('a', b'YYYY', at=1); put('a', b'Z' * 9, at=4); done()",
          {"a": b"0123456789"}, before={"a": b"0123456789"})


def test_a_sync_in_the_middle_keeps_what_came_before_it(tmp_path):
    check(tmp_path, "put('a', b'XX', at=2, sync=True); put('a', b'YYYY', at=1); done()", {"a": b"01XX456789"},
          before={"a": b"0123456789"})


def test_truncation_is_undone_unless_synced(tmp_path):
    check(tmp_path, "os.truncate('a', 2); f = os.open('b', os.O_RDWR); os.ftruncate(f, 3); os.fsync(f);"
                    "os.ftruncate(f, 1); os.close(os.open('c', os.O_WRONLY | os.O_TRUNC)); done()",
          {"a": b"0123", "b": b"012", "c": b"0123"}, before={"a": b"0123", "b": b"0123", "c": b"0123"})


def test_rename_and_what_it_replaced(tmp_path):
    check(tmp_path, "put('new', b'new', sync=True); os.rename('new', 'a'); put('new2', b'n2', sync=True);"
                    "os.rename('new2', 'd/b'); sync_dir('d'); sync_dir('.'); put('n3', b'3', sync=True);"
                    "os.rename('n3', 'a'); done()".replace("os.rename('new2'", "os.mkdir('d'); os.rename('new2'"),
          {"a": b"new", "d/": None, "d/b": b"n2"}, before={"a": b"old"})


def test_an_atomic_replace_is_old_or_new_never_empty(tmp_path):
    check(tmp_path, "put('t', b'new', sync=True); os.rename('t', 'a'); done()", {"a": b"old"}, before={"a": b"old"})


def test_a_replace_without_sync_of_the_content_leaves_nothing_in_it(tmp_path):
    check(tmp_path, "put('t', b'new'); os.rename('t', 'a'); sync_dir('.'); done()", {"a": b""}, before={"a": b"old"})


def test_removal_is_undone_unless_the_directory_was_synced(tmp_path):
    check(tmp_path, "os.unlink('a'); sync_dir('.'); os.unlink('b'); done()", {"b": b"b"},
          before={"a": b"a", "b": b"b"})


def test_a_directory_never_synced_goes_with_all_it_holds(tmp_path):
    check(tmp_path, "os.mkdir('e'); sync_dir('.'); os.mkdir('d'); put('d/x', b'x', sync=True, folder=True);"
                    "put('e/y', b'y', sync=True); done()", {"e/": None})


def test_syncfs_covers_everything(tmp_path):
    check(tmp_path, "put('a', b'a'); os.mkdir('d'); put('d/b', b'b');"
                    "libc = ctypes.CDLL(None); f = os.open('.', os.O_RDONLY); assert libc.syncfs(f) == 0;"
                    "put('c', b'c'); done()", {"a": b"a", "d/": None, "d/b": b"b"})


def test_many_threads_lose_nothing_they_synced(tmp_path):
    script = """
def work(i):
    fd = os.open('f%d' % i, os.O_RDWR | os.O_CREAT, 0o644); sync_dir('.')
    for n in range(100):
        os.pwrite(fd, b'%04d' % n, 4 * n)
        if n == 60: os.fsync(fd)
ts = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]; done()
"""
    check(tmp_path, script, {"f%d" % i: b"".join(b"%04d" % n for n in range(61)) for i in range(8)})


def test_the_signal_arrives_also_when_every_thread_blocks_it(tmp_path):
    check(tmp_path, "import signal; put('a', b'x'); signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); done()", {})


def test_no_sync_returns_after_the_cut(tmp_path):
    # The child reports every synced number; whatever it has reported must be on disk after the cut.
    root = tmp_path / "r"
    root.mkdir()
    script = """
fd = os.open('a', os.O_RDWR | os.O_CREAT, 0o644); sync_dir('.')
print('done', flush=True)
n = 0
while True:
    os.pwrite(fd, b'%08d' % n, 0); os.fdatasync(fd); print(n, flush=True); n += 1
"""
    env = dict(os.environ, LD_PRELOAD=SHIM, POWERCUT_ROOT=str(root))
    child = subprocess.Popen([sys.executable, "-c", PRELUDE.format(root=str(root)) + script], env=env,
                             stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "done\n"
    for _ in range(200):
        child.stdout.readline()
    child.send_signal(signal.SIGUSR2)
    told = [int(line) for line in child.stdout.read().split()]
    assert child.wait(10) == -signal.SIGKILL
    kept = int((root / "a").read_bytes())
    assert kept >= (told[-1] if told else 199)
    assert kept <= (told[-1] if told else 199) + 1
