#!/usr/bin/env python3
"""Holds every #include of lib/ and include/flagstone/ against the layers.

usage: check_layers.py SOURCE_ROOT

The table is flagstone_layers in lib/meson.build, which exists once. Rules:
  1. A row of the table names only earlier rows, and every folder of lib/ has a row.
  2. A file of lib/<module>/ includes "lib/<x>/..." only where the row of <module> names <x>, <x> is the
     module itself, or <x> is base; every other quoted include is "flagstone/...".
  3. A public header includes headers of the standard library and "flagstone/..." that exist, nothing else.
  4. A header's include guard is its path.
Prints each violation, then `N passed, N failed` (a case per file and one for the table).
"""
import ast
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)

# C++20's, without those of C that C++ takes over as <stdio.h> and the like.
STANDARD_HEADERS = frozenset('''
    algorithm any array atomic barrier bit bitset charconv chrono codecvt compare complex concepts
    condition_variable coroutine deque exception execution filesystem format forward_list fstream
    functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list
    locale map memory memory_resource mutex new numbers numeric optional ostream queue random ranges
    ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept
    stop_token streambuf string string_view strstream syncstream system_error thread tuple type_traits
    typeindex typeinfo unordered_map unordered_set utility valarray variant vector version
    cassert cctype cerrno cfenv cfloat cinttypes climits clocale cmath csetjmp csignal cstdarg cstddef
    cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype
    stddef.h stdint.h'''.split())


class TableError(Exception):
    """lib/meson.build holds no table that can be read."""


def read_layers(root):
    """The table: module -> modules it may include, in layer order."""
    text = (root / 'lib' / 'meson.build').read_text(encoding='utf-8')
    found = re.search(r'^flagstone_layers = (\{.*?^\})', text, re.M | re.S)
    if not found:
        raise TableError('lib/meson.build: no table flagstone_layers')
    return ast.literal_eval(found.group(1))


def check_table(root, layers):
    problems = []
    earlier = []
    for module, allowed in layers.items():
        for other in allowed:
            if other not in earlier:
                problems.append(f'lib/meson.build: {module} may include {other}, which is no earlier row')
        earlier.append(module)
    for folder in sorted(path for path in (root / 'lib').iterdir() if path.is_dir()):
        if folder.name not in layers:
            problems.append(f'lib/{folder.name}: no row in flagstone_layers of lib/meson.build')
    return problems


def check_guard(path, text):
    expected = re.sub(r'[^A-Z0-9]', '_', str(path).upper().removeprefix('INCLUDE/')) + '_'
    if not expected.startswith('FLAGSTONE_'):
        expected = 'FLAGSTONE_' + expected
    if not re.search(rf'^#ifndef {expected}\n#define {expected}$', text, re.M):
        return [f'{path}: its include guard is not {expected}']
    return []


def check_library_file(path, text, layers):
    module = path.parts[1]
    allowed = {'base', module, *layers.get(module, ())}
    problems = []
    for kind, name in INCLUDE.findall(text):
        parts = name.split('/')
        if parts[0] == 'lib':
            if kind == '<':
                problems.append(f'{path}: <{name}> is ours, write "{name}"')
            if len(parts) < 3 or parts[1] not in allowed:
                problems.append(f'{path}: includes {name}, but {module} may include only '
                                + ', '.join(sorted(allowed)))
        elif kind == '"' and parts[0] not in ('flagstone', 'absl'):
            problems.append(f'{path}: "{name}" is neither "lib/...", "flagstone/..." nor "absl/..."')
    return problems


def check_public_header(root, path, text):
    problems = []
    for kind, name in INCLUDE.findall(text):
        if kind == '<' and name not in STANDARD_HEADERS:
            problems.append(f'{path}: <{name}> is not of the standard library')
        elif kind == '"' and not (name.startswith('flagstone/') and (root / 'include' / name).is_file()):
            problems.append(f'{path}: "{name}" is no public header')
    return problems


def check(root):
    """Yields (what was checked, its problems)."""
    try:
        layers = read_layers(root)
    except (TableError, ValueError, SyntaxError) as error:
        yield 'the table', [str(error)]
        return
    yield 'the table', check_table(root, layers)
    files = [path for folder in ('lib', 'include') for path in sorted((root / folder).rglob('*'))
             if path.suffix in ('.h', '.cc')]
    for file in files:
        path = file.relative_to(root)
        text = file.read_text(encoding='utf-8')
        problems = check_guard(path, text) if path.suffix == '.h' else []
        if path.parts[0] == 'include':
            problems += check_public_header(root, path, text)
        elif len(path.parts) < 3:
            problems.append(f'{path}: sources of the library lie in a module\'s folder')
        else:
            problems += check_library_file(path, text, layers)
        yield str(path), problems


def main(root):
    passed = failed = 0
    for _, problems in check(pathlib.Path(root)):
        for problem in problems:
            print(problem)
        passed, failed = (passed, failed + 1) if problems else (passed + 1, failed)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or passed < 2 else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
