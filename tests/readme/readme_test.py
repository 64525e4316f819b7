#!/usr/bin/env python3
"""What: the code in README.md and docs/api.md compiles without a warning and does what it says; every path, command
      and option those two name exists.
How:  takes the ```cpp blocks as they stand, wraps those of docs/api.md into one program of functions that return
      whether they held, and links them with the shared library of this build.

usage: readme_test.py SOURCE_ROOT BUILD_DIR [FLAGSTONE_PROGRAM]
Closes with `N passed, N failed`.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv[1])
BUILD = pathlib.Path(sys.argv[2])
PROGRAM = sys.argv[3] if len(sys.argv) > 3 else None
CXX = os.environ.get('CXX', 'g++').split()
README = (SOURCE / 'README.md').read_text(encoding='utf-8')
API = (SOURCE / 'docs' / 'api.md').read_text(encoding='utf-8')

MAIN = '''
struct Example {
  const char* name;
  bool (*holds)(Store&, Session&, const RecordTableOf<Account>&, RecordId);
};

int main() {
  int failed = 0;
  for (const Example& example : {%s}) {
    Store store = *Store::OpenInMemory({});
    const auto accounts = *store.CreateTableOf<Account>("accounts");
    Session session = *store.NewSession();
    const RecordId id = *session.Insert(accounts, Account{1, 100});
    const bool held = example.holds(store, session, accounts, id);
    std::printf("%%s %%s\\n", held ? "held" : "failed", example.name);
    failed += !held;
  }
  return failed;
}
'''


def blocks_of(text):
    """The C++ blocks, each with the number of its first line."""
    blocks = []
    for match in re.finditer(r'^```cpp\n(.*?)^```$', text, re.M | re.S):
        blocks.append((text.count('\n', 0, match.start(1)) + 1, match.group(1)))
    return blocks


def compile_and_run(test, code):
    """Compiles a program, runs it, and returns what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, 'program.cc')
        source.write_text(code, encoding='utf-8')
        program = pathlib.Path(folder, 'program')
        compiled = subprocess.run(
            [*CXX, '-std=c++20', '-O1', '-Wall', '-Wextra', '-Wpedantic', '-Werror', f'-I{SOURCE}/include', source,
             f'-L{BUILD}/lib', '-lflagstone', f'-Wl,-rpath,{BUILD}/lib', '-pthread', '-o', program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        test.assertEqual(compiled.returncode, 0, compiled.stdout)
        ran = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                             timeout=60)
        test.assertEqual(ran.returncode, 0, ran.stdout)
        return ran.stdout


class ReadmeTest(unittest.TestCase):
    def test_the_program_of_the_readme_compiles_and_prints_what_it_moved(self):
        (_, code), = blocks_of(README)
        self.assertRegex(compile_and_run(self, code), r'^r[0-9a-z]{13} has 30\n$')

    def test_the_program_of_the_readme_is_short(self):
        (_, code), = blocks_of(README)
        statements = [line for line in code.splitlines() if line.strip() and not line.startswith('#include')]
        self.assertLessEqual(len(statements), 15)

    def test_every_example_of_the_api_page_holds(self):
        (_, prelude), *examples = blocks_of(API)
        self.assertGreaterEqual(len(examples), 8)
        code = ['#include <cstdio>', '#include <vector>', prelude]
        table = []
        for number, (line, body) in enumerate(examples):
            code.append(f'bool Example{number}([[maybe_unused]] Store& store, [[maybe_unused]] Session& session,\n'
                        '    [[maybe_unused]] const RecordTableOf<Account>& accounts, '
                        f'[[maybe_unused]] RecordId id) {{\n#line {line} "docs/api.md"\n{body}}}')
            table.append(f'Example{{"docs/api.md:{line}", Example{number}}}')
        code.append(MAIN % ', '.join(table))
        output = compile_and_run(self, '\n'.join(code))
        self.assertEqual(output.count('held '), len(examples), output)

    def test_every_call_the_api_page_names_is_declared(self):
        headers = '\n'.join(path.read_text(encoding='utf-8')
                            for path in sorted((SOURCE / 'include' / 'flagstone').glob('*.h')))
        rows = [line for line in API.splitlines() if line.startswith('| ')]
        names = set()
        for row in rows:
            right = row.split('|', 2)[2]
            names.update(re.findall(r'`(?:\w+::)*(\w+)`', right))
        names -= {'fork'}
        self.assertGreater(len(names), 50)
        self.assertEqual([name for name in sorted(names) if not re.search(rf'\b{name}\b', headers)], [])

    def test_every_status_code_has_a_row(self):
        source = (SOURCE / 'lib' / 'base' / 'status.cc').read_text(encoding='utf-8')
        codes = set(re.findall(r'return "([A-Z_]{3,})"', source)) - {'OK', 'UNKNOWN'}
        self.assertGreaterEqual(len(codes), 11)
        errors = API[API.index('## Errors'):]
        self.assertEqual([code for code in sorted(codes) if f'| {code}' not in errors and f', {code}' not in errors],
                         [])

    def test_every_file_the_readme_names_is_there(self):
        named = set(re.findall(r'`((?:docs|tools|tests)/[\w./]+|[A-Z]+(?:\.md)?)`', README))
        named |= set(re.findall(r'^ {4}\./(\S+)', README, re.M))
        self.assertGreater(len(named), 6)
        self.assertEqual([name for name in sorted(named) if not (SOURCE / name).exists()], [])

    @unittest.skipIf(PROGRAM is None, 'the program is not built')
    def test_every_command_the_readme_names_has_help(self):
        commands = set(re.findall(r'`flagstone ((?:[a-z]+ ?)+)', README))
        self.assertGreaterEqual(len(commands), 2)
        for command in sorted(commands):
            with self.subTest(command):
                ran = subprocess.run([PROGRAM, *command.split(), '--help'], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, check=False)
                self.assertEqual(ran.returncode, 0, ran.stdout)


if __name__ == '__main__':
    result = unittest.main(exit=False, argv=sys.argv[:1], verbosity=0).result
    skipped = len(result.skipped)
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed - skipped} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    sys.exit(0 if result.wasSuccessful() else 1)
