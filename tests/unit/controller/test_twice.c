// SPDX-License-Identifier: Apache-2.0
// What a request names more than once is found wherever it stands.
#include <criterion/criterion.h>

#include "twice.h"

Test(twice, every_naming_of_what_is_named_again_is_found)
{
    struct arena arena;
    struct twice_key keys[] = {
        {.name = slice_str("a")},
        {.name = slice_str("b"), .type = 2},
        {.name = {0}},
        {.name = slice_str("aa")},
        {.name = slice_str("b"), .type = 4},
        {.name = slice_str("a")},
        {.name = {0}},
        {.name = slice_str("a")},
        {.name = slice_str("b"), .type = 2},
    };
    const bool wanted[] = {true, true, false, false, false, true, false, true, true};
    arena_init(&arena, 1000);
    const bool *twice = twice_find(&arena, keys, 9);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(twice[i], wanted[i], "key %d", i);
    cr_assert_not_null(twice_find(&arena, keys, 0));
    arena_fini(&arena);
}
