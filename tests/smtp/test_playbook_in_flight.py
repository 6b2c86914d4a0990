"""What may be in flight together, and where our own answers stand among the replies (design rule 5)."""

from .playbook import play
from .stages import MAIL, RCPT


def test_one_accepted_recipient_is_enough() -> None:
    """With one RCPT accepted DATA is lawful."""
    play(MAIL + "C>U RCPT TO:<x@b>\nC+U RCPT TO:<b@b>\nC+ DATA\nu>c 550 No\nu>c 250 Ok\nU< DATA\nu>c 354 Go")


def test_a_bad_rcpt_among_rcpts_in_flight() -> None:
    """Rule 5: our 500 waits for the replies before it, and the RCPT behind it for our 500."""
    play(
        MAIL
        + """
        C>U RCPT TO:<b@b.example>
        C+U RCPT TO:<c@b.example>
        C+ RCPT TO:<\\x07@b.example>
        C+ RCPT TO:<d@b.example>
        C+ DATA
        u>c 250 b
        u>c 250 c
        G< 500 5.5.2 SG302
        U< RCPT TO:<d@b.example>
        ! SG302 refuse sent_ahead=yes
        u>c 250 d
        U< DATA
        u>c 354 Go
        """
    )


def test_our_503_stands_behind_the_replies_in_flight() -> None:
    """A nested MAIL behind RCPTs in flight: its 503 comes after their replies, and what follows after it."""
    play(
        MAIL
        + """
        C>U RCPT TO:<b@b.example>
        C+U RCPT TO:<c@b.example>
        C+ MAIL FROM:<x@x.example>
        C+ RCPT TO:<d@b.example>
        u>c 250 b
        u>c 550 c
        G< 503 5.5.1 SG105
        U< RCPT TO:<d@b.example>
        ! SG105 refuse
        u>c 250 d
        """
    )


def test_at_most_64_rcpts_in_flight() -> None:
    """Rule 5: the 65th RCPT waits for a reply."""
    rcpts = [f"RCPT TO:<r{n}@b.example>" for n in range(66)]
    together = "".join(f"{'C+U' if n else 'C>U'} {line}\n" for n, line in enumerate(rcpts[:64]))
    play(
        MAIL
        + together
        + f"C+ {rcpts[64]}\nC+ {rcpts[65]}\nu>c 250 Ok\nU< {rcpts[64]}\nu>c 250 Ok\nU< {rcpts[65]}\n"
        + "u>c 250 Ok\n" * 64
    )


def test_a_nested_mail_refused_leaves_its_rcpt_in_order() -> None:
    """The transaction is open still, so RCPT and DATA pipelined behind a nested MAIL are lawful."""
    play(
        RCPT
        + """
        C> MAIL FROM:<x@x.example>
        C+ RCPT TO:<d@b.example>
        C+ DATA
        G< 503 5.5.1 SG105
        U< RCPT TO:<d@b.example>
        ! SG105 refuse
        u>c 250 Ok
        U< DATA
        u>c 354 Go
        """
    )
