"""From sources to a Config, and every way in which a configuration can be broken."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.config import Address, Config, ConfigError, Mode, load
from smtpguard.smtp import Profile, Verdict
from tests.config.broken import BROKEN, GOOD

WHOLE = """\
listen = ["127.0.0.1:2525", "[::1]:2525"]
upstream = "mail.example.net:25"

[policy]
mode = "observe"
profile = "strict"
reply-rule-id = false
unsafe-forwarded-verbs = ["xclient"]
rules = { SG105 = "off" }

[timeouts]
command = "5m"
content = 90

[limits]
sessions = 50

[audit]
directory = "events"
"""


def load_text(tmp_path: Path, text: str | bytes, *assignments: str) -> Config:
    """Load one file named `smtpguard.toml` from its folder."""
    file = tmp_path / "smtpguard.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(file, assignments=assignments).config


def mistakes_of(tmp_path: Path, text: str | bytes, *assignments: str) -> list[str]:
    """Return the lines that a broken configuration gives, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text, *assignments)
    assert str(caught.value) == "\n".join(map(str, caught.value.mistakes))
    return [str(mistake).replace(f"{tmp_path}/", "") for mistake in caught.value.mistakes]


def test_whole_file(tmp_path: Path) -> None:
    """Every kind of setting is read from a file."""
    config = load_text(tmp_path, WHOLE)
    assert config.listen == (Address("127.0.0.1", 2525), Address("::1", 2525))
    assert config.upstream == (Address("mail.example.net", 25),)
    assert (config.policy.mode, config.policy.profile) == (Mode.OBSERVE, Profile.STRICT)
    assert not config.policy.reply_rule_id
    assert config.policy.unsafe_forwarded_verbs == {b"XCLIENT"}
    assert config.policy.rules == {"SG105": Verdict.OFF}
    assert (config.timeouts.command, config.timeouts.content, config.timeouts.reply) == (300, 90, 330)
    assert config.limits.sessions == 50
    assert config.audit.directory == Path("events")


def test_crlf_file(tmp_path: Path) -> None:
    """A file written on Windows is the same file."""
    assert load_text(tmp_path, WHOLE.replace("\n", "\r\n")) == load_text(tmp_path, WHOLE)


def test_one_listener_as_text(tmp_path: Path) -> None:
    """One address needs no list."""
    assert load_text(tmp_path, GOOD, "listen=[::1]:25").listen == (Address("::1", 25),)


def test_order_of_sources(tmp_path: Path) -> None:
    """The file speaks over the defaults, a flag over the file, --set over all, the last --set over the one before."""
    file = tmp_path / "a.toml"
    file.write_text(GOOD + "[timeouts]\nreply = 1\ncommand = 1\ncontent = 1\n[policy]\nmode = 'enforce'\n")
    flags = {"--upstream": (("upstream",), "192.0.2.1:25"), "--observe": (("policy", "mode"), "observe")}
    config = load(
        file, flags=flags, assignments=["timeouts.command=2", "timeouts.command=3s", "policy.mode=enforce"]
    ).config
    assert (config.timeouts.connect, config.timeouts.content, config.timeouts.command) == (10, 1, 3)
    assert config.upstream == (Address("192.0.2.1", 25),)
    assert config.policy.mode is Mode.ENFORCE
    assert config.listen == (Address("127.0.0.1", 2525),)


def test_lists_are_replaced(tmp_path: Path) -> None:
    """A later list stands for the earlier one, tables are merged."""
    config = load_text(
        tmp_path, WHOLE, "listen=['192.0.2.1:25']", "policy.rules.SG101=note", "policy.rules={SG102='off'}"
    )
    assert config.listen == (Address("192.0.2.1", 25),)
    assert config.policy.rules == {"SG105": Verdict.OFF, "SG101": Verdict.NOTE, "SG102": Verdict.OFF}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [("limits.sessions=7", 7), ("limits.sessions = 7 ", 7), ("limits . sessions=7", 7), ("limits={sessions=7}", 7)],
)
def test_assignments(tmp_path: Path, assignment: str, value: int) -> None:
    """Blanks around key and value do not count, and a whole table may be set."""
    assert load_text(tmp_path, GOOD, assignment).limits.sessions == value


def test_assignment_with_line_end(tmp_path: Path) -> None:
    """A value cannot bring a second key along."""
    lines = mistakes_of(tmp_path, GOOD, "limits.sessions=7\nviolations = 1")
    assert lines == ["--set: limits.sessions = '7\\nviolations = 1': a whole number, 1 or more"]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file(tmp_path: Path, name: str) -> None:
    """A broken file gives exactly its lines: place, key, value, what is allowed."""
    text, lines = BROKEN[name]
    assert mistakes_of(tmp_path, text) == lines


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Mistakes of all sources come together, source by source and down the file."""
    lines = mistakes_of(
        tmp_path, "zzz = 1\n[log]\nlevel = 1\n[tls]\nmode = 1\n", "log.format=1", "oops", "=1", "a..b=1"
    )
    assert [line.split(" ")[0] for line in lines] == [
        "--set:", "--set:", "--set:", "smtpguard.toml:1:", "smtpguard.toml:3:", "smtpguard.toml:5:", "--set:",
    ]  # fmt: skip
    assert lines[0] == "--set: 'oops': write key=value, such as policy.mode=observe"


def test_required_is_said_of_the_file(tmp_path: Path) -> None:
    """What is missing could stand in the file."""
    (line,) = mistakes_of(tmp_path, "listen = '127.0.0.1:25'\n")
    assert line.startswith("smtpguard.toml: upstream: required (The mail server")


def test_unreadable_sources_set_everything(tmp_path: Path) -> None:
    """Of a file that cannot be read nobody says that a key is missing in it."""
    lines = mistakes_of(tmp_path, "listen", "log.level=loud")
    assert [line.partition(": ")[0] for line in lines] == ["smtpguard.toml:1", "--set"]


@pytest.mark.parametrize("assignment", ["", "=", "=x", "policy", ".=1", "a.=1", ".a=1", ".".join("a" * 17) + "=1"])
def test_broken_assignments(tmp_path: Path, assignment: str) -> None:
    """What has no key or no sign is shown as it was written."""
    (line,) = mistakes_of(tmp_path, GOOD, assignment)
    assert line == f"--set: {assignment!r}: write key=value, such as policy.mode=observe"


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is said with its name."""
    with pytest.raises(ConfigError, match=r"/none\.toml: no such file$"):
        load(tmp_path / "none.toml")


def test_directory(tmp_path: Path) -> None:
    """A directory is no file."""
    with pytest.raises(ConfigError, match=r": a directory; name the file in it$"):
        load(tmp_path)


def test_unreadable() -> None:
    """A file that the system will not read is said with the system's reason."""
    with pytest.raises(ConfigError, match=r"^/proc/self/mem: cannot be read: Input/output error$"):
        load(Path("/proc/self/mem"))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without the right to read; the tests may run as root, whom no mode stops."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"a\.toml: cannot be read: Permission denied$"):
        load(tmp_path / "a.toml")


def test_endless_file() -> None:
    """A device without an end is read no further than a configuration may be long."""
    with pytest.raises(ConfigError, match="larger than"):
        load(Path("/dev/zero"))


def test_name_with_nul() -> None:
    """A name that no file can have is said, not raised."""
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        load(Path("a\0b"))


KEYS = st.sampled_from(
    [
        "listen", "upstream", "policy", "policy.mode", "policy.rules", "policy.rules.SG101",
        "policy.unsafe-forwarded-verbs", "limits.sessions", "timeouts.reply", "log", "log.target", "audit.directory",
        "tls.mode.x", "x",
    ]
)  # fmt: skip
VALUES = st.text() | st.sampled_from(
    ["1", "[]", "{}", "{a=1}", "[[1]]", "[{}]", "true", "nan", "'127.0.0.1:25'", "[1.5]", "'é'", '["\\u001b"]']
)


def lines_of(assignments: list[str]) -> list[str]:
    """Return what `--set` with these texts says; nothing if it makes a Config."""
    try:
        load(assignments=assignments)
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes] or ["no mistake named"]
    return []


@given(st.lists(st.builds("{}={}".format, KEYS, VALUES) | st.text()))
def test_any_assignments(assignments: list[str]) -> None:
    """Whatever is set, there is a Config or a list of mistakes, each one line of printable ASCII and '…'."""
    for line in lines_of(assignments):
        assert line != "no mistake named"
        assert line.replace("…", "").isascii()
        assert line.isprintable()
