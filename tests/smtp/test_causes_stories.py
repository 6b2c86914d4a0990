"""The stories behind the causes, at the engine: sessions that cost their owners months, as the threads tell them.

The same stories are played by a real client before a real server in tests/against/test_stories.
"""

from .playbook import play
from .stages import ACCEPTED, DELIVERED, EHLO, HELO, RCPT, transaction

NESTED = "C> MAIL FROM:<next@a.example>\nG< 503 5.5.1 SG105\n! SG105 refuse {}\n"
REFUSED_RCPT = "C>U RCPT TO:<x@b.example>\nu>c 550 5.1.1 Unknown\n"


def test_an_error_before_the_end_of_data_and_no_rset() -> None:
    """letsencrypt/boulder#3191: a RCPT among others or DATA was refused, the mailer gave that message up and began the
    next one. The finding quotes the reply that it all began with."""
    play(RCPT + REFUSED_RCPT + NESTED.format("cause=pooled-connection previous=RCPT:550"))
    refused = "C>U DATA\nu>c 451 4.3.0 Try later\n"
    play(RCPT + refused + NESTED.format("cause=no-rset-after-refused-data previous=DATA:451"))
    play(RCPT + refused + "C>U RSET\nu>c 250 Ok\n" + transaction() + "? violations=0")


def test_a_group_with_a_refused_data_and_no_rset() -> None:
    """swiftmailer#1265: the group's DATA is a consequence and nobody's fault; the one violation is the next MAIL, and
    its cause is the RSET that is missing."""
    play(
        EHLO
        + """
        C> MAIL FROM:<a@a.example>
        C+ RCPT TO:<x@b.example>
        C+ DATA
        U< MAIL FROM:<a@a.example>
        u>c 250 Ok
        U< RCPT TO:<x@b.example>
        u>c 550 Unknown
        G< 554 5.5.1 SG104
        ! SG104 refuse consequence cause=all-recipients-refused violations=0
        """
        + NESTED.format("cause=no-rset-after-refused-data previous=DATA:554 violations=1")
        + "? violations=1 consequences=1 rules=SG105:1"
    )


def test_one_bad_recipient_in_a_loop() -> None:
    """PHPMailer#156: DATA although the only recipient was refused, then a loop of MAILs, each answered 503: one cause,
    one number at the session's end."""
    play(
        EHLO
        + transaction()
        + REFUSED_RCPT
        + "C> DATA\nG< 503 5.5.1 SG104\n! SG104 refuse cause=all-recipients-refused\n"
        + NESTED.format("cause=no-rset-after-refused-data") * 3
        + "? rules=SG104:1,SG105:3 violations=4"
    )


def test_a_loop_that_skips_data() -> None:
    """PHPMailer#125: the same loop without DATA: every MAIL of it has the refused recipient for its cause."""
    loop = NESTED.format("cause=all-recipients-refused") * 3
    play(EHLO + transaction() + REFUSED_RCPT + loop + "? rules=SG105:3")


def test_a_connection_given_back_in_a_transaction() -> None:
    """knadh/smtppool PR 8: a connection that had served before came back to the pool with a transaction open."""
    play(DELIVERED + transaction() + ACCEPTED + NESTED.format("cause=pooled-connection previous=RCPT:250"))
    play(DELIVERED + transaction() + ACCEPTED + "C>U RSET\nu>c 250 Ok\n" + transaction() + "? violations=0")


def test_helo_and_then_auth() -> None:
    """forkcms#666: the client had said HELO, so nobody had offered it AUTH; with EHLO the same line is in order."""
    play(HELO + "C>U AUTH PLAIN SECRET\n! SG113 note cause=helo-then-esmtp enforced=note\nu>c 503 5.5.1 No\n")
    play(EHLO + "C>U AUTH PLAIN SECRET\nu>c 235 Ok\n? violations=0 rules=none")


def test_a_503_that_tells_what_is_missing() -> None:
    """mludvig/smtp-cli#24, deanproxy/eMail#45: "503 Bad sequence of commands" alone helps nobody; ours has the rule."""
    play(EHLO + "C> RCPT TO:<b@b.example>\nG< 503 5.5.1 SG102\n! SG102 refuse cause=unknown previous=EHLO:250\n")


def test_data_without_a_valid_recipient() -> None:
    """mscdex/node-imap#916: what a mail program's user is shown when each of his recipients was refused."""
    play(
        EHLO
        + transaction()
        + REFUSED_RCPT
        + "C> DATA\nG< 503 5.5.1 SG104\n! SG104 refuse cause=all-recipients-refused previous=RCPT:550\n"
    )
