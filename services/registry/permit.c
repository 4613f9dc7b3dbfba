// SPDX-License-Identifier: Apache-2.0
// See permit.h.
#include "permit.h"

#include "base/assert.h"

bool permitted(const struct call *call)
{
    ASSERT(call->principal != NULL && call->operation != NULL);
    return true;
}
