# A constructor's parameter bears its member's name, and C lets a function bear its structure's.
target_compile_options(mr_protobuf PRIVATE -Wno-shadow)
# The symbols are weak where they are used (schema/protobuf_text.h): a program that names this folder gets them.
target_link_options(mr_protobuf INTERFACE
  -Wl,-u,protobuf_compile,-u,protobuf_print,-u,protobuf_to_json,-u,protobuf_from_json,-u,protobuf_entities
  -Wl,-u,protobuf_retag)
