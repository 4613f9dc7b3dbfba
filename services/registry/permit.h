// SPDX-License-Identifier: Apache-2.0
// May this caller do that? The one place every operation asks before it runs, wherever it came from.
#ifndef REGISTRY_PERMIT_H
#define REGISTRY_PERMIT_H

#include "operations.h"

// Whether call->principal may run call->operation on call->subject. Everybody may everything as long as
// callers are not authenticated.
bool permitted(const struct call *call);

#endif
