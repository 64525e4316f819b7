#!/usr/bin/env python3
"""What: the flagstone program as a user meets it: help, exit codes, errors on stderr, JSON, colour, hostile input.
How:  runs it in a temporary folder with files of the test's own making.

usage: program_test.py FLAGSTONE_PROGRAM
Closes with `N passed, N failed`.
"""
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import unittest

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
GOLDEN_ID = 'r0e5dak0r028t5'


def run(*arguments, stdin=None, environment=None):
    base = {key: value for key, value in os.environ.items() if key not in ('NO_COLOR', 'TERM')}
    result = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, check=False, timeout=120, env={**base, **(environment or {})})
    result.stdout = result.stdout.decode()
    result.stderr = result.stderr.decode()
    return result


def run_on_terminal(*arguments, environment=None):
    """Runs the program with a terminal for stdout and stderr and returns what it wrote there."""
    base = {key: value for key, value in os.environ.items() if key != 'NO_COLOR'}
    ours, theirs = pty.openpty()
    with subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                          env={**base, 'TERM': 'xterm', **(environment or {})}) as process:
        os.close(theirs)
        output = b''
        while select.select([ours], [], [], 60)[0]:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            output += chunk
        os.close(ours)
    return output.decode()


def commands_below(path):
    """The command and all below it, as its help names them."""
    page = run(*path, '--help').stdout
    listed = re.search(r'^Subcommands:\n((?:  .*\n)+)', page, re.M)
    names = re.findall(r'^  (\w+)', listed.group(1), re.M) if listed else []
    return [path] + [command for name in names for command in commands_below([*path, name])]


COMMANDS = commands_below([])


def options_of(command):
    """From each option of a command's help page to whether it takes a value."""
    options = {}
    for names, value in re.findall(r'^  (-[-\w,]+)( [A-Z]+)?(?: {2,}|$)', run(*command, '--help').stdout, re.M):
        options.update({name: bool(value) for name in names.split(',')})
    return options


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, content, name='ranges'):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def demo(self, path, *arguments):
        return run('demo', f'--file={path}', '--reads=1000', *arguments)

    def assert_fails(self, result, code, *words):
        """One line `flagstone: ...` on stderr with these words, nothing but results on stdout."""
        self.assertEqual(result.returncode, code, result.stderr)
        last = result.stderr.strip().splitlines()[-1]
        self.assertTrue(last.startswith('flagstone: '), last)
        for word in words:
            self.assertIn(word, last)

    # --- help and the command line

    def test_every_command_has_help_with_examples_and_exit_codes(self):
        self.assertGreaterEqual(len(COMMANDS), 12)
        for command in COMMANDS:
            with self.subTest(' '.join(command)):
                result = run(*command, '--help')
                self.assertEqual((result.returncode, result.stderr), (0, ''))
                self.assertRegex(result.stdout, r'Usage: flagstone ' + ' '.join(command))
                footer = result.stdout[result.stdout.index('Examples:\n'):]
                examples, codes = footer.split('Exit codes:\n')
                # Every example is a call of this command; of a group, of one of its commands.
                for example in examples.splitlines()[1:]:
                    self.assertIn('flagstone ' + ' '.join(command), example)
                self.assertRegex(codes, r'^  0  \S')
                self.assertRegex(codes, r'(?m)^  1  \S')
                self.assertIn('\n  2  wrong command line; nothing was done\n', codes)
                self.assertEqual('\n  3  ' in codes, command[:1] in ([], ['bench']))

    def test_help_fits_a_terminal_and_describes_every_option(self):
        for command in COMMANDS:
            with self.subTest(' '.join(command)):
                page = run(*command, '--help').stdout
                self.assertEqual([line for line in page.splitlines() if len(line) > 100], [])
                self.assertNotRegex(page, r'UINT|FLOAT|TEXT|\{')
                described = re.findall(r'^  -\S+(?: [A-Z]+)?(?: {2,}|\n {30})(\S.*)', page, re.M)
                self.assertEqual(len(described), len(re.findall(r'^  -', page, re.M)))
                for words in described:
                    self.assertRegex(words, r'^([A-Z0-9]|auto|skip)')

    def test_the_examples_of_the_help_are_well_formed(self):
        """Each is run with --help behind it, so that the parser refuses wrong values; what it does not know, --help
        would hide."""
        of_the_program = options_of([])
        for command in COMMANDS:
            page = run(*command, '--help').stdout
            for example in re.findall(r'^  (.*?flagstone .*)$', page[page.index('Examples:'):page.index('Exit codes')],
                                      re.M):
                # Up to what the shell takes, or the explanation behind it.
                call = re.split(r' {2,}|[|<>]|2>|\|\||\)', example[example.index('flagstone '):])[0].split()[1:]
                with self.subTest(example):
                    result = run(*call, '--help')
                    self.assertEqual((result.returncode, result.stderr), (0, ''))
                    called = max((other for other in COMMANDS if call[:len(other)] == other), key=len)
                    known = {*of_the_program, *options_of(called)}
                    self.assertLessEqual({word.split('=')[0] for word in call if word.startswith('--')}, known)

    def test_the_program_explains_itself_and_names_every_command(self):
        result = run('--help')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        for word in ('demo', 'doctor', 'id', 'Exit codes', '--color', '--quiet', '--version'):
            self.assertIn(word, result.stdout)

    def test_the_version_is_one_line(self):
        result = run('--version')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertRegex(result.stdout, r'^flagstone \d+\.\d+\.\d+\n$')

    def test_mistakes_on_the_command_line_are_code_2_and_name_the_help(self):
        for arguments, word in (([], 'a command is missing'), (['dmo'], "'dmo'"), (['id'], 'a command is missing'),
                                (['id', 'x'], "'x'"), (['demo', '--nope'], '--nope'),
                                (['demo', '--reads=x'], '--reads'), (['demo', '--reads=0'], '--reads'),
                                (['demo', '--pages=3m'], '3m'), (['--color=blue', 'doctor'], 'blue'),
                                (['id', 'decode'], 'ID'), (['demo', '--on-bad-line=ask'], 'ask'),
                                (['demo', '--bad\x1b[2J'], '\\x1b[2J')):
            with self.subTest(arguments):
                result = run(*arguments)
                self.assert_fails(result, 2, word, '--help`')
                self.assertEqual(result.stdout, '')
                self.assertEqual(len(result.stderr.splitlines()), 1)

    # --- completion

    def complete(self, *words):
        """What bash offers for the last word. The words are as bash splits them: --a=b is three."""
        script = self.folder / 'completion'
        if not script.exists():
            script.write_text(run('completion', 'bash').stdout, encoding='utf-8')
        code = (f'source {script}; COMP_WORDS=(flagstone "$@"); COMP_CWORD=$#; _flagstone; '
                'printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(['bash', '--norc', '-uc', code, 'bash', *words], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, check=False, cwd=self.folder)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        return sorted(word for word in result.stdout.split('\n') if word)

    def test_completion_offers_every_command_and_option_of_the_help(self):
        of_the_program = {name for name in options_of([]) if name not in ('-h', '--help', '--version')}
        for command in COMMANDS:
            with self.subTest(' '.join(command)):
                below = [other[-1] for other in COMMANDS if other[:-1] == command and other != command]
                if below:
                    self.assertEqual(self.complete(*command, ''), sorted(below))
                self.assertEqual(self.complete(*command, '-'), sorted(of_the_program | set(options_of(command))))
        self.assertEqual(self.complete('be'), ['bench'])
        self.assertEqual(self.complete('demo', '--p'), ['--pages', '--progress'])

    def test_completion_offers_the_values_that_the_parser_takes(self):
        offered = 0
        for command in COMMANDS:
            for option, takes_value in options_of(command).items():
                for form in ([option], [option, '=']):
                    values = self.complete(*command, *form, '')
                    if not takes_value:
                        continue
                    for value in values:
                        if (self.folder / value).exists():
                            continue  # a file
                        offered += 1
                        with self.subTest(f'{command} {option} {value}'):
                            if form == [option]:
                                self.assertEqual(run(*command, option, value, '--help').returncode, 0)
                            self.assertIn(value, self.complete(*command, *form, value[:1]))
                            # The word behind it is no value any more.
                            self.assertNotIn(value, self.complete(*command, *form, value, '-'))
        self.assertGreater(offered, 60)
        self.assertEqual(self.complete('bench', 'read', '--pages', ''), ['1g', '2m', '4k', 'thp'])
        self.assertEqual(self.complete('demo', '--pages', '='), ['1g', '2m', '4k', 'thp'])
        self.assertEqual(self.complete('--color', 'never', 'id', ''), ['decode', 'explain', 'layout'])
        self.assertEqual(self.complete('id', 'layout', '--color', 'a'), ['always', 'auto'])
        self.assertEqual(self.complete('demo', '--reads', ''), [])
        self.assertEqual(self.complete('completion', ''), ['bash'])

    def test_completion_offers_files_and_folders_where_the_command_takes_them(self):
        self.file('', 'a file')
        (self.folder / 'a folder').mkdir()
        self.assertEqual(self.complete('demo', '--file', 'a'), ['a file', 'a folder'])
        self.assertEqual(self.complete('bench', 'mixed', '--baseline', '=', 'a'), ['a file', 'a folder'])
        self.assertEqual(self.complete('doctor', 'a'), ['a folder'])
        # A command's name that is an option's value is no command.
        self.assertEqual(self.complete('demo', '--file', 'id', '--js'), ['--json'])

    def test_completion_of_another_shell_is_refused(self):
        self.assert_fails(run('completion', 'fish'), 2, 'fish', 'bash')
        self.assert_fails(run('completion'), 2, 'SHELL')

    # --- bench

    SMALL = ('--records', '1000', '--rounds', '5', '--seconds', '0.001', '--pages', '4k', '--stride', '64')

    def report(self, *arguments, bench='update'):
        result = run('bench', bench, *self.SMALL, '--json', '-', *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def baseline(self, report, factor):
        """A file in which every judged ratio is `factor` times as good, without spread."""
        for row in report['rows']:
            ratio = row['ratio']
            better = 1 / factor if row['good_side'] == 'at most' else factor
            ratio['median'] *= better
            ratio['low'] = ratio['high'] = ratio['median']
        return self.file(json.dumps(report), 'baseline.json')

    def test_the_json_of_every_benchmark_has_its_structure(self):
        for bench in ('read', 'insert', 'update', 'mixed'):
            with self.subTest(bench):
                result = run('bench', bench, '--quick', '--pages', '4k', '--json', '-')
                self.assertEqual(result.returncode, 0, result.stderr)
                report = json.loads(result.stdout)
                self.assertEqual(list(report), ['format', 'bench', 'machine', 'settings', 'rows', 'remarks'])
                self.assertEqual((report['format'], report['bench']), (1, bench))
                self.assertEqual(list(report['settings']),
                                 ['records', 'stride', 'threads', 'pages', 'rounds', 'seconds', 'seed'])
                self.assertEqual(report['settings']['records'], '20000')
                for name in ('processor', 'kernel', 'compiler', 'pages of the store'):
                    self.assertTrue(report['machine'][name])
                keys = [row['key'] for row in report['rows']]
                self.assertEqual(len(keys), len(set(keys)))
                self.assertGreater(len(keys), 2)
                for row in report['rows']:
                    self.assertRegex(row['key'], r'^[a-z0-9_]+$')
                    ratio = row['ratio']
                    self.assertTrue(ratio['low'] <= ratio['median'] <= ratio['high'], row)
                    self.assertIn(ratio['rounds'], (0, 2))
                    self.assertIn(row['good_side'], ('at most', 'at least'))
                    self.assertTrue(row['what'] and row['unit'] and row['reference_name'])
                    self.assertGreaterEqual(row['measured'], 0)
                    # Two rounds judge nothing; what was counted is judged.
                    if ratio['rounds'] == 2:
                        self.assertEqual(row['verdict'], 'not judged')
                    if 'goal' in row:
                        self.assertEqual(row['goal']['side'], row['good_side'])
                # The table went elsewhere, whole.
                self.assertIn(report['rows'][0]['what'], result.stderr)

    def test_quick_beside_a_size_of_ones_own_is_refused_and_names_both(self):
        for size in (('--records', '1000'), ('--rounds', '5'), ('--seconds', '0.001')):
            for order in (('--quick', *size), (*size, '--quick')):
                with self.subTest(order):
                    self.assert_fails(run('bench', 'update', *order, '--pages', '4k'), 2, '--quick', size[0])

    def test_json_in_a_file_leaves_the_table_on_stdout(self):
        path = self.folder / 'report.json'
        result = run('bench', 'update', *self.SMALL, '--json', path)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertIn('flagstone bench update, records 1000', result.stdout)
        self.assertEqual(json.loads(path.read_text())['settings']['records'], '1000')
        refused = run('bench', 'update', *self.SMALL, '--json', self.folder / 'none' / 'x')
        self.assert_fails(refused, 1, 'cannot write', 'none/x: No such file or directory')
        self.assertEqual(refused.stdout, '', 'it is found out before the run')

    def test_a_baseline_that_was_faster_is_code_1_and_names_the_rows(self):
        path = self.baseline(self.report(), 1000)
        result = run('bench', 'update', *self.SMALL, '--baseline', path)
        self.assertEqual((result.returncode, result.stderr), (1, ''))
        self.assertIn(f'against {path}:\n', result.stdout)
        self.assertRegex(result.stdout, r'(?m)^update +[\d.]+ x, was +[\d.]+ x  worse$')
        last = result.stdout.splitlines()[-1]
        self.assertRegex(last, r'^worse than the baseline, beyond the spread: update transaction')

    def test_a_baseline_that_was_slower_is_no_failure(self):
        report = self.report()
        report['rows'] = [row for row in report['rows'] if row['ratio']['rounds']]
        report['rows'].append({**report['rows'][0], 'key': 'forgotten'})
        path = self.baseline(report, 0.001)
        result = run('bench', 'update', *self.SMALL, '--baseline', path)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertRegex(result.stdout, r'(?m)^update +[\d.]+ x, was +[\d.]+ x  better$')
        self.assertRegex(result.stdout, r'(?m)^update_\w+ +[\d.]+ x +new$')
        self.assertIn('\nforgotten: only in the baseline\n', result.stdout)
        # With the JSON on stdout, what the comparison says is on stderr.
        both = run('bench', 'update', *self.SMALL, '--baseline', path, '--json', '-')
        self.assertEqual(both.returncode, 0)
        self.assertEqual(json.loads(both.stdout)['bench'], 'update')
        self.assertIn(f'against {path}:', both.stderr)

    def test_a_baseline_of_another_configuration_is_refused_before_the_run(self):
        report = self.report()
        for name, value, now in (('records', '2000', '1000'), ('stride', '1024', '64'), ('threads', '3', '2'),
                                 ('pages', '2 MiB', '4 KiB')):
            other = {**report, 'settings': {**report['settings'], name: value}}
            with self.subTest(name):
                path = self.file(json.dumps(other), 'other.json')
                result = run('bench', 'update', *self.SMALL, '--baseline', path)
                self.assert_fails(result, 1, str(path), f'its {name} is {value}, this run\'s is {now}',
                                  'run both with the same options')
                self.assertEqual(result.stdout, '')
        path = self.file(json.dumps({**report, 'bench': 'read'}), 'read.json')
        self.assert_fails(run('bench', 'update', *self.SMALL, '--baseline', path), 1,
                          "its benchmark is read, this run's is update")
        del report['settings']['threads']
        path = self.file(json.dumps(report), 'without.json')
        self.assert_fails(run('bench', 'update', *self.SMALL, '--baseline', path), 1, 'its threads is absent')

    def test_a_baseline_that_cannot_be_read_is_named_with_place_and_reason(self):
        report = self.report()
        row = report['rows'][0]
        cases = [('empty', '', 'line 1, column 1'),
                 ('cut', json.dumps(report, indent=1)[:200], 'line '),
                 ('binary', bytes(range(256)), 'line 1, column 1'),
                 ('list', '[]', 'it holds array, not an object'),
                 ('format', json.dumps({**report, 'format': 7}), 'format is 7, this program reads 1'),
                 ('nothing', '{"format": 1}', "key 'bench' not found"),
                 ('setting', json.dumps({**report, 'settings': {'records': 5}}),
                  'settings.records: type must be string, but is number'),
                 ('row', json.dumps({**report, 'rows': [row, {'key': 'x'}]}), "rows[1]: key 'ratio' not found"),
                 ('ratio', json.dumps({**report, 'rows': [{**row, 'ratio': {**row['ratio'], 'low': 'x'}}]}),
                  'rows[0]: type must be number, but is string'),
                 ('side', json.dumps({**report, 'rows': [{**row, 'good_side': 'left'}]}),
                  "rows[0]: good_side is 'left', not 'at most' or 'at least'")]
        for name, content, reason in cases:
            with self.subTest(name):
                path = self.file(content, name)
                result = run('bench', 'update', *self.SMALL, '--baseline', path)
                self.assert_fails(result, 1, str(path), reason)
                self.assertEqual((result.stdout, len(result.stderr.splitlines())), ('', 1))
        self.assert_fails(run('bench', 'update', *self.SMALL, '--baseline', self.folder / 'none'), 1,
                          'cannot read', 'none: No such file or directory')
        self.assert_fails(run('bench', 'update', *self.SMALL, '--baseline', self.folder), 1, 'cannot read',
                          'Is a directory')

    def test_options_of_a_benchmark_that_are_out_of_range_are_code_2(self):
        for arguments, word in ((['--records', '10'], 'records is 10'), (['--records', '1X'], '--records'),
                                (['--records', '-1'], '--records: -1 is below zero'), (['--rounds', '-2'], '-2'),
                                (['--seed', '-1'], '--seed: -1 is below zero'),
                                (['--threads', '1'], 'threads is 1'), (['--rounds', '0'], 'rounds is 0'),
                                (['--seconds', '0'], 'seconds is 0'), (['--stride', '41'], '41'),
                                (['--pages', '8k'], '8k')):
            with self.subTest(arguments):
                result = run('bench', 'read', *arguments)
                self.assert_fails(result, 2, word)
                self.assertEqual(result.stdout, '')

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open('/dev/full', 'wb') as full:
            result = subprocess.run([PROGRAM, 'id', 'layout'], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'flagstone: standard output could not be written', result.stderr)

    # --- colour and progress

    def test_colour_is_for_terminals_only_and_no_color_is_obeyed(self):
        explain = ('id', 'explain', GOLDEN_ID)
        self.assertNotIn('\x1b[', run(*explain).stdout)
        self.assertIn('\x1b[1m', run_on_terminal(*explain))
        self.assertNotIn('\x1b[', run_on_terminal(*explain, environment={'NO_COLOR': '1'}))
        self.assertNotIn('\x1b[', run_on_terminal(*explain, environment={'TERM': 'dumb'}))

    def test_the_colour_option_wins_wherever_it_stands(self):
        self.assertIn('\x1b[1m', run('--color=always', 'id', 'explain', GOLDEN_ID,
                                     environment={'NO_COLOR': '1'}).stdout)
        self.assertIn('\x1b[1m', run('id', 'explain', GOLDEN_ID, '--color=always').stdout)
        self.assertNotIn('\x1b[', run_on_terminal('--color=never', 'id', 'explain', GOLDEN_ID))

    def test_progress_is_for_terminals_or_on_request(self):
        path = self.file(''.join(f'{i},{i},AU\n' for i in range(0, 5000)))
        self.assertEqual(self.demo(path).stderr, '')
        self.assertIn('[####', self.demo(path, '--progress=always').stderr)
        self.assertIn('[####', run_on_terminal('demo', f'--file={path}', '--reads=1000'))
        self.assertNotIn('[####', run_on_terminal('demo', f'--file={path}', '--reads=1000', '--progress=never'))

    # --- id

    def test_an_id_is_decoded_from_each_of_its_forms(self):
        for form in (GOLDEN_ID, GOLDEN_ID.upper(), '0x0715aa9830012345', '510501703393551173'):
            with self.subTest(form):
                result = run('id', 'decode', form)
                self.assertEqual((result.returncode, result.stderr), (0, ''))
                for word in (GOLDEN_ID, '0x0715aa9830012345', '2026-11-19T20:23:40Z', 'class 3', 'slot 74565'):
                    self.assertIn(word, result.stdout)

    def test_ids_are_read_from_standard_input(self):
        result = run('id', 'decode', '-', stdin=f'{GOLDEN_ID}\n  0x0000000200000000 '.encode())
        self.assertEqual((result.returncode, len(result.stdout.splitlines())), (0, 2))

    def test_the_json_of_an_id_holds_every_field(self):
        document = json.loads(run('id', 'decode', '--json', GOLDEN_ID).stdout)
        decoded = document['ids'][0]
        self.assertEqual((decoded['tick'], decoded['size_class'], decoded['node'], decoded['slot']),
                         (59430220, 3, 0, 74565))
        self.assertEqual(decoded['decimal'], 510501703393551173)
        self.assertEqual(decoded['offset_in_class_bytes'], decoded['extent'] * 2097152 + decoded['index'] * 56)
        self.assertEqual(document['layout']['slot_bits'], 28)

    def test_the_bits_of_an_explained_id_are_the_id(self):
        for layout, form in (('standalone', '0x0715aa9830012345'), ('large', '0x0e2b553320001234')):
            with self.subTest(layout):
                result = run('id', 'explain', f'--layout={layout}', form)
                bits = ''.join(re.findall(r'^  (?:top bit|tick|size class|node|slot) +([01]+) ', result.stdout, re.M))
                self.assertEqual(int(bits, 2), int(form, 16))
                self.assertEqual(len(bits), 64)

    def test_a_bad_id_is_named_and_the_others_are_shown(self):
        result = run('id', 'decode', 'nonsense', GOLDEN_ID, '0xffffffffffffffff', 'a\x1b[2J')
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stdout.splitlines()), 1)
        self.assertEqual(len(result.stderr.splitlines()), 3)
        self.assertNotIn('\x1b', result.stderr)
        for line in result.stderr.splitlines():
            self.assertTrue(line.startswith('flagstone: '), line)
        document = json.loads(run('id', 'decode', '--json', 'nonsense', GOLDEN_ID).stdout)
        self.assertIn('error', document['ids'][0])
        self.assertIn('tick', document['ids'][1])

    def test_layouts_are_named_or_given_by_their_fields(self):
        for name, bits in (('standalone', (30, 0, 28)), ('large', (28, 0, 30)), ('fleet', (26, 6, 26))):
            layout = json.loads(run('id', 'layout', '--json', f'--layout={name}').stdout)
            self.assertEqual((layout['tick_bits'], layout['node_bits'], layout['slot_bits']), bits)
            self.assertEqual(len(layout['size_classes']), 32)
        custom = json.loads(run('id', 'layout', '--json', '--layout=custom', '--epoch=1704067200', '--tick-seconds=4',
                                '--tick-bits=29', '--node-bits=3').stdout)
        self.assertEqual((custom['slot_bits'], custom['epoch']), (26, '2024-01-01T00:00:00Z'))

    def test_layouts_that_cannot_be_are_refused(self):
        self.assert_fails(run('id', 'layout', '--layout=custom', '--tick-bits=40'), 2, 'tick_bits', '40')
        self.assert_fails(run('id', 'layout', '--layout=custom', '--tick-bits=25', '--slot-bits=20'), 2, '58')
        self.assert_fails(run('id', 'layout', '--tick-bits=29'), 2, '--layout=custom')
        too_short = run('id', 'layout', '--layout=custom', '--tick-bits=28')
        self.assert_fails(too_short, 1)
        self.assertIn('years', too_short.stdout)

    # --- demo

    def test_the_demonstration_on_a_small_file_checks_its_answers(self):
        path = self.file('# header\n1,2,AU\n3,4,DE\nbad\n')
        result = self.demo(path)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f'{path}:4: found 1 field', result.stderr)
        for word in ('2 records', '70 and 130', 'CONFLICT', 'equal to what was imported', 'credit is 81'):
            self.assertIn(word, result.stdout)

    def test_the_json_of_the_demonstration_says_what_happened(self):
        path = self.file(''.join(f'{i},{i + 1},AU\n' for i in range(0, 6000, 2)) + 'bad\n')
        self.file('2001::,2001::ffff,DE\n', 'geoip6')
        result = self.demo(path, '--json', '--pages=4k')
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual([(table['records'], table['bad_lines']) for table in report['import']], [(3000, 1), (1, 0)])
        self.assertEqual(report['reads']['verified_records'], 3001)
        self.assertEqual(report['transfer']['seen_by_another_session']['after'], {'from': 70, 'to': 130})
        self.assertEqual(report['conflict']['second_was_told'], 'CONFLICT')
        self.assertEqual(report['pages']['requested'], '4 KiB')
        self.assertGreater(report['pages']['bytes_by_kind']['4 KiB'], 0)
        self.assertGreater(report['memory']['used_bytes'], 0)

    def test_quiet_leaves_the_numbers_and_drops_the_prose(self):
        path = self.file('1,2,AU\n3,4,DE\n')
        loud, quiet = self.demo(path).stdout, self.demo(path, '--quiet').stdout
        self.assertLess(len(quiet), len(loud))
        self.assertIn('2 records', quiet)
        self.assertNotIn('cache miss', quiet)

    def test_one_record_is_enough(self):
        self.assertEqual(self.demo(self.file('1,2,AU')).returncode, 0)

    def test_a_missing_file_names_the_package(self):
        result = self.demo(self.folder / 'none')
        self.assert_fails(result, 1, 'none is not there', '--file')
        self.assertEqual(result.stdout, '')
        if not os.path.exists('/usr/share/tor/geoip'):
            self.assert_fails(run('demo'), 1, 'tor-geoipdb', 'apt-get install')

    def test_a_bad_line_is_fatal_when_asked(self):
        path = self.file('1,2,AU\n3,4\n5,6,FR\n')
        self.assert_fails(self.demo(path, '--on-bad-line=fail'), 1, f'{path}:2: found 2 fields', '--on-bad-line=skip')

    def test_hostile_files_are_refused_in_a_line(self):
        for name, content, word in (('empty', b'', 'no record in 0 lines'),
                                    ('binary', bytes(range(256)) * 4000, 'no record in'),
                                    ('zeros', bytes(5_000_000), 'no record in 1 lines'),
                                    ('long', b'1' * 20_000_000, 'no record in 1 lines'),
                                    ('comments', b'# nothing\n' * 1000, 'no record in 1000 lines')):
            with self.subTest(name):
                result = self.demo(self.file(content, name))
                self.assert_fails(result, 1, name, word)
                self.assertLess(len(result.stderr), 5000)
        self.assert_fails(self.demo(self.folder), 1, 'is a directory')
        self.assert_fails(self.demo('/dev/zero'), 1, 'is a device')

    def test_huge_pages_that_are_required_are_granted_or_the_error_names_the_setting(self):
        path = self.file('1,2,AU\n3,4,DE\n')
        result = self.demo(path, '--require-huge-pages', '--json')
        if result.returncode == 0:
            by_kind = json.loads(result.stdout)['pages']['bytes_by_kind']
            self.assertEqual({kind for kind, size in by_kind.items() if size}, {'2 MiB'})
        else:
            self.assert_fails(result, 1, 'RESOURCE_EXHAUSTED', '2 MiB pages')

    # --- doctor

    def test_doctor_gives_each_check_a_verdict_and_each_warning_a_command(self):
        result = run('doctor', self.folder, '--json')
        report = json.loads(result.stdout)
        checks = {check['name']: check for check in report['checks']}
        for name in ('store', 'memory', 'huge pages, 2 MiB', 'huge pages, 1 GiB', 'transparent huge pages', 'memlock',
                     'io_uring', 'direct I/O', 'clock', 'NUMA', 'membarrier'):
            self.assertIn(name, checks)
            self.assertIn(checks[name]['verdict'], ('ok', 'note', 'warn', 'fail'))
            self.assertTrue(checks[name]['finding'])
        self.assertEqual(sum(report['counts'].values()), len(report['checks']))
        self.assertEqual(result.returncode, 1 if report['counts']['fail'] else 0)
        self.assertEqual(list(self.folder.iterdir()), [])
        strict = run('doctor', self.folder, '--strict')
        self.assertEqual(strict.returncode, 1 if report['counts']['fail'] or report['counts']['warn'] else 0)

    def test_doctor_fails_for_a_path_that_is_not_there(self):
        result = run('doctor', self.folder / 'none')
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r'fail  direct I/O')
        self.assertIn('mkdir -p', result.stdout)


if __name__ == '__main__':
    result = unittest.main(exit=False, argv=sys.argv[:1], verbosity=0).result
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed} passed, {failed} failed')
    sys.exit(0 if result.wasSuccessful() else 1)
