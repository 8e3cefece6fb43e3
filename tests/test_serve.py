"""`make serve`: the book is shown, or one line says why not and what to do."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from book_files import ROOT

SERVE = [sys.executable, str(ROOT / "tools" / "serve.py")]


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.html").write_text("<title>The front page</title>")
    return tmp_path


@pytest.fixture
def taken():
    """Name a port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def answer(*arguments) -> str:
    done = subprocess.run([*SERVE, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1", "abc", "", "8000.5", "²", "1" * 5000])
def test_an_impossible_port_is_told(pages, port):
    assert answer(port, pages) == (
        f"PORT={port} is no port: give a number from 1 to 65535, as in make serve PORT=8080.\n"
    )


def test_a_port_in_use_is_told_with_the_remedy(pages, taken):
    assert answer(taken, pages) == f"port {taken} is in use: choose another, as in make serve PORT=8080.\n"


def test_a_book_that_is_not_built_is_told(tmp_path):
    assert answer("8000", tmp_path) == f"{tmp_path} holds no built book: run make book.\n"


def test_pages_are_shown_until_told_to_stop(pages, taken):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*SERVE, str(port), str(pages)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = process.stdout.readline()
        assert line == f"http://localhost:{port}/book/index.html  (Ctrl-C stops)\n"
        with urlopen(line.split()[0].replace("localhost", "127.0.0.1"), timeout=120) as page:
            assert b"The front page" in page.read()
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{port}/../../etc/passwd", timeout=120)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("port", ["abc", "a b; echo x"])
def test_make_hands_the_port_on(tmp_path, port):
    """The project's Makefile, with a .venv and a book that are made already."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "serve.py", tmp_path / "tools")
    for name in ("requirements.txt", "constraints.txt", "pyproject.toml", "_config.yml", "_toc.yml"):
        (tmp_path / name).touch()
    for name in (".venv/installed", "_build/.built", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / ".venv" / "installed").touch()
    (tmp_path / "_build" / ".built").touch()
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    command = ["make", "serve", f"PORT={port}"]
    # Under `make test` the environment carries that make's own flags; a reader's shell does not.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if not re.match(r"make(\[\d+\])?: ", line)]
    assert lines == [f"PORT={port} is no port: give a number from 1 to 65535, as in make serve PORT=8080."]
    assert done.stdout == ""
    assert done.returncode != 0
