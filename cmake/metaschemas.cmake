# cmake -DOUT=FILE.c "-DTEXTS=a.json;b.json" -P metaschemas.cmake: jschema_builtin of common/schema/jschema_own.h, a table from
# the "$id" (or "id") of each text to its bytes.
set(arrays "")
set(rows "")
set(number 0)
foreach(text ${TEXTS})
  file(READ ${text} hex HEX)
  file(READ ${text} content)
  string(REGEX MATCH "\"\\$?id\": *\"([^\"#]+)" found "${content}")
  set(uri ${CMAKE_MATCH_1})
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND arrays "static const unsigned char text${number}[] = {${bytes}};\n")
  string(APPEND rows "    {\"${uri}\", text${number}, sizeof text${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "// Made by cmake/metaschemas.cmake.
#include \"schema/jschema_own.h\"

${arrays}
static const struct {
    const char *uri;
    const unsigned char *text;
    size_t len;
} rows[] = {
${rows}};

struct slice jschema_builtin(struct slice uri)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (slice_is(uri, rows[i].uri))
            return slice_of(rows[i].text, rows[i].len);
    return (struct slice){0};
}
")
