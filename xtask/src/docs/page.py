"""Runs the Python blocks of one page, one after the other, in one namespace.

Arguments: the page's name, then for each block the line it stands in, its language and the file with its text. Before the
output of each block stands a line with the byte 1.
"""

import doctest
import sys


def main() -> None:
    page, *rest = sys.argv[1:]
    namespace = {"__name__": "__main__"}
    for line, language, path in zip(*[iter(rest)] * 3, strict=True):
        print("\x01", flush=True)
        with open(path, encoding="utf-8") as file:
            # A traceback names the page and the line in it.
            text = "\n" * int(line) + file.read()
        if language == "pycon":
            test = doctest.DocTestParser().get_doctest(text, namespace, page, page, 0)
            failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False).failed
            if failed:
                sys.exit(1)
            namespace.update(test.globs)
        else:
            exec(compile(text, page, "exec"), namespace)
        sys.stdout.flush()


main()
