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

    def test_every_command_has_help_with_an_example_and_its_exit_codes(self):
        for command in (['demo'], ['doctor'], ['id', 'decode'], ['id', 'explain'], ['id', 'layout']):
            with self.subTest(command):
                result = run(*command, '--help')
                self.assertEqual((result.returncode, result.stderr), (0, ''))
                self.assertRegex(result.stdout, r'Usage: flagstone ' + ' '.join(command))
                self.assertIn('Example', result.stdout)
                self.assertIn('Exit code', result.stdout)

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
