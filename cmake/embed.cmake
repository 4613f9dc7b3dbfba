# cmake -DOUT=FILE.c -DTEXT=FILE -DNAME=name -DHEADER=path -P embed.cmake: the bytes of a file as name and name_len, which the
# header declares.
file(READ ${TEXT} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "// Made by cmake/embed.cmake.
#include \"${HEADER}\"

const unsigned char ${NAME}[] = {${bytes}};
const size_t ${NAME}_len = sizeof ${NAME};
")
