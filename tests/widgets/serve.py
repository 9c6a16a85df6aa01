"""Serves widgets of a project, each on a page of its own: ``python -m tests.widgets.serve ROOT``.

Prints the address of the server as soon as it can be asked.
"""

import sys

import panel as pn
from tornado.ioloop import IOLoop

from workbench import widgets
from workbench.core.project import Project


def main(root):
    project = Project(root)

    def page(name):
        def make():
            pn.extension(design="native")
            return getattr(widgets, name)(project)

        return make

    pages = {f"/{name}": page(name) for name in widgets.__all__ if name[0].isupper()}
    server = pn.io.server.get_server(pages, port=0, address="127.0.0.1", title="Widgets")
    server.start()
    print(f"http://127.0.0.1:{server.port}", flush=True)
    IOLoop.current().start()


if __name__ == "__main__":
    from pathlib import Path

    main(Path(sys.argv[1]))
