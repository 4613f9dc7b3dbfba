# Structures, descriptor tables and the API table of protos/kafka/*.msg, made by the host tool kafka-gen.
add_executable(kafka-gen common/kafka/gen/main.c common/kafka/gen/names.c common/kafka/gen/parse.c
                         common/kafka/gen/check.c common/kafka/gen/header.c common/kafka/gen/tables.c)
set_target_properties(kafka-gen PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/gen)

file(GLOB kafka_msgs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/protos/kafka/*.msg)
set(kafka_out ${CMAKE_BINARY_DIR}/gen/kafka/messages)
file(MAKE_DIRECTORY ${kafka_out})
set(kafka_generated ${kafka_out}/index.c)
set(kafka_headers ${kafka_out}/api_keys.h)
foreach(msg ${kafka_msgs})
  get_filename_component(stem ${msg} NAME_WE)
  list(APPEND kafka_generated ${kafka_out}/${stem}.c)
  list(APPEND kafka_headers ${kafka_out}/${stem}.h)
endforeach()
add_custom_command(OUTPUT ${kafka_generated} ${kafka_headers}
  COMMAND kafka-gen ${kafka_out} ${kafka_msgs}
  DEPENDS kafka-gen ${kafka_msgs} COMMENT "kafka-gen")
target_sources(mr_kafka PRIVATE ${kafka_generated})
