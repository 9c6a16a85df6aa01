"""Panel components on the verbs of the rooms below, for notebook cells, ipywidgets and the app."""
