#!/usr/bin/env python3
"""Adds up the test cases of Meson's test logs and prints `N passed, N failed`.

usage: count_tests.py [--brief] testlog.json...

A GoogleTest program counts its cases, a script that closes with a line `N passed, N failed` counts
those, anything else counts as one. A program that crashed, ran out of time or failed without naming a
case counts one failure, so that nothing that went wrong can be lost in the sum. Names what failed and
exits with 1 when something did, or when there was nothing to count.
"""
import json
import re
import sys

GTEST_PASSED = re.compile(r'^\[  PASSED  \] (\d+) tests?\.', re.M)
GTEST_FAILED = re.compile(r'^\[  FAILED  \] (\d+) tests?, listed below', re.M)
GTEST_SKIPPED = re.compile(r'^\[  SKIPPED \] (\d+) tests?, listed below', re.M)
SCRIPT = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.M)


def cases_of(log_entry):
    """(passed, failed, skipped) of one Meson test."""
    output = log_entry.get('stdout') or ''
    result = log_entry['result']
    if result == 'SKIP':
        return 0, 0, 1
    script = SCRIPT.findall(output)
    if script:
        passed, failed, skipped = (int(number or 0) for number in script[-1])
    elif GTEST_PASSED.search(output):
        passed = sum(map(int, GTEST_PASSED.findall(output)))
        failed = sum(map(int, GTEST_FAILED.findall(output)))
        skipped = sum(map(int, GTEST_SKIPPED.findall(output)))
    else:
        passed, failed, skipped = (1, 0, 0) if result == 'OK' else (0, 1, 0)
    if result not in ('OK', 'EXPECTEDFAIL') and failed == 0:
        failed = 1
    return passed, failed, skipped


def main(arguments):
    brief = '--brief' in arguments
    passed = failed = skipped = 0
    for path in (argument for argument in arguments if argument != '--brief'):
        with open(path, encoding='utf-8') as log:
            for line in log:
                entry = json.loads(line)
                counts = cases_of(entry)
                passed, failed, skipped = (a + b for a, b in zip((passed, failed, skipped), counts))
                if counts[1] and not brief:
                    print(f"failed: {entry['name']} ({entry['result']}, {counts[1]} cases), log in {path}")
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed or passed == 0 else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
