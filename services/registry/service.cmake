# The description of the REST interface is a part of the program, which serves it.
set(openapi_out ${CMAKE_BINARY_DIR}/gen/registry_openapi.c)
add_custom_command(OUTPUT ${openapi_out}
  COMMAND ${CMAKE_COMMAND} -DOUT=${openapi_out} -DTEXT=${CMAKE_SOURCE_DIR}/services/registry/openapi.yaml
          -DNAME=openapi_text -DHEADER=openapi.h -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${CMAKE_SOURCE_DIR}/services/registry/openapi.yaml ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "openapi.yaml" VERBATIM)
target_sources(svc_registry PRIVATE ${openapi_out})
