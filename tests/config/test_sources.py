"""Where settings come from: the file, conf.d, the environment, options; and who is named for each."""

import os
from pathlib import Path

import pytest

from smtpguard import __version__
from smtpguard.config import Address, ConfigError, Loaded, Mode, default_file, listeners_of, load
from smtpguard.config.layers import Layer, layer_of
from smtpguard.config.lines import KeyPath
from smtpguard.config.mistakes import Mistake
from smtpguard.config.renamed import RENAMED, Renamed, modernised
from tests.config.broken import GOOD

LISTENERS = """\
upstream = "192.0.2.9:25"

[policy]
mode = "observe"
rules = { SG101 = "note" }

[[listener]]
name = "public"
address = ["192.0.2.1:25", "[2001:db8::1]:25"]

[[listener]]
name = "submission"
address = "192.0.2.1:587"
upstream = ["192.0.2.9:587", "192.0.2.8:587"]
[listener.policy]
mode = "enforce"
rules.SG105 = "off"
"""


def written(folder: Path, **files: str) -> Path:
    """Write `smtpguard.toml` and fragments (`name` -> text), and return the file's path."""
    (folder / "conf.d").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / ("smtpguard.toml" if name == "main" else f"conf.d/{name}.toml")).write_text(text)
    return folder / "smtpguard.toml"


def mistakes(file: Path | None, **sources: object) -> list[str]:
    """Return what is wrong, without the folder's name."""
    with pytest.raises(ConfigError) as raised:
        load(file, **sources)  # type: ignore[arg-type]
    return [str(each).replace(f"{file.parent}/" if file else "", "") for each in raised.value.mistakes]


def test_fragments_speak_over_the_file(tmp_path: Path) -> None:
    """conf.d is laid over the file, by name; other files there do not count."""
    file = written(
        tmp_path,
        main=GOOD + "[limits]\nsessions = 1\nviolations = 1\n",
        b="limits.sessions = 3\n",
        a="limits.sessions = 2\n",
    )
    (tmp_path / "conf.d/.hidden.toml").write_text("limits.sessions = 4\n")
    (tmp_path / "conf.d/z.toml~").write_text("limits.sessions = 5\n")
    loaded = load(file)
    assert (loaded.config.limits.sessions, loaded.config.limits.violations) == (3, 1)
    assert [each.name for each in loaded.files] == ["smtpguard.toml", "a.toml", "b.toml"]


def test_mistake_in_a_fragment(tmp_path: Path) -> None:
    """A fragment is named by its own name and line; all files are read before anything is said."""
    file = written(tmp_path, main=GOOD + "x = 1\n", a="\nlimits.sessions = 'a'\n", b="[")
    assert [line.split(" ")[0] for line in mistakes(file)] == [
        "conf.d/b.toml:1:",
        "smtpguard.toml:3:",
        "conf.d/a.toml:2:",
    ]


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conf.d that may not be read is said: a setting in it would be lost."""
    file = written(tmp_path, main=GOOD)

    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert mistakes(file) == ["conf.d: cannot be read: Permission denied"]


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("SMTPGUARD_POLICY__MODE", "observe", "policy.mode", Mode.OBSERVE),
        ("SMTPGUARD_POLICY__REPLY_RULE_ID", "false", "policy.reply_rule_id", False),
        ("SMTPGUARD_LISTEN", "192.0.2.1:25", "listen", (Address("192.0.2.1", 25),)),
        ("SMTPGUARD_LISTEN", "['192.0.2.1:25']", "listen", (Address("192.0.2.1", 25),)),
        ("SMTPGUARD_TIMEOUTS__COMMAND", " 5m ", "timeouts.command", 300.0),
        ("SMTPGUARD_LIMITS__SESSIONS_PER_CLIENT", "7", "limits.sessions_per_client", 7),
    ],
)
def test_variables(tmp_path: Path, name: str, value: str, key: str, expected: object) -> None:
    """A variable sets the key of its name; `__` separates the parts, case and `_` do not count."""
    loaded = load(written(tmp_path, main=GOOD), environ={name: value, "PATH": "/bin", "SMTPGUARDX": "1"})
    found: object = loaded.config
    for part in key.split("."):
        found = getattr(found, part)
    assert found == expected
    assert loaded.origin(tuple(key.replace("_", "-").split("."))) == name


def test_variable_of_a_rule(tmp_path: Path) -> None:
    """Rule ids keep their capitals."""
    loaded = load(written(tmp_path, main=GOOD), environ={"SMTPGUARD_POLICY__RULES__SG105": "off"})
    assert list(loaded.config.policy.rules) == ["SG105"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("SMTPGUARD_POLICY__MOOD", "SMTPGUARD_POLICY__MOOD: policy.mood = 'x': unknown key; did you mean 'mode'?"),
        ("SMTPGUARD_", "SMTPGUARD_: 'x': a variable of that name sets a key, such as SMTPGUARD_POLICY__MODE"),
        ("SMTPGUARD_A____B", "SMTPGUARD_A____B: 'x': a variable of that name sets a key, such as "
         "SMTPGUARD_POLICY__MODE"),
    ],
)  # fmt: skip
def test_wrong_variables(tmp_path: Path, name: str, line: str) -> None:
    """A variable that sets nothing is a mistake like any other."""
    assert mistakes(written(tmp_path, main=GOOD), environ={name: "x"}) == [line]


def test_order(tmp_path: Path) -> None:
    """default < file < conf.d < environment < flag < --set."""
    names = ["connect", "greeting", "command", "reply", "content", "write"]
    file = written(tmp_path, main=GOOD + "".join(f"timeouts.{name} = 1\n" for name in names[1:]),
                   a="".join(f"timeouts.{name} = 2\n" for name in names[2:]))  # fmt: skip
    loaded = load(
        file,
        environ={f"SMTPGUARD_TIMEOUTS__{name.upper()}": "3" for name in names[3:]},
        flags={f"--{name}": (("timeouts", name), 4) for name in names[4:]},
        assignments=["timeouts.write=5"],
    )
    assert [getattr(loaded.config.timeouts, name) for name in names] == [10, 1, 2, 3, 4, 5]
    assert [loaded.origin(("timeouts", name)).replace(f"{tmp_path}/", "") for name in names] == [
        "default", "smtpguard.toml:3", "conf.d/a.toml:1", "SMTPGUARD_TIMEOUTS__REPLY", "--content", "--set",
    ]  # fmt: skip


def test_default_file(tmp_path: Path) -> None:
    """The file of /etc is read where none is named, if it is there."""
    assert default_file(tmp_path / "smtpguard.toml") is None
    file = written(tmp_path, main=GOOD)
    assert default_file(file) == file


def test_the_source_that_counted_is_blamed(tmp_path: Path) -> None:
    """A later text stands for all of an earlier list: the mistake is the later one's, with its value."""
    file = written(tmp_path, main="listen = ['127.0.0.1:26']\nupstream = ['127.0.0.1:25']\n")
    said = "HOST:PORT; the port is missing, as in 127.0.0.1:25"
    assert mistakes(file, environ={"SMTPGUARD_UPSTREAM": "bad"}) == [f"SMTPGUARD_UPSTREAM: upstream = 'bad': {said}"]
    assert mistakes(file, assignments=["upstream=['127.0.0.1:27', 'bad']"]) == [f"--set: upstream[1] = 'bad': {said}"]


def test_conf_d_that_is_none(tmp_path: Path) -> None:
    """A file or a dangling link of that name is said: settings that somebody meant would not hold."""
    (tmp_path / "smtpguard.toml").write_text(GOOD)
    (tmp_path / "conf.d").touch()
    assert mistakes(tmp_path / "smtpguard.toml") == ["conf.d: cannot be read: Not a directory"]
    (tmp_path / "conf.d").unlink()
    (tmp_path / "conf.d").symlink_to("nowhere")
    assert mistakes(tmp_path / "smtpguard.toml") == ["conf.d: cannot be read: No such file or directory"]


def test_a_pipe_in_conf_d(tmp_path: Path) -> None:
    """It is said, and nobody waits for what comes out of it."""
    file = written(tmp_path, main=GOOD)
    os.mkfifo(tmp_path / "conf.d/a.toml")
    assert mistakes(file) == ["conf.d/a.toml: no regular file; take it out"]


def test_a_default_file_that_nobody_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken for there, so that its reading tells what is wrong."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "exists", refuse)
    assert default_file(Path("/etc/x.toml")) == Path("/etc/x.toml")


# --- [[listener]] ----------------------------------------------------------------------------------------------------


def listeners(tmp_path: Path, text: str = LISTENERS, **sources: object) -> Loaded:
    """Load a file with listeners."""
    return load(written(tmp_path, main=text), **sources)  # type: ignore[arg-type]


def test_listeners(tmp_path: Path) -> None:
    """Own settings are laid over the common ones, key by key."""
    public, submission = listeners_of(listeners(tmp_path).config)
    assert (public.name, public.policy.mode, list(public.policy.rules)) == ("public", Mode.OBSERVE, ["SG101"])
    assert (submission.policy.mode, list(submission.policy.rules)) == (Mode.ENFORCE, ["SG101", "SG105"])
    assert public.upstreams == (Address("192.0.2.9", 25),)
    assert submission.upstreams == (Address("192.0.2.9", 587), Address("192.0.2.8", 587))


def test_origin_of_a_listener(tmp_path: Path) -> None:
    """What a listener leaves out comes from where the common setting comes from."""
    loaded = listeners(tmp_path)
    found = {
        key: loaded.origin(tuple(f"listener.{key}".split("."))).rpartition(":")[2]
        for key in ("public.policy.mode", "submission.policy.mode", "public.upstream", "submission.upstream",
                    "public.tls.mode")
    }  # fmt: skip
    assert found == {
        "public.policy.mode": "4", "submission.policy.mode": "16", "public.upstream": "1", "submission.upstream": "14",
        "public.tls.mode": "default",
    }  # fmt: skip


def test_one_listener_is_changed(tmp_path: Path) -> None:
    """A later source changes a listener by its name, and may add another."""
    loaded = listeners(
        tmp_path,
        environ={"SMTPGUARD_LISTENER__PUBLIC__POLICY__MODE": "enforce"},
        assignments=["listener.inside.address=127.0.0.1:25", "listener.submission.upstream=192.0.2.7:587"],
    )
    public, submission, inside = listeners_of(loaded.config)
    assert public.policy.mode is Mode.ENFORCE
    assert submission.upstreams == (Address("192.0.2.7", 587),)
    assert (inside.name, inside.upstreams) == ("inside", (Address("192.0.2.9", 25),))


def test_fragments_add_listeners(tmp_path: Path) -> None:
    """A listener of its own file stands beside those of the main file."""
    file = written(tmp_path, main=LISTENERS, more='[[listener]]\nname = "more"\naddress = "192.0.2.1:26"\n')
    assert [each.name for each in listeners_of(load(file).config)] == ["public", "submission", "more"]


BROKEN_LISTENERS = {
    "no name": (
        'upstream = "192.0.2.9:25"\n[[listener]]\naddress = "192.0.2.1:25"\n',
        ["smtpguard.toml:2: listener[0].name: required: a name in quotes, such as 'public'; log, audit and --set call "
         "the listener by it"],
    ),
    "name twice": (
        LISTENERS + '[[listener]]\nname = "public"\naddress = "192.0.2.1:26"\n',
        ["smtpguard.toml:19: listener[2].name = 'public': another name; two listeners of one file cannot share it"],
    ),
    "bad name": (
        LISTENERS.replace('"public"', '"Public MX"'),
        ["smtpguard.toml:7: listener.'Public MX' = {…}: a name of a-z, 0-9 and '-', 32 characters at most, such as "
         "'public'"],
    ),
    "no address": (
        'upstream = "192.0.2.9:25"\n[[listener]]\nname = "public"\n',
        ["smtpguard.toml: listener.public.address: required (Addresses to listen on, HOST:PORT); set it in the file"],
    ),
    "no upstream": (
        '[[listener]]\nname = "public"\naddress = "192.0.2.1:25"\n',
        ["smtpguard.toml: listener.public.upstream: required (Mail servers of this listener, HOST:PORT; unset: the "
         "common); set it in the file"],
    ),
    "unknown key": (
        LISTENERS + 'adress = "x"\n[listener.policies]\nmode = "observe"\n',
        ["smtpguard.toml:18: listener.submission.policy.adress = 'x': unknown key; listener.submission.policy has "
         "mode, profile, rules, reply-rule-id, unsafe-forwarded-verbs",
         "smtpguard.toml:19: listener.submission.policies = {…}: unknown key; did you mean 'policy'?"],
    ),
    "own mistake": (
        LISTENERS.replace('"enforce"', '"on"'),
        ["smtpguard.toml:16: listener.submission.policy.mode = 'on': one of 'enforce', 'observe'"],
    ),
    "common mistake, said once": (
        LISTENERS.replace('"observe"', '"on"'),
        ["smtpguard.toml:4: policy.mode = 'on': one of 'enforce', 'observe'"],
    ),
    "one address in two listeners": (
        LISTENERS.replace(":587", ":25", 1),
        ["smtpguard.toml:13: listener.submission.address = '192.0.2.1:25': each address once; 192.0.2.1:25 is in "
         "listener.public.address too"],
    ),
    "a loop over the common upstream": (
        LISTENERS.replace("192.0.2.9:25", "192.0.2.1:587"),
        ["smtpguard.toml:1: upstream = '192.0.2.1:587': another program's address; 192.0.2.1:587 is our own listener"],
    ),
    "a loop of its own": (
        LISTENERS.replace("192.0.2.8:587", "[2001:db8::1]:25"),
        ["smtpguard.toml:14: listener.submission.upstream = ['192.0.2.9:587', '[2001:db8::1]:25']: another program's "
         "address; [2001:db8::1]:25 is our own listener"],
    ),
    "a number": ("listener = 1\n" + GOOD, ["smtpguard.toml:1: listener = 1: a table of settings"]),
    "a list of numbers": ("listener = [1]\n" + GOOD, ["smtpguard.toml:1: listener = [1]: a table of settings"]),
    "a number by name": ("listener.x = 1\n" + GOOD, ["smtpguard.toml:1: listener.x = 1: a table of settings"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_LISTENERS)
def test_broken_listeners(tmp_path: Path, name: str) -> None:
    """A broken listener is named with its place and its name."""
    text, lines = BROKEN_LISTENERS[name]
    assert mistakes(written(tmp_path, main=text)) == lines


# --- keys that have another name now ---------------------------------------------------------------------------------

TABLE: dict[KeyPath, Renamed] = {("limits", "max-sessions"): Renamed(("limits", "sessions"), gone_in="0.3")}


def test_old_name() -> None:
    """The old name is understood, with a warning that has its place."""
    layer = Layer("a.toml", {"limits": {"max-sessions": 7, "violations": 1}}, {("limits", "max-sessions"): 4})
    moved, warnings = modernised(layer, TABLE)
    assert moved.tree == {"limits": {"sessions": 7, "violations": 1}}
    assert moved.line(("limits", "sessions")) == 4
    assert [str(each) for each in warnings] == [
        "a.toml:4: limits.max-sessions = 7: this key is called limits.sessions now; smtpguard 0.3 will not know the "
        "old name"
    ]
    assert layer.tree["limits"]["max-sessions"] == 7


def test_old_name_alone_in_its_table() -> None:
    """A table that only held the old name goes with it."""
    table: dict[KeyPath, Renamed] = {("gate", "deep", "sessions"): Renamed(("limits", "sessions"), gone_in="0.3")}
    moved, _ = modernised(layer_of("--set", ("gate", "deep", "sessions"), 7), table)
    assert moved == layer_of("--set", ("limits", "sessions"), 7)


def test_new_name() -> None:
    """Nothing is said of a key with its new name."""
    layer = layer_of("--set", ("limits", "sessions"), 7)
    assert modernised(layer, TABLE) == (layer, [])


def test_both_names() -> None:
    """A source that has both is refused: which one was meant?"""
    with pytest.raises(ConfigError) as raised:
        modernised(Layer("--set", {"limits": {"max-sessions": 7, "sessions": 8}}), TABLE)
    assert raised.value.mistakes == (
        Mistake(
            "--set",
            "this key is called limits.sessions now, which is set too; take this one out",
            key="limits.max-sessions",
            shown="7",
        ),
    )


def test_warnings_reach_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load` takes the old name as the new one, and hands the warning on."""
    monkeypatch.setattr("smtpguard.config.renamed.modernised.__defaults__", (TABLE,))
    loaded = load(written(tmp_path, main=GOOD + "limits.max-sessions = 7\n"))
    assert loaded.config.limits.sessions == 7
    assert [each.key for each in loaded.warnings] == ["limits.max-sessions"]


def test_no_row_outlives_its_version() -> None:
    """A row whose `gone_in` has come is taken out."""
    here = tuple(map(int, __version__.split(".")[:2]))
    assert all(tuple(map(int, row.gone_in.split("."))) > here for row in RENAMED.values())
