"""Show the built book on this machine: one line says where, or why not and what to do about it.

``python tools/serve.py [PORT] [FOLDER]``; 8000 and this project's ``_build/html`` if they are not given.
"""

import errno
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "_build" / "html"
PAGE = "book/index.html"


def main(port: str = "8000", folder: str = str(FOLDER)) -> int:
    """Serve a built book until Ctrl-C; return the exit status, 2 if it cannot be served."""
    if not (port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= 65535):
        return _refuse(f"PORT={port} is no port: give a number from 1 to 65535, as in make serve PORT=8080.")
    if not (Path(folder) / PAGE).is_file():
        return _refuse(f"{folder} holds no built book: run make book.")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), partial(SimpleHTTPRequestHandler, directory=folder))
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        return _refuse(f"port {port} {why}: choose another, as in make serve PORT={8080 if port != '8080' else 8081}.")
    with server:
        print(f"http://localhost:{port}/{PAGE}  (Ctrl-C stops)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()  # after the terminal's ^C
    return 0


def _refuse(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
