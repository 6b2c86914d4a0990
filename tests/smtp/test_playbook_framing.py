"""Framing of command lines: SG301 to SG303 and SG306, in the profiles where they differ and in observe."""

import pytest

from smtpguard.smtp import Profile

from .playbook import play
from .stages import ACCEPTED, EHLO, MAIL, RCPT, transaction

EVERY_PROFILE = pytest.mark.parametrize("profile", Profile)
OBSERVING = pytest.mark.parametrize("observing", [False, True])
EVERY_CUT = pytest.mark.parametrize("cut", [0, 1, 3])


@EVERY_CUT
@pytest.mark.parametrize("line", ["NOOP", "rset", "EHLO a", "XYZZY b", "", "HELP x"])
def test_bare_lf_in_a_command(line: str, cut: int) -> None:
    """SG301: refused where strict, noted in standard, silent where lenient, and forwarded as it came."""
    sent = f"{line}\\n\\"
    play(
        EHLO + f"C> {sent}\nG< 500 5.5.2 SG301\n! SG301 refuse cause=bare-lf-client\n" + transaction(),
        Profile.STRICT,
        cut=cut,
    )
    play(EHLO + f"C>U {sent}\n! SG301 note forwarded=yes\nu>c 250 Ok", cut=cut)
    play(EHLO + f"C>U {sent}\nu>c 250 Ok", Profile.LENIENT, cut=cut)
    play(EHLO + f"C>U {sent}\n! SG301 note enforced=refuse\nu>c 250 Ok", Profile.STRICT, observing=True, cut=cut)


@pytest.mark.parametrize("line", ["MAIL FROM:<a@a.example>", "mail from:<a@a.example>", " MAIL FROM:<a> BODY=8BITMIME"])
def test_a_bare_lf_command_is_the_command_it_spells(line: str) -> None:
    """A server splits at LF too, so the state follows: MAIL in bare LF opens a transaction."""
    play(EHLO + f"C>U \\x20{line}\\n\\\n! SG301 note verb=MAIL state=identified\nu>c 250 Ok\n" + ACCEPTED)


def test_a_bare_lf_command_out_of_order() -> None:
    """Order holds for a line in bare LF as for any."""
    play(EHLO + "C> RCPT TO:<b@b.example>\\n\\\nG< 503 5.5.1 SG102\n! SG102 refuse verb=RCPT\n! SG301 note")


CONTROLS = ["\\0", "\\x01", "\\x08", "\\x0b", "\\x0c", "\\r", "\\x1b", "\\x1f", "\\x7f"]


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("octet", CONTROLS)
def test_control_octet_in_a_command(octet: str, profile: Profile, *, observing: bool) -> None:
    """SG302 is safe: refused 500 5.5.2 in every profile and mode, never forwarded; the session goes on."""
    play(
        EHLO + f"C> NOOP a{octet}b\nG< 500 5.5.2 SG302\n! SG302 refuse enforced=refuse forwarded=no\n" + transaction(),
        profile,
        observing=observing,
    )


@EVERY_CUT
@pytest.mark.parametrize("line", ["\\0", "\\0NOOP", "NO\\0OP", "NOOP\\r", "\\r", "NOOP \\x7f", "\\r\\r"])
def test_control_octets_at_the_ends_of_a_line(line: str, cut: int) -> None:
    """SG302 wherever the octet stands, CR before CRLF too."""
    play(EHLO + f"C> {line}\nG< 500 5.5.2 SG302\n! SG302 refuse\nC>U NOOP\nu>c 250 Ok", cut=cut)


@EVERY_PROFILE
@pytest.mark.parametrize("line", ["NOOP\\ta", "NOOP \\x80\\xff", "\\tNOOP", "NOOP \\xc3\\xbc"])
def test_ht_and_8_bit_octets_pass(line: str, profile: Profile) -> None:
    """HT and 0x80-0xFF are no control octets."""
    play(EHLO + f"C>U {line}\nu>c 250 Ok", profile)


def test_a_refused_control_octet_leaves_the_transaction() -> None:
    """Rule 1: our 500 to a RCPT changes nothing; DATA behind it is judged by what was accepted."""
    play(
        MAIL
        + "C> RCPT TO:<b\\0@b.example>\nG< 500 5.5.2 SG302\n! SG302 refuse verb=RCPT\n"
        + ACCEPTED
        + "C>U DATA\nu>c 354 Go"
    )


@EVERY_PROFILE
@OBSERVING
def test_control_octet_in_an_auth_exchange_closes(profile: Profile, *, observing: bool) -> None:
    """SG302 in an AUTH exchange: UPSTREAM waits for this line and no other, so the session ends."""
    play(
        EHLO
        + "C>U AUTH PLAIN\nu>c 334\nC> SECRET\\0x\nG< 500 5.5.2 SG302\n! SG302 close verb=SASL forwarded=no\n"
        + "= violation cut",
        profile,
        observing=observing,
    )


def test_bare_lf_in_an_auth_exchange() -> None:
    """SG301 inside AUTH: strict cannot refuse the line alone and closes, standard notes."""
    play(EHLO + "C>U AUTH PLAIN\nu>c 334\nC>U SECRET\\n\\\n! SG301 note\nu>c 235 Ok")
    play(
        EHLO + "C>U AUTH PLAIN\nu>c 334\nC> SECRET\\n\\\nG< 500 5.5.2 SG301\n! SG301 close\n= violation cut",
        Profile.STRICT,
    )


TOO_LONG = ["NOOP \\{4090*x}", "MAIL FROM:<\\{4086*x}", "\\{4095*x}", "EHLO \\{9000*x}"]


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("line", TOO_LONG)
def test_command_too_long(line: str, profile: Profile, *, observing: bool) -> None:
    """SG303 is safe: one octet over 4096 closes with 500 5.5.2, nothing is forwarded."""
    play(EHLO + f"C> {line}\nG< 500 5.5.2 SG303\n! SG303 close\n= violation", profile, observing=observing)


def test_command_too_long_needs_no_line_end() -> None:
    """SG303 falls as soon as the line cannot end within the limit, so that held memory is bounded."""
    play(EHLO + "C> NOOP \\{4092*x}\\\nG< 500 5.5.2 SG303\n! SG303 close\n= violation")
    play(EHLO + "C> NOOP \\{4089*x}\\\nC> \\r\\\nC> \\n\\\nU< NOOP \\{4089*x}\nu>c 250 Ok")


@pytest.mark.parametrize("stage", [EHLO, EHLO + "C>U AUTH LOGIN\nu>c 334 VXNlcm5hbWU6\n"])
@pytest.mark.parametrize("word", ["AUTH PLAIN ", "X-EXPS NTLM ", "auth plain "])
def test_auth_and_sasl_lines_over_12288(stage: str, word: str) -> None:
    """SG303 for AUTH, X-EXPS and SASL lines begins behind 12288 octets."""
    fits = 12288 - 2 - len(word)
    answer = "u>c 535 No"
    play(stage + f"C>U {word}\\{{{fits}*A}}\n{answer}")
    play(
        stage
        + f"C> {word}\\{{{fits + 1}*A}}\nG< 500 5.5.2 SG303\n! SG303 close\n= violation"
        + (" cut" if stage != EHLO else "")
    )


MALFORMED = [
    "\\x20BDAT 3",
    "\\tBDAT 3",
    "BDAT\\t3",
    "BDAT  3",
    "BDAT:3",
    "BDAT 3 LAST x",
    "BDAT 3\\x20",
    "BDAT",
    "BDAT\\x20",
    "BDAT 12345678901",
    "BDAT 2147483648",
    "BDAT 3 FIRST",
    "BDAT +3",
    "BDAT -1",
    "BDAT 3LAST",
    "BDAT 3  LAST",
    "BDAT 3 LAST\\x20",
    "BDATX 3",
    "bdat3",
    "B\\0DAT 3",
    "BDAT\\0 3",
    "\\0BDAT 3",
    "BDAT 3\\n\\",
    "BDAT 3 LAST\\n\\",
    "BDAT 3\\r",
    "BDAT 0x3",
    "BDAT 3,LAST",
    "BDAT \\xb2",
    "\\x20\\x0bBDAT 3",
]


@EVERY_PROFILE
@OBSERVING
@pytest.mark.parametrize("line", MALFORMED)
def test_malformed_bdat(line: str, profile: Profile, *, observing: bool) -> None:
    """SG306 is safe: any line that a reader may take for BDAT without its exact shape is 501 5.5.4 and close."""
    play(RCPT + f"C> {line}\nG< 501 5.5.4 SG306\n! SG306 close verb=BDAT\n= violation", profile, observing=observing)


@pytest.mark.parametrize("line", ["BDAT 3 x", "BDAT\\t3", "B\\0DAT 3"])
def test_malformed_bdat_speaks_before_the_order(line: str) -> None:
    """A malformed BDAT line that is out of order besides: the close speaks."""
    play(EHLO + f"C> {line}\nG< 501 5.5.4 SG306\n! SG306 close\n! SG103 refuse\n= violation")


@OBSERVING
@pytest.mark.parametrize("line", ["BDAT 3", "bdat 3", "BdAt 0000000003"])
def test_the_lawful_shapes_of_bdat(line: str, *, observing: bool) -> None:
    """Rule 13: one blank, ten digits at most, any letter case."""
    play(
        RCPT + f"C>U {line}\nC>U abc\\\nu>c 250 Ok\nC>U BDAT 2 last\nC+U de\\\nu>c 250 Queued",
        Profile.STRICT,
        observing=observing,
    )


def test_the_largest_chunk() -> None:
    """Rule 13: 2147483647 octets are a lawful size."""
    play(RCPT + "C>U BDAT 2147483647 LAST\nC>U abc\\\n? waiting=content")
