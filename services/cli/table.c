// SPDX-License-Identifier: Apache-2.0
// See table.h. A cell keeps its text for people and whether JSON shows it bare or quoted.
#include "table.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "http/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum cell_kind { CELL_TEXT, CELL_BARE, CELL_NONE };

enum { JSON_CELL_MAX = 1 << 20 };

struct cell {
    char *text;
    char *shown; // to people instead of text; NULL: the same
    enum cell_kind kind;
};

struct table {
    const char *names[TABLE_COLUMNS_MAX];
    int columns;
    struct cell *cells;
    size_t count, cap;
};

struct table *table_new(const char *const *names, int count)
{
    ASSERT(count > 0 && count <= TABLE_COLUMNS_MAX);
    struct table *table = mem_calloc(1, sizeof *table);
    table->columns = count;
    for (int i = 0; i < count; i++)
        table->names[i] = names[i];
    return table;
}

static void cell_put_take(struct table *table, enum cell_kind kind, char *text)
{
    if (table->count == table->cap) {
        table->cap = table->cap > 0 ? 2 * table->cap : 64;
        table->cells = mem_realloc(table->cells, table->cap * sizeof *table->cells);
    }
    table->cells[table->count++] = (struct cell){.text = text, .kind = kind};
}

void table_text(struct table *table, struct slice text)
{
    if (text.data == NULL)
        table_none(table);
    else
        cell_put_take(table, CELL_TEXT, mem_strndup((const char *)text.data, text.len));
}

void table_nodes(struct table *table, const int32_t *nodes, int32_t count)
{
    char text[256] = "";
    size_t len = 0;
    for (int i = 0; i < count && len < sizeof text - 16; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i > 0 ? "," : "", nodes[i]);
    table_text(table, slice_str(text));
}

void table_number(struct table *table, int64_t number)
{
    cell_put_take(table, CELL_BARE, mem_printf("%" PRId64, number));
}

void duration_text(int64_t ms, char text[32])
{
    int64_t s = ms / 1000;
    if (ms < 1000)
        snprintf(text, 32, "%" PRId64 " ms", ms);
    else if (s < 60)
        snprintf(text, 32, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (s < 3600)
        snprintf(text, 32, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, 32, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else
        snprintf(text, 32, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
}

void table_known(struct table *table, int64_t number)
{
    if (number < 0)
        table_none(table);
    else
        table_number(table, number);
}

void table_duration(struct table *table, int64_t ms)
{
    char text[32];
    table_known(table, ms);
    if (ms < 0)
        return;
    duration_text(ms, text);
    table->cells[table->count - 1].shown = mem_strdup(text);
}

void table_number_text(struct table *table, const char *number)
{
    cell_put_take(table, CELL_BARE, mem_strdup(number));
}

void table_rate(struct table *table, double number)
{
    if (number < 0)
        table_none(table);
    else
        cell_put_take(table, CELL_BARE, mem_printf("%.1f", number));
}

void table_bool(struct table *table, bool value)
{
    cell_put_take(table, CELL_BARE, mem_strdup(value ? "true" : "false"));
}

void table_none(struct table *table)
{
    cell_put_take(table, CELL_NONE, mem_strdup("-"));
}

int table_rows(const struct table *table)
{
    return (int)(table->count / (size_t)table->columns);
}

void table_destroy(struct table **table)
{
    for (size_t i = 0; i < (*table)->count; i++) {
        mem_free((*table)->cells[i].text);
        mem_free((*table)->cells[i].shown);
    }
    mem_free((*table)->cells);
    mem_free(*table);
    *table = NULL;
}

static void member_print(const struct table *table, size_t at)
{
    const struct cell *cell = &table->cells[at];
    size_t column = at % (size_t)table->columns;
    struct buf text;
    buf_init(&text, JSON_CELL_MAX);
    json_put_string(&text, slice_str(cell->text));
    printf("%s\"%s\":", column > 0 ? "," : "{", table->names[column]);
    if (cell->kind == CELL_TEXT)
        fwrite(text.data, 1, text.len, stdout);
    else
        fputs(cell->kind == CELL_NONE ? "null" : cell->text, stdout);
    if (column + 1 == (size_t)table->columns)
        fputs("}", stdout);
    buf_fini(&text);
}

static void json_print(const struct table *table)
{
    printf("[");
    for (size_t i = 0; i < table->count; i++) {
        if (i % (size_t)table->columns == 0)
            printf("%s\n  ", i > 0 ? "," : "");
        member_print(table, i);
    }
    printf("]\n");
}

static const char *shown(const struct cell *cell)
{
    return cell->shown != NULL ? cell->shown : cell->text;
}

// Control characters of names from outside must not reach a terminal.
static void text_print(const char *text, int width, bool last)
{
    int len = 0;
    for (; text[len] != '\0'; len++)
        putchar(iscntrl((unsigned char)text[len]) ? '?' : text[len]);
    for (; !last && len < width + 2; len++)
        putchar(' ');
}

static void people_print(const struct table *table)
{
    int widths[TABLE_COLUMNS_MAX];
    for (int c = 0; c < table->columns; c++)
        widths[c] = (int)strlen(table->names[c]);
    for (size_t i = 0; i < table->count; i++) {
        int len = (int)strlen(shown(&table->cells[i]));
        int c = (int)(i % (size_t)table->columns);
        widths[c] = len > widths[c] ? len : widths[c];
    }
    for (int c = 0; c < table->columns; c++) {
        char name[64];
        snprintf(name, sizeof name, "%s", table->names[c]);
        for (char *at = name; *at != '\0'; at++)
            *at = (char)(*at == '_' ? '-' : toupper((unsigned char)*at));
        text_print(name, widths[c], c + 1 == table->columns);
    }
    putchar('\n');
    for (size_t i = 0; i < table->count; i++) {
        int c = (int)(i % (size_t)table->columns);
        text_print(shown(&table->cells[i]), widths[c], c + 1 == table->columns);
        if (c + 1 == table->columns)
            putchar('\n');
    }
}

void table_print(struct table **table, bool json, const char *empty)
{
    ASSERT((*table)->count % (size_t)(*table)->columns == 0);
    if (json)
        json_print(*table);
    else if ((*table)->count > 0)
        people_print(*table);
    else if (empty != NULL)
        printf("%s\n", empty);
    table_destroy(table);
}

void table_print_object(struct table **table, bool json)
{
    ASSERT((*table)->count == (size_t)(*table)->columns);
    for (size_t i = 0; i < (*table)->count; i++) {
        if (json)
            member_print(*table, i);
        else
            printf("%-20s %s\n", (*table)->names[i], shown(&(*table)->cells[i]));
    }
    if (json)
        printf("\n");
    table_destroy(table);
}
