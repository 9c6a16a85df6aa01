"""The catalog's doctor: what is wrong with its files and rows, and repairs that can be undone."""
