"""The text of a study while its file is written by somebody else."""

import os
import time

from workbench.widgets.study_draft import Draft


def touched(path, seconds_ago):
    at = time.time() - seconds_ago
    os.utime(path, (at, at))


def test_a_half_written_file_is_not_taken(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("study: a\n")
    touched(path, 60)
    draft = Draft(path)
    assert not draft.overtaken()
    path.write_text("")  # emptied, as an editor does before it writes
    assert not draft.overtaken()
    path.write_text("study: b\n")
    touched(path, 1)
    assert draft.overtaken()
    draft.reload()
    assert draft.text == "study: b\n"
    assert not draft.overtaken()


def test_what_was_half_written_when_it_was_read_is_read_again(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("study")
    touched(path, 1)
    moment = path.stat().st_mtime_ns
    draft = Draft(path)
    path.write_text("study: a\n")
    os.utime(path, ns=(moment, moment))  # within one tick of the file system's clock
    assert draft.overtaken()
