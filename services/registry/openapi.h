// SPDX-License-Identifier: Apache-2.0
// The text of openapi.yaml, which the build makes a part of the program.
#ifndef REGISTRY_OPENAPI_H
#define REGISTRY_OPENAPI_H

#include <stddef.h>

extern const unsigned char openapi_text[];
extern const size_t openapi_text_len;

#endif
