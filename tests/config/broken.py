"""Broken configuration files: name -> the file `smtpguard.toml`, and every line that is said about it."""

from smtpguard.config.layers import FILE_SIZE

GOOD = 'listen = ["127.0.0.1:2525"]\nupstream = "127.0.0.1:25"\n'
"""A whole file; what is broken comes behind it."""

BROKEN: dict[str, tuple[str | bytes, list[str]]] = {
    "empty file": (
        "",
        [
            "command line: listen: required (Addresses to listen on, HOST:PORT); "
            "set it in the file or say --listen HOST:PORT",
            "command line: upstream: required (The mail server that sessions go to, HOST:PORT; of several, the first "
            "that can be reached); set it in the file or say --upstream HOST:PORT",
        ],
    ),
    "not TOML": (
        GOOD + "policy {\n",
        ["smtpguard.toml:3: not TOML: Expected '=' after a key in a key/value pair, column 8"],
    ),
    "half a file": (GOOD + '[policy]\nmode = "obs', ["smtpguard.toml:4: not TOML: Unterminated string"]),
    "duplicate key": (
        GOOD + 'upstream = "127.0.0.1:26"\n',
        ["smtpguard.toml:3: not TOML: Cannot overwrite a value, column 26; this key or table stands twice"],
    ),
    "duplicate table": (
        GOOD + "[tls]\n[tls]\n",
        ["smtpguard.toml:4: not TOML: Cannot declare ('tls',) twice, column 5; this key or table stands twice"],
    ),
    "byte order mark": (
        b"\xef\xbb\xbf" + GOOD.encode(),
        ["smtpguard.toml:1: begins with a byte order mark; save it as UTF-8 without one"],
    ),
    "UTF-16": (GOOD.encode("utf-16"), ["smtpguard.toml:1: not UTF-8 text: octet 0xFF at offset 0"]),
    "binary": (b"\x7fELF\n\x00\xf0\x28", ["smtpguard.toml:2: not UTF-8 text: octet 0xF0 at offset 6"]),
    "too large": (b"#" * (FILE_SIZE + 1), ["smtpguard.toml: larger than 1048576 octets, so no configuration file"]),
    "nested too deep": ("a = " + "[" * 100_000, ["smtpguard.toml: nested too deep"]),
    "a number of 5000 digits": (
        "a = " + "1" * 5000,
        [
            "smtpguard.toml:1: not TOML: Exceeds the limit (4300 digits) for integer string conversion: "
            "value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit"
        ],
    ),
    "unknown key": (
        GOOD + "[policy]\nmodee = 1\n",
        ["smtpguard.toml:4: policy.modee = 1: unknown key; did you mean 'mode'?"],
    ),
    "snake case": (
        GOOD + "[limits]\ncommand_line = 4096\n",
        ["smtpguard.toml:4: limits.command_line = 4096: unknown key; did you mean 'command-line'?"],
    ),
    "key of another table": (
        GOOD + "[audit]\nsessions-per-client = 1\n",
        ["smtpguard.toml:4: audit.sessions-per-client = 1: unknown key; did you mean 'limits.sessions-per-client'?"],
    ),
    "unknown table": (
        GOOD + "[zzz]\na = 1\n",
        [
            "smtpguard.toml:3: zzz = {…}: unknown key; the top level has listen, upstream, upstream-choice, user, "
            "group, policy, tls, timeouts, limits, audit, privacy, log, identity, listener"
        ],
    ),
    "odd key": (
        GOOD + '[audit]\n"a.b\\u0007é" = 1\n',
        [
            "smtpguard.toml:4: audit.'a.b\\x07\\xe9' = 1: unknown key; audit has directory, retention-days, "
            "retention-size, on-failure, transcript, transcript-always, transcript-never"
        ],
    ),
    "value for a table": (GOOD + "tls = 'hide'\n", ["smtpguard.toml:3: tls = 'hide': a table of settings"]),
    "value for the rules": (GOOD + "policy.rules = 3\n", ["smtpguard.toml:3: policy.rules = 3: a table of settings"]),
    "table for a value": (
        GOOD + "[policy.mode]\n",
        ["smtpguard.toml:3: policy.mode = {…}: one of 'enforce', 'observe'"],
    ),
    "unknown word": (
        GOOD + "[tls]\nmode = 'passthrough'\n",
        [
            "smtpguard.toml:4: tls.mode = 'passthrough': one of 'pass-through', 'hide', 'refuse'; "
            "did you mean 'pass-through'?"
        ],
    ),
    "number for a word": (
        GOOD + "[log]\nlevel = 3\n",
        ["smtpguard.toml:4: log.level = 3: one of 'debug', 'info', 'warning', 'error'"],
    ),
    "text for a truth": (
        GOOD + "policy.reply-rule-id = 'no'\n",
        ["smtpguard.toml:3: policy.reply-rule-id = 'no': true or false"],
    ),
    "truth for a number": (
        GOOD + "limits.violations = true\n",
        ["smtpguard.toml:3: limits.violations = true: a whole number, 0 or more"],
    ),
    "fraction for a number": (
        GOOD + "limits.violations = 1.0\n",
        ["smtpguard.toml:3: limits.violations = 1.0: a whole number, 0 or more"],
    ),
    "too small": (GOOD + "limits.sessions = 0\n", ["smtpguard.toml:3: limits.sessions = 0: a whole number, 1 or more"]),
    "too large a number": (
        GOOD + "limits.command-line = 12289\n",
        ["smtpguard.toml:3: limits.command-line = 12289: a whole number from 512 to 12288"],
    ),
    "no duration": (
        GOOD + "timeouts.reply = '5 minutes'\n",
        ["smtpguard.toml:3: timeouts.reply = '5 minutes': seconds above 0, or text such as '30s', '5m', '1h'"],
    ),
    "endless duration": (
        GOOD + "timeouts.reply = inf\n",
        ["smtpguard.toml:3: timeouts.reply = inf: seconds above 0, or text such as '30s', '5m', '1h'"],
    ),
    "bad address": (
        'listen = ["127.0.0.1"]\nupstream = "127.0.0.1:70000"\n',
        [
            "smtpguard.toml:1: listen[0] = '127.0.0.1': HOST:PORT; the port is missing, as in 127.0.0.1:25",
            "smtpguard.toml:2: upstream = '127.0.0.1:70000': HOST:PORT; PORT is a number from 1 to 65535",
        ],
    ),
    "bad address in a later line": (
        'upstream = "127.0.0.1:25"\nlisten = [\n  "127.0.0.1:2525",\n  "::1:25",\n]\n',
        ["smtpguard.toml:2: listen[1] = '::1:25': HOST:PORT; write an IPv6 address in brackets, [2001:db8::1]:25"],
    ),
    "bad address without a list": (
        'upstream = "127.0.0.1:25"\nlisten = "127.0.0.1:0"\n',
        ["smtpguard.toml:2: listen = '127.0.0.1:0': HOST:PORT; PORT is a number from 1 to 65535"],
    ),
    "no address": ('upstream = "127.0.0.1:25"\nlisten = []\n', ["smtpguard.toml:2: listen = []: one entry at least"]),
    "number for a list": ('upstream = "127.0.0.1:25"\nlisten = 25\n', ["smtpguard.toml:2: listen = 25: a list in [ ]"]),
    "text for verbs": (
        GOOD + "policy.unsafe-forwarded-verbs = 'XCLIENT'\n",
        ["smtpguard.toml:3: policy.unsafe-forwarded-verbs = 'XCLIENT': a list in [ ]"],
    ),
    "lawful verb": (
        GOOD + "policy.unsafe-forwarded-verbs = ['XCLIENT', 'XFORWRAD']\n",
        [
            "smtpguard.toml:3: policy.unsafe-forwarded-verbs[1] = 'XFORWRAD': one of 'ATRN', 'LHLO', 'PROXY', 'TURN', "
            "'XCLIENT', 'XEXCH50', 'XFORWARD', 'XPROXY', 'XPROXYFROM', 'XPROXYTO'; did you mean 'XFORWARD'?"
        ],
    ),
    "twice the same port": (
        'upstream = "127.0.0.1:25"\nlisten = ["[::1]:26", "[0::1]:26"]\n',
        ["smtpguard.toml:2: listen = ['[::1]:26', '[0::1]:26']: each address once; [::1]:26 stands twice"],
    ),
    "relay to ourselves": (
        'listen = ["0.0.0.0:25"]\nupstream = "localhost:25"\n',
        ["smtpguard.toml:2: upstream = 'localhost:25': another program's address; 0.0.0.0:25 is our own listener"],
    ),
    "unknown rule": (
        GOOD + "[policy.rules]\nSG999 = 'off'\n",
        ["smtpguard.toml:4: policy.rules.SG999 = 'off': no such rule"],
    ),
    "rule by its name": (
        GOOD + "[policy.rules]\nnested-mail = 'off'\n",
        ["smtpguard.toml:4: policy.rules.nested-mail = 'off': no such rule; did you mean 'SG105' (nested-mail)?"],
    ),
    "safe rule": (
        GOOD + "[policy.rules]\nSG304 = 'note'\n",
        [
            "smtpguard.toml:4: policy.rules.SG304 = 'note': SG304 (hidden-end-of-content) cannot be changed: "
            "it is safe, it keeps our view of the session and the upstream's the same, "
            "so its verdict holds in every mode and profile"
        ],
    ),
    "unknown verdict": (
        GOOD + "[policy.rules]\nSG105 = 'reject'\n",
        ["smtpguard.toml:4: policy.rules.SG105 = 'reject': one of 'off', 'note', 'refuse', 'close'"],
    ),
    "verdict of no use": (
        GOOD + "[policy.rules]\nSG504 = 'refuse'\n",
        ["smtpguard.toml:4: policy.rules.SG504 = 'refuse': one of 'off', 'note'"],
    ),
    "number for a path": (GOOD + "audit.directory = 3\n", ["smtpguard.toml:3: audit.directory = 3: a path in quotes"]),
    "no size": (
        GOOD + "audit.retention-size = '2 GB'\n",
        [
            "smtpguard.toml:3: audit.retention-size = '2 GB': octets, or text such as '500MB', '2GB', '1GiB'; "
            "0: no bound"
        ],
    ),
    "negative size": (
        GOOD + "audit.retention-size = -1\n",
        ["smtpguard.toml:3: audit.retention-size = -1: octets, or text such as '500MB', '2GB', '1GiB'; 0: no bound"],
    ),
    "negative days": (
        GOOD + "audit.retention-days = -1\n",
        ["smtpguard.toml:3: audit.retention-days = -1: a whole number, 0 or more"],
    ),
    "unknown failure": (
        GOOD + "audit.on-failure = 'refuze'\n",
        [
            "smtpguard.toml:3: audit.on-failure = 'refuze': one of 'continue', 'refuse'; did you mean 'refuse'?",
        ],
    ),
    "unknown transcript": (
        GOOD + "audit.transcript = 'onfinding'\n",
        [
            "smtpguard.toml:3: audit.transcript = 'onfinding': one of 'on-finding', 'always', 'never'; "
            "did you mean 'on-finding'?"
        ],
    ),
    "no network of transcripts": (
        GOOD + "audit.transcript-always = ['partner']\n",
        [
            "smtpguard.toml:3: audit.transcript-always[0] = 'partner': an address or a network in quotes, such "
            "as '192.0.2.0/24' or '2001:db8::/32'"
        ],
    ),
    "network in both lists": (
        GOOD + "[audit]\ntranscript-always = '192.0.2.0/24'\ntranscript-never = ['10.0.0.0/8', '192.0.2.0/24']\n",
        [
            "smtpguard.toml:5: audit.transcript-never[1] = '192.0.2.0/24': each network in one of the two lists; "
            "192.0.2.0/24 is in audit.transcript-always too"
        ],
    ),
    "refuse without evidence": (
        GOOD + "audit.on-failure = 'refuse'\n",
        [
            "smtpguard.toml:3: audit.on-failure = 'refuse': only beside `audit.directory`; without it nothing is "
            "written that could fail"
        ],
    ),
    "unknown privacy": (
        GOOD + "[privacy]\naddresses = 'mask'\nclient-ip = 'cut'\n",
        [
            "smtpguard.toml:4: privacy.addresses = 'mask': one of 'keep', 'hash', 'drop'",
            "smtpguard.toml:5: privacy.client-ip = 'cut': one of 'keep', 'truncate'",
        ],
    ),
    "no log target": (
        GOOD + "log.target = 'sysloq'\n",
        [
            "smtpguard.toml:3: log.target = 'sysloq': one of 'stdout', 'stderr', 'journal', 'syslog', "
            "or the path of a file with a '/' in it; did you mean 'syslog'?"
        ],
    ),
    "long value": (
        GOOD + f"log.level = '{'x' * 500}'\n",
        [f"smtpguard.toml:3: log.level = '{'x' * 79}…: one of 'debug', 'info', 'warning', 'error'"],
    ),
    "date": (
        GOOD + "timeouts.reply = 1979-05-27\n",
        [
            "smtpguard.toml:3: timeouts.reply = datetime.date(1979, 5, 27): "
            "seconds above 0, or text such as '30s', '5m', '1h'"
        ],
    ),
    "no network": (
        GOOD + "[identity]\naccept-proxy-from = ['192.0.2.1/24', '10.0.0.0/33', 'balancer', '192.0.2.1']\n",
        [
            "smtpguard.toml:4: identity.accept-proxy-from[0] = '192.0.2.1/24': an address or a network in quotes, such "
            "as '192.0.2.0/24' or '2001:db8::/32'; did you mean '192.0.2.0/24'?",
            "smtpguard.toml:4: identity.accept-proxy-from[1] = '10.0.0.0/33': an address or a network in quotes, such "
            "as '192.0.2.0/24' or '2001:db8::/32'",
            "smtpguard.toml:4: identity.accept-proxy-from[2] = 'balancer': an address or a network in quotes, such "
            "as '192.0.2.0/24' or '2001:db8::/32'",
        ],
    ),
    "no way to send": (
        GOOD + "identity.send = 'proxyv2'\n",
        [
            "smtpguard.toml:3: identity.send = 'proxyv2': one of 'none', 'proxy-v1', 'proxy-v2', 'xclient', "
            "'transparent'; did you mean 'proxy-v2'?"
        ],
    ),
    "relay to ourselves by another name": (
        'listen = ["127.0.0.1:25"]\nupstream = "localhost:25"\n',
        ["smtpguard.toml:2: upstream = 'localhost:25': another program's address; 127.0.0.1:25 is our own listener"],
    ),
    "relay to ourselves by another loopback address": (
        'listen = ["0.0.0.0:25"]\nupstream = "127.0.0.2:25"\n',
        ["smtpguard.toml:2: upstream = '127.0.0.2:25': another program's address; 0.0.0.0:25 is our own listener"],
    ),
}
