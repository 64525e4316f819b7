#!/usr/bin/env python3
"""Compiles every source of a build folder's compile_commands.json without making code of it.

For a second compiler, of which only the diagnostics are wanted: the flags are those of the build, --werror
included.

usage: check_syntax.py BUILD_DIR
Closes with `N passed, N failed`.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys


def syntax_command(entry):
    """The entry's command without its outputs."""
    words = shlex.split(entry['command'])
    command, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ('-o', '-MF', '-MQ', '-MT'):
            skip = True
        elif word not in ('-c', '-MD', '-MMD'):
            command.append(word)
    return command + ['-fsyntax-only']


def check(entry):
    result = subprocess.run(syntax_command(entry), cwd=entry['directory'], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode == 0, entry['file'], result.stdout


def main():
    entries = json.loads((pathlib.Path(sys.argv[1]) / 'compile_commands.json').read_text())
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for good, file, output in pool.map(check, entries):
            passed, failed = passed + good, failed + (not good)
            if not good:
                print(f'{file}:\n{output}')
    print(f'{passed} passed, {failed} failed')
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
