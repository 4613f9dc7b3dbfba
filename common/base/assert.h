// SPDX-License-Identifier: Apache-2.0
// Assertions that stay on in release builds: a failed one is a bug, prints where, and aborts the process.
// Operating errors (disk, network, bad input) are never asserted; they are an enum status.
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

// Prints "file:line: assertion failed: text" to standard error and aborts.
_Noreturn void assert_failed(const char *file, int line, const char *text);

#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(__FILE__, __LINE__, #condition))
#define UNREACHABLE(why)  assert_failed(__FILE__, __LINE__, "unreachable: " why)

#endif
