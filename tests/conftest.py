"""What holds for every test: how hypothesis searches, that continuous integration skips nothing, and that each line of
the audit is what its published schema says (`audited`).

A test that wants a program of the system skips by name where it is missing. With `TEST_FAIL_ON_SKIP=1`, as
`.ci/run` has it, such a skip is a failure.
"""

import os
from collections.abc import Generator

import hypothesis
import pytest

from tests import audited

# No deadline: on a busy machine an example that is slow once is no finding. In CI the same examples in every run.
hypothesis.settings.register_profile("smtpguard", deadline=None, derandomize="CI" in os.environ)
# For the coverage run, which measures what the plain tests reach: there the search is only in the way.
hypothesis.settings.register_profile("coverage", deadline=None, derandomize=True, max_examples=5)
hypothesis.settings.load_profile("smtpguard")

audited.watch()

FAIL_ON_SKIP = os.environ.get("TEST_FAIL_ON_SKIP") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where nothing may be skipped."""
    report = yield
    if FAIL_ON_SKIP and report.skipped:
        report.outcome, report.longrepr = "failed", f"nothing may be skipped here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that skips itself."""
    report = yield
    if FAIL_ON_SKIP and report.skipped:
        report.outcome, report.longrepr = "failed", f"nothing may be skipped here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Fail a test in which a line of the audit was made that its schema does not allow."""
    yield
    _no_wrong_line()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """The same for what is made while fixtures end."""
    yield
    _no_wrong_line()


def _no_wrong_line() -> None:
    found = audited.wrong()
    assert not found, "\n".join(["the audit's schema does not allow this:", *found[:5]])
