// SPDX-License-Identifier: Apache-2.0
// Options of confluent/meta.proto. Confluent's registry knows them by their names, whatever a file imports
// and whatever its package is: "confluent.field_meta", with or without a dot in front.
#ifndef PROTOBUF_META_H
#define PROTOBUF_META_H

#include <google/protobuf/descriptor.pb.h>

// name: "confluent.field_meta".
bool protobuf_is_meta(const google::protobuf::UninterpretedOption &option, const char *name);

// Whether the file has such options by name, which a linker finds with an import of confluent/meta.proto
// only, and not in a package like "io.confluent". reveal: they are given a dot, and the file the import. A
// descriptor that has them by their number, and no import that says what that is, gets the import in any
// case.
bool protobuf_has_meta(google::protobuf::FileDescriptorProto *file, bool reveal);

#endif
