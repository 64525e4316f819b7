#!/usr/bin/env python3
"""Compiles each public header alone: first in an otherwise empty file, twice (its guard), warnings as errors.

usage: check_headers.py INCLUDE_DIR COMPILER...

Clients may build without exceptions and without run-time type information, so every compiler does it both
ways. Prints what failed, then `N passed, N failed` (a case per header, compiler and way).
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

FLAGS = ['-std=c++20', '-fsyntax-only', '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow',
         '-Werror', '-x', 'c++', '-']
WAYS = [[], ['-fno-exceptions', '-fno-rtti']]


def compile_alone(case):
    include_dir, header, compiler, way = case
    source = f'#include "{header}"\n#include "{header}"\n'
    # The compiler may be "ccache g++"; nothing is compiled here that could be cached.
    command = [compiler, f'-I{include_dir}', *way, *FLAGS]
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    return header, ' '.join([compiler, *way]), result.returncode == 0, result.stderr


def main(include_dir, compilers):
    headers = sorted(str(path.relative_to(include_dir)) for path in pathlib.Path(include_dir).rglob('*.h'))
    cases = [(include_dir, header, compiler, way)
             for header in headers for compiler in compilers for way in WAYS]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for header, command, good, errors in pool.map(compile_alone, cases):
            if not good:
                failed += 1
                print(f'{header} does not compile alone with {command}:\n{errors}')
    print(f'{len(headers)} headers, compilers: {", ".join(compilers)}')
    print(f'{len(cases) - failed} passed, {failed} failed')
    return 1 if failed or not cases else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
