"""Example strategies, written as a user would write theirs: to be read and copied."""
