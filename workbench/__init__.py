"""NT Workbench: research on NautilusTrader, from a study to a result one can trust."""
