"""The dashboard: the project's studies, runs and data in a browser.

`workbench.app.server` serves it, `workbench.app.dashboard` is the page. Panel comes with the extra
``lab``.
"""
