// SPDX-License-Identifier: Apache-2.0
// The description of the REST interface names the routes there are, and no others.
#include "openapi.h"
#include "operations.h"

#include <criterion/criterion.h>
#include <strings.h>

enum { ROUTES_MAX = 200 };

struct route {
    char path[120], method[8], operation[40];
    bool format, unprocessable; // takes the argument, can be answered 422
};

static struct route routes[ROUTES_MAX];
static size_t route_count;

// The line without what is around it: quotes, a colon at its end.
static void word_of(struct slice line, char *out, size_t size)
{
    line = slice_trim(line);
    if (line.len > 0 && line.data[line.len - 1] == ':')
        line.len--;
    if (line.len > 1 && line.data[0] == '"')
        line = slice_of(line.data + 1, line.len - 2);
    cr_assert_lt(line.len, size);
    memcpy(out, line.data, line.len);
    out[line.len] = '\0';
}

static size_t indent(struct slice line)
{
    size_t at = 0;
    while (at < line.len && line.data[at] == ' ')
        at++;
    return at;
}

static bool contains(struct slice line, const char *text)
{
    return memmem(line.data, line.len, text, strlen(text)) != NULL;
}

// Paths are two columns in, methods four, what they have six, a parameter or an answer eight.
static void read_line(struct slice line, char path[120])
{
    static const char name[] = "operationId: ";
    size_t columns = indent(line);
    struct route *route = &routes[route_count];
    struct slice text = slice_trim(line);
    if (columns == 2) {
        word_of(line, path, sizeof route->path);
    } else if (columns == 4) {
        cr_assert_lt(route_count, ROUTES_MAX);
        memcpy(route->path, path, sizeof route->path);
        word_of(line, route->method, sizeof route->method);
    } else if (columns == 6 && text.len > sizeof name && memcmp(text.data, name, sizeof name - 1) == 0) {
        word_of(slice_of(text.data + sizeof name - 1, text.len - sizeof name + 1), route->operation,
                sizeof route->operation);
        route_count++;
    } else if (columns == 8 && route_count > 0) {
        routes[route_count - 1].format |= contains(line, "/QueryFormat\"");
        routes[route_count - 1].unprocessable |= contains(line, "\"422\":");
    }
}

static void read_all(void)
{
    struct slice rest = slice_of(openapi_text, openapi_text_len);
    char path[120] = "";
    bool paths = false;
    for (const uint8_t *end; (end = memchr(rest.data, '\n', rest.len)) != NULL;) {
        struct slice line = slice_of(rest.data, (size_t)(end - rest.data));
        rest = slice_of(end + 1, rest.len - line.len - 1);
        if (indent(line) == 0)
            paths = slice_is(line, "paths:");
        else if (paths)
            read_line(line, path);
    }
}

static bool described(const struct operation *operation)
{
    for (size_t i = 0; i < route_count; i++)
        if (strcmp(routes[i].operation, operation->name) == 0 &&
            strcmp(routes[i].path, operation->path) == 0 &&
            strcasecmp(routes[i].method, operation->method) == 0)
            return true;
    return false;
}

Test(openapi, names_the_routes_of_the_table_and_no_others)
{
    read_all();
    for (size_t i = 0; i < operation_count; i++)
        cr_expect(described(&operations[i]), "%s %s (%s) is not in openapi.yaml", operations[i].method,
                  operations[i].path, operations[i].name);
    for (size_t i = 0; i < route_count; i++)
        cr_expect_not_null(operation_find(routes[i].operation), "%s %s is in openapi.yaml only",
                           routes[i].method, routes[i].path);
    cr_expect_eq(route_count, operation_count);
}

// To print a schema in another form it is parsed, which may be more than a request may have parsed (42209).
Test(openapi, what_parses_schemas_can_be_answered_422)
{
    size_t found = 0;
    read_all();
    for (size_t i = 0; i < route_count; i++) {
        found += routes[i].format;
        cr_expect(!routes[i].format || routes[i].unprocessable, "%s has no 422", routes[i].operation);
    }
    cr_expect_eq(found, 8);
}
