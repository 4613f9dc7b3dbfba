// SPDX-License-Identifier: Apache-2.0
// Texts that members of groups say of themselves: compared, and gathered behind the struct that holds them,
// so that a profile is one allocation. data NULL is "none", which is another thing than "".
#ifndef TEXTS_H
#define TEXTS_H

#include "base/slice.h"

#include <stdint.h>

// Copies the bytes to *at and moves it behind them; the copy, NULL for none.
struct slice text_keep(struct slice text, uint8_t **at);
bool text_same(struct slice a, struct slice b);
// Order of their bytes: < 0, 0, > 0.
int text_compare(struct slice a, struct slice b);
// The same for qsort over struct slice.
int text_order(const void *a, const void *b);

#endif
