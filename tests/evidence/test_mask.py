"""Masking: what leaves the house names no person, and still says whose domain it was."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpguard.evidence.mask import masked, masked_all

BY_HAND = {
    "MAIL FROM:<john@x.example>": "MAIL FROM:<j***@x.example>",
    "mail from: <john@x.example> SIZE=300": "mail from: <j***@x.example> SIZE=300",
    "MAIL FROM:<>": "MAIL FROM:<>",
    "MAIL FROM:<j@x.example> AUTH=ann+3Db@y.example": "MAIL FROM:<j***@x.example> AUTH=a***@y.example",
    "MAIL FROM:<j@x.example> AUTH=<>": "MAIL FROM:<j***@x.example> AUTH=<>",
    "MAIL FROM:john@x.example": "MAIL FROM:j***@x.example",
    "RCPT TO:<@a.example,@b.example:joe@c.example>": "RCPT TO:<@a.example,@b.example:j***@c.example>",
    'RCPT TO:<"john doe"@x.example>': "RCPT TO:<***@x.example>",
    r'RCPT TO:<"a\x5c"b@z"@c.example>': "RCPT TO:<***@c.example>",
    "RCPT TO:<john smith@x.example>": "RCPT TO:<j***@x.example>",
    "RCPT TO:<bounce+x=y.example@lists.example>": "RCPT TO:<b***@lists.example>",
    "RCPT TO:<user%host@relay.example>": "RCPT TO:<u***@relay.example>",
    "RCPT TO:<a@b@c.example>": "RCPT TO:<a***@c.example>",
    "RCPT TO:<joe@[192.0.2.1]>": "RCPT TO:<j***@[192.0.2.1]>",
    "RCPT TO:<john>": "RCPT TO:<j***>",
    "RCPT TO:<john": "RCPT TO:<j***",
    "RCPT TO:<host!user>": "RCPT TO:<h***>",
    "RCPT TO:<Postmaster>": "RCPT TO:<Postmaster>",
    r"RCPT TO:<\xc3\xa4nne@x.example>": "RCPT TO:<***@x.example>",
    "RCPT TO:<ö@x.example>": "RCPT TO:<***@x.example>",
    "RCPT TO:<x@y.example> ORCPT=rfc822;john@z.example": "RCPT TO:<x***@y.example> ORCPT=rfc822;j***@z.example",
    "RCPT TO:<x@y.example> ORCPT=rfc822;john+40z.example": "RCPT TO:<x***@y.example> ORCPT=rfc822;j***@z.example",
    "RCPT TO:<x@y.example> ORCPT=x400;john": "RCPT TO:<x***@y.example> ORCPT=x400;j***",
    "RCPT TO:<user+40home@y.example>": "RCPT TO:<u***@y.example>",
    "550 5.1.1 <john.doe@x.example>: unknown": "550 5.1.1 <j***@x.example>: unknown",
    "550 <ann@x.example>, <cc@y.example>": "550 <a***@x.example>, <c***@y.example>",
    "550 john***@x.example": "550 j***@x.example",
    "EHLO me@x.example": "EHLO m***@x.example",
    "220 mx.example.net ESMTP": "220 mx.example.net ESMTP",
    "[1234 octets of content]": "[1234 octets of content]",
    "[redacted]": "[redacted]",
}


@pytest.mark.parametrize(("line", "wanted"), BY_HAND.items())
def test_lines(line: str, wanted: str) -> None:
    """Each way to write an address keeps the domain and loses the person; what is none stays as it is."""
    assert masked(line) == wanted


LOCALS = st.text(
    alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='<>()[],;:"@\\'), min_size=2
).filter(lambda local: local.casefold() != "postmaster" and "AUTH=" not in local.upper())

FRAMES = {
    "MAIL FROM:<{}@client.example>": "MAIL FROM:<{}@client.example>",
    "MAIL FROM:<{}@client.example> SIZE=1": "MAIL FROM:<{}@client.example> SIZE=1",
    "RCPT TO:<{}@client.example> NOTIFY=NEVER": "RCPT TO:<{}@client.example> NOTIFY=NEVER",
    "RCPT TO:<@relay.example:{}@client.example>": "RCPT TO:<@relay.example:{}@client.example>",
    "RCPT TO:<{}>": "RCPT TO:<{}>",
    "RCPT TO:<{}": "RCPT TO:<{}",
    "RCPT TO:{}": "RCPT TO:{}",
    "MAIL FROM:<> AUTH={}@client.example": "MAIL FROM:<> AUTH={}@client.example",
    "RCPT TO:<x@y.example> ORCPT=rfc822;{}@client.example": "RCPT TO:<x***@y.example> ORCPT=rfc822;{}@client.example",
    "550 5.1.1 <{}@client.example>: Recipient rejected": "550 5.1.1 <{}@client.example>: Recipient rejected",
    "250 {}@client.example": "250 {}@client.example",
    "551 try <{}@client.example>": "551 try <{}@client.example>",
}


@given(frame=st.sampled_from(sorted(FRAMES)), local=LOCALS)
@example(frame="550 5.1.1 <{}@client.example>: Recipient rejected", local="john***")
@example(frame="RCPT TO:<{}@client.example> NOTIFY=NEVER", local="a=b")
def test_no_local_part_survives(frame: str, local: str) -> None:
    """Of a local part its first letter or digit is left, wherever it stood, and masking again changes nothing."""
    short = (local[0] if local[0].isalnum() else "") + "***"
    made = masked(frame.format(local))
    assert made == FRAMES[frame].format(short)
    assert masked(made) == made


@given(inside=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<>")))
def test_a_quoted_local_part_is_gone_whole(inside: str) -> None:
    """Between quotes anything may stand, quotes and signs among it: none of it is left."""
    assert masked(f'RCPT TO:<"{inside}"@client.example>') == "RCPT TO:<***@client.example>"


@given(line=st.text())
def test_whatever_comes(line: str) -> None:
    """No text makes it raise, and what comes out is printable ASCII."""
    made = masked(line)
    assert made.isascii()
    assert not made or made.isprintable()


def test_names_repeated_by_replies() -> None:
    """A reply that names the person without a domain is masked too; a host's name that holds the same word is not."""
    lines = [
        (True, "MAIL FROM:<ann@client.example>"),
        (False, "250 2.1.0 Ann is fine"),
        (True, "RCPT TO:<mail@example.net>"),
        (False, "550 mail.example.net says: mail unknown, (ann) at post-mail"),
        (True, 'RCPT TO:<"joe smith"@example.net>'),
        (False, "550 joe smith: over quota"),
        (True, "EHLO ann"),
    ]
    assert masked_all(lines) == [
        "MAIL FROM:<a***@client.example>",
        "250 2.1.0 A*** is fine",
        "RCPT TO:<m***@example.net>",
        "550 mail.example.net says: m*** unknown, (a***) at post-mail",
        "RCPT TO:<***@example.net>",
        "550 j***: over quota",
        "EHLO ann",
    ]


def test_nothing_to_remember() -> None:
    """A session without an envelope is only looked through for addresses; a name of one letter is no name."""
    assert masked_all([(False, "220 a mx"), (True, "RCPT TO:<a>"), (False, "550 a")]) == [
        "220 a mx",
        "RCPT TO:<a***>",
        "550 a",
    ]
