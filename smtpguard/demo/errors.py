"""Why a demo cannot go on."""


class DemoError(Exception):
    """A person's mistake or a machine's trouble; the message ends with the cure.

    `exit_code`: 69 something does not answer (EX_UNAVAILABLE of sysexits.h), 78 the guard refused to start, 2 usage.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
