#!/usr/bin/env python3
"""What: check_layers.py finds each kind of violation, and nothing in a clean tree.
How:  a small tree of two modules and a public header, with one thing wrong at a time.
"""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_layers  # noqa: E402

TABLE = "flagstone_layers = {\n  'base': [],\n  'page': ['base'],\n  'id': ['base'],\n  'slab': ['page'],\n}\n"


def header(guard, *includes):
    lines = ''.join(f'#include {name}\n' for name in includes)
    return f'#ifndef {guard}\n#define {guard}\n{lines}#endif  // {guard}\n'


CLEAN = {
    'lib/meson.build': TABLE,
    'include/flagstone/store.h': header('FLAGSTONE_STORE_H_', '<vector>', '"flagstone/id.h"'),
    'include/flagstone/id.h': header('FLAGSTONE_ID_H_', '<cstdint>'),
    'lib/base/clock.h': header('FLAGSTONE_LIB_BASE_CLOCK_H_', '<time.h>', '<absl/time/time.h>'),
    'lib/page/page.h': header('FLAGSTONE_LIB_PAGE_PAGE_H_', '<sys/mman.h>', '"lib/base/clock.h"'),
    'lib/slab/slab.cc': '#include "lib/page/page.h"\n#include "lib/base/clock.h"\n#include "flagstone/id.h"\n',
}


class LayeringTest(unittest.TestCase):
    def problems_with(self, **changes):
        """Problems of the clean tree after the changes (path, with __ for /, to text)."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in {**CLEAN, **changes}.items():
                file = root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding='utf-8')
            return [problem for _, problems in check_layers.check(root) for problem in problems]

    def assert_one_problem(self, part, **changes):
        problems = self.problems_with(**changes)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(part, problems[0])

    def test_a_clean_tree_has_no_problems(self):
        self.assertEqual(self.problems_with(), [])

    def test_an_include_upwards_is_found(self):
        self.assert_one_problem('lib/base/clock.cc: includes lib/page/page.h',
                                **{'lib/base/clock.cc': '#include "lib/page/page.h"\n'})

    def test_an_include_sideways_is_found(self):
        self.assert_one_problem('lib/slab/slab.cc: includes lib/id/id.h',
                                **{'lib/slab/slab.cc': '#include "lib/id/id.h"\n'})

    def test_an_include_with_spaces_or_angles_is_found(self):
        self.assertEqual(len(self.problems_with(**{'lib/base/a.cc': '#  include <lib/slab/slab.h>\n'})), 2)

    def test_a_relative_include_is_found(self):
        self.assert_one_problem('neither', **{'lib/slab/slab.cc': '#include "../page/page.h"\n'})

    def test_a_table_row_that_points_forward_is_found(self):
        table = TABLE.replace("'page': ['base']", "'page': ['slab']")
        self.assert_one_problem('no earlier row', **{'lib/meson.build': table})

    def test_a_folder_without_a_row_is_found(self):
        problems = self.problems_with(**{'lib/util/x.cc': '\n'})
        self.assertEqual(problems, ['lib/util: no row in flagstone_layers of lib/meson.build'])

    def test_a_missing_table_is_found(self):
        self.assert_one_problem('no table', **{'lib/meson.build': ''})

    def test_a_public_header_with_a_foreign_include_is_found(self):
        for include in ('<absl/time/time.h>', '<liburing.h>', '<sys/mman.h>', '"lib/base/clock.h"',
                        '"flagstone/gone.h"'):
            with self.subTest(include):
                self.assert_one_problem(include.strip('<>"'), **{
                    'include/flagstone/id.h': header('FLAGSTONE_ID_H_', include)})

    def test_a_wrong_guard_is_found(self):
        self.assert_one_problem('include guard', **{'lib/page/page.h': header('PAGE_H')})


if __name__ == '__main__':
    result = unittest.main(exit=False, argv=sys.argv[:1], verbosity=0).result
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed} passed, {failed} failed')
    sys.exit(0 if result.wasSuccessful() else 1)
