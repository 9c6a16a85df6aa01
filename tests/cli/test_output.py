"""What the commands print of what others wrote."""

from workbench.cli.output import fail, note, say, table
from workbench.core.errors import InputError

STEERING = "\x1b]0;owned\x07\x1b[2J\r\x9b1mlunch\u202e\x7f"
WRITTEN = r"\x1b]0;owned\x07\x1b[2J\r\x9b1mlunch\u202e\x7f"


def test_nothing_printed_steers_the_terminal(capsys) -> None:
    say(STEERING)
    table(["reason"], [[STEERING]])
    note(STEERING)
    fail(InputError(STEERING), as_json=False)
    out, err = capsys.readouterr()
    assert out.count(WRITTEN) == err.count(WRITTEN) == 2
    assert not set(STEERING) & set(out + err) & {"\x1b", "\x07", "\r", "\x9b", "\u202e", "\x7f"}


def test_lines_and_other_scripts_stay_as_they_are(capsys) -> None:
    text = "Zürich\n\t日本 €"
    say(text)
    assert capsys.readouterr().out == text + "\n"
