"""A live node in a process of its own: assembling the engine, feeding it, watching it."""
