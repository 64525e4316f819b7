#!/usr/bin/env python3
"""What: flagstone as a package: consumers build, link and run in every supported way; the shared library
      shows nothing but namespace flagstone, forces no allocator on its host and loads with dlopen.
How:  installs this build into a temporary folder (which also proves that the tree may be moved), builds the
      consumers of this folder against it, and reads the library with nm and readelf.

usage: packaging_test.py SOURCE_ROOT BUILD_DIR VERSION
Closes with `N passed, N failed`.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv[1])
BUILD = pathlib.Path(sys.argv[2])
VERSION = sys.argv[3]
HERE = SOURCE / 'tests' / 'packaging'
CXX = os.environ.get('CXX', 'g++')

# What a C++ program has loaded anyway, and abseil, which is linked privately.
ALLOWED_NEEDED = re.compile(r'lib(stdc\+\+|gcc_s|m|c)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+|libabsl_\w+\.so\.\d+')

# Every exported name, demangled, is one of namespace flagstone, or a C function flagstone_*, or the name of
# the symbol version itself.
ALLOWED_EXPORT = re.compile(
    r'((virtual |non-virtual )?thunk to |(typeinfo|typeinfo name|vtable|VTT|guard variable) for )?'
    r'flagstone::|flagstone_\w+$|FLAGSTONE_\d+$')


def run(*command, **options):
    """Runs a command and returns its output; fails the test with that output when it fails."""
    command = [str(part) for part in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                            **options)
    if result.returncode != 0:
        raise AssertionError(f'exit code {result.returncode} of {" ".join(command)}:\n{result.stdout}')
    return result.stdout


class PackagingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='flagstone-packaging-')
        root = pathlib.Path(cls.folder.name)
        run('meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', root / 'image')
        # Moved after its installation: nothing in it may remember where it was.
        cls.prefix = root / 'moved'
        [pc] = (root / 'image').rglob('flagstone.pc')
        libdir = pc.parent.parent
        [header] = (root / 'image').rglob('flagstone/version.h')
        image_prefix = header.parent.parent.parent
        cls.libdir = cls.prefix / libdir.relative_to(image_prefix)
        shutil.move(image_prefix, cls.prefix)
        cls.library = cls.libdir / 'libflagstone.so'
        cls.environment = {
            **os.environ,
            'PKG_CONFIG_PATH': str(cls.libdir / 'pkgconfig'),
            'LD_LIBRARY_PATH': str(cls.libdir),
        }

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def work_folder(self, *sources):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        for source in sources:
            shutil.copy(HERE / source, folder)
        return folder

    def pkg_config(self, *arguments):
        return run('pkg-config', *arguments, env=self.environment).split()

    def build_consumer(self, *flags):
        program = self.work_folder() / 'consumer'
        run(CXX, '-std=c++20', '-O1', HERE / 'consumer' / 'main.cc', *flags, '-o', program)
        return program

    def configure_cmake(self, folder):
        command = ['cmake', '-G', 'Ninja', '-S', folder, '-B', folder / 'build',
                   f'-DCMAKE_PREFIX_PATH={self.prefix}']
        # On a Debian without dpkg-dev Meson installs to lib64, where Debian's CMake does not look.
        if self.libdir.name == 'lib64':
            command.append(f'-Dflagstone_DIR={self.libdir}/cmake/flagstone')
        return run(*command)

    def needed(self, file):
        return re.findall(r'\(NEEDED\).*\[(.*)\]', run('readelf', '-dW', file))

    def assert_answers(self, program):
        self.assertEqual(run(program, env=self.environment), VERSION + '\n')

    # Consumers.

    def test_meson_subproject(self):
        folder = self.work_folder('meson_subproject/meson.build', 'consumer/main.cc')
        (folder / 'subprojects').mkdir()
        (folder / 'subprojects' / 'flagstone').symlink_to(SOURCE)
        environment = {key: value for key, value in os.environ.items() if key != 'PKG_CONFIG_PATH'}
        run('meson', 'setup', folder / 'build', folder, '--wrap-mode=nodownload',
            '--force-fallback-for=flagstone', '--prefix=/usr', env=environment)
        run('ninja', '-C', folder / 'build', env=environment)
        self.assert_answers(folder / 'build' / 'consumer')
        run('meson', 'install', '-C', folder / 'build', '--quiet', '--destdir', folder / 'image')
        installed = {path.name for path in (folder / 'image').rglob('*') if not path.is_dir()}
        self.assertIn('libflagstone.so.0', installed)
        for name in ('version.h', 'flagstone.pc', 'flagstone-config.cmake'):
            self.assertNotIn(name, installed, 'a subproject installs what its parent runs with, no more')

    def test_meson_finds_the_installed_library(self):
        folder = self.work_folder('meson_subproject/meson.build', 'consumer/main.cc')
        run('meson', 'setup', folder / 'build', folder, '--wrap-mode=nofallback', env=self.environment)
        run('ninja', '-C', folder / 'build', env=self.environment)
        self.assert_answers(folder / 'build' / 'consumer')

    def test_pkg_config_shared(self):
        program = self.build_consumer(*self.pkg_config('--cflags', '--libs', 'flagstone'))
        self.assertIn('libflagstone.so.0', self.needed(program))
        self.assert_answers(program)

    def test_pkg_config_static(self):
        program = self.build_consumer('-static', *self.pkg_config('--static', '--cflags', '--libs', 'flagstone'))
        self.assertEqual(self.needed(program), [])
        self.assert_answers(program)

    def test_pkg_config_jemalloc_gives_the_program_jemalloc(self):
        program = self.build_consumer(*self.pkg_config('--cflags', '--libs', 'flagstone-jemalloc'))
        self.assertIn('libjemalloc.so.2', self.needed(program))
        self.assert_answers(program)

    def test_cmake_package(self):
        folder = self.work_folder('cmake_package/CMakeLists.txt', 'consumer/main.cc')
        self.configure_cmake(folder)
        run('cmake', '--build', folder / 'build')
        self.assertIn('libflagstone.so.0', self.needed(folder / 'build' / 'consumer'))
        self.assertNotIn('libflagstone.so.0', self.needed(folder / 'build' / 'consumer_static'))
        self.assert_answers(folder / 'build' / 'consumer')
        self.assert_answers(folder / 'build' / 'consumer_static')

    def test_cmake_refuses_another_series(self):
        folder = self.work_folder('consumer/main.cc')
        major, minor = VERSION.split('.')[:2]
        (folder / 'CMakeLists.txt').write_text(
            'cmake_minimum_required(VERSION 3.16)\nproject(consumer CXX)\n'
            f'find_package(flagstone {major}.{int(minor) + 1} REQUIRED)\n', encoding='utf-8')
        with self.assertRaisesRegex(AssertionError, 'compatible with requested version'):
            self.configure_cmake(folder)

    def test_clients_build_without_exceptions_and_rtti(self):
        flags = self.pkg_config('--cflags', '--libs', 'flagstone')
        self.assert_answers(self.build_consumer('-fno-exceptions', '-fno-rtti', *flags))

    def test_the_completion_for_bash_is_installed_and_the_programs_own(self):
        program = self.prefix / 'bin' / 'flagstone'
        installed = self.prefix / 'share' / 'bash-completion' / 'completions' / 'flagstone'
        if not program.exists():
            self.assertFalse(installed.exists(), 'completion of a program that was not built')
            return
        self.assertEqual(installed.read_text(), run(program, 'completion', 'bash', env=self.environment))

    # The shared library, read from outside.

    def test_exports_only_names_of_flagstone(self):
        lines = run('nm', '--dynamic', '--demangle', '--defined-only', '--no-sort', '--without-symbol-versions',
                    self.library).splitlines()
        names = [line.split(' ', 2)[2] for line in lines]
        self.assertIn('flagstone::Version()', names)
        self.assertEqual([name for name in names if not ALLOWED_EXPORT.match(name)], [])

    def test_needs_no_allocator_and_no_stranger(self):
        self.assertEqual([name for name in self.needed(self.library) if not ALLOWED_NEEDED.fullmatch(name)], [])

    def test_soname_and_links(self):
        self.assertIn('Library soname: [libflagstone.so.0]', run('readelf', '-dW', self.library))
        self.assertEqual(os.readlink(self.libdir / 'libflagstone.so.0'), f'libflagstone.so.{VERSION}')

    def test_is_hardened_and_can_be_loaded_late(self):
        dynamic = run('readelf', '-dW', self.library)
        segments = run('readelf', '-lW', self.library)
        self.assertIn('BIND_NOW', dynamic)
        self.assertIn('GNU_RELRO', segments)
        self.assertRegex(segments, r'GNU_STACK .* RW ')
        self.assertNotIn('TEXTREL', dynamic)
        self.assertNotIn('NOOPEN', dynamic, 'linked with -z nodlopen')
        # A thread_local of the initial-exec model takes room that dlopen may not find.
        self.assertNotIn('STATIC_TLS', dynamic)

    def test_dlopen_in_a_process_without_jemalloc(self):
        script = '\n'.join((
            'import ctypes, sys',
            'library = ctypes.CDLL(sys.argv[1])',
            'version = library._ZN9flagstone7VersionEv',
            'version.restype = ctypes.c_char_p',
            'assert "jemalloc" not in open("/proc/self/maps").read()',
            'print(version().decode())',
        ))
        environment = {key: value for key, value in os.environ.items() if key != 'LD_PRELOAD'}
        self.assertEqual(run(sys.executable, '-c', script, self.library, env=environment), VERSION + '\n')

    def test_runs_no_code_when_loaded(self):
        # Static initialisers cost every host's start and run in an order nobody controls.
        # Read from our own objects: an archive may hold those of a bundled dependency too.
        objects = list((BUILD / 'lib').glob('libflagstone.so.*.p/*.o'))
        self.assertGreater(len(objects), 0)
        symbols = run('nm', '--demangle', '--print-file-name', *objects)
        self.assertEqual(re.findall(r'.*(?:_GLOBAL__sub_I_|global constructors keyed to).*', symbols), [])


if __name__ == '__main__':
    result = unittest.main(exit=False, argv=sys.argv[:1], verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed} passed, {failed} failed')
    sys.exit(0 if result.wasSuccessful() else 1)
