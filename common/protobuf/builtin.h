// SPDX-License-Identifier: Apache-2.0
// Imports that need no reference beside google/protobuf/*, which libprotobuf has itself: google/type/* and
// confluent/*, as Confluent's registry has them built in.
#ifndef PROTOBUF_BUILTIN_H
#define PROTOBUF_BUILTIN_H

// The text of an import, or NULL.
const char *protobuf_builtin(const char *name);

#endif
