# The metaschemas of JSON Schema as its authors publish them with the drafts (BSD or AFL 3.0), made a table of texts: nothing is
# fetched at run time.
file(GLOB metaschemas CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/common/schema/metaschemas/*.json)
set(metaschemas_out ${CMAKE_BINARY_DIR}/gen/schema/metaschemas.c)
add_custom_command(OUTPUT ${metaschemas_out}
  COMMAND ${CMAKE_COMMAND} -DOUT=${metaschemas_out} "-DTEXTS=${metaschemas}" -P ${CMAKE_SOURCE_DIR}/cmake/metaschemas.cmake
  DEPENDS ${metaschemas} ${CMAKE_SOURCE_DIR}/cmake/metaschemas.cmake COMMENT "metaschemas" VERBATIM)
target_sources(mr_schema PRIVATE ${metaschemas_out})
