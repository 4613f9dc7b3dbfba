// SPDX-License-Identifier: Apache-2.0
// millrace quorum: the controllers, who leads, how far each follower of the metadata log is behind, as they
// say themselves at their admin ports. Exit code 1 when nobody leads or a voter is missing. With add or
// remove behind it: quorum_change.c.
#include "commands.h"

#include "base/mem.h"
#include "daemons.h"
#include "quorum_change.h"
#include "table.h"

#include <string.h>

struct view {
    const struct daemons *daemons;
    cJSON *answers[DAEMONS_MAX]; // of controllers, NULL: none
    const cJSON *leader;         // the answer of the one with the highest term that leads
    bool whole;
};

static int64_t integer(const cJSON *object, const char *name)
{
    int64_t value;
    return object != NULL && json_integer(object, name, &value) == ST_OK ? value : -1;
}

static void gather(struct view *view)
{
    for (int i = 0; i < view->daemons->count; i++) {
        const struct daemon_place *place = &view->daemons->places[i];
        int code;
        if (strcmp(place->role, "controller") != 0 || !place->answers ||
            daemons_get(place, "/v1/quorum", &view->answers[i], &code) != ST_OK || code != 200)
            continue;
        const char *role = json_string(view->answers[i], "role");
        if (role != NULL && strcmp(role, "leader") == 0 &&
            integer(view->answers[i], "term") > integer(view->leader, "term"))
            view->leader = view->answers[i];
    }
}

static const cJSON *voter_of(const cJSON *leader, int id)
{
    const cJSON *voter;
    cJSON_ArrayForEach(voter, json_get(leader, "voters")) if (integer(voter, "id") == id) return voter;
    return NULL;
}

// place, answer: NULL when it is only known as a voter.
static void put_row(struct table *table, struct view *view, int id, const struct daemon_place *place,
                    const cJSON *answer)
{
    const cJSON *voter = view->leader != NULL ? voter_of(view->leader, id) : NULL;
    int64_t persisted = integer(voter != NULL ? voter : answer, "persisted");
    int64_t lag = integer(view->leader, "last") - persisted;
    view->whole = view->whole && answer != NULL;
    table_number(table, id);
    table_text(table, slice_str(place != NULL ? place->address : NULL));
    table_text(table, slice_str(answer != NULL ? json_string(answer, "role") : "down"));
    table_bool(table, voter != NULL);
    table_known(table, integer(answer, "term"));
    table_known(table, persisted);
    table_known(table, persisted < 0 || view->leader == NULL ? -1 : lag > 0 ? lag : 0);
    table_duration(table, integer(voter, "heard_ms"));
}

static enum cli_exit quorum_print(struct view *view, bool json)
{
    static const char *const columns[] = {"controller", "admin",     "role", "voter",
                                          "term",       "persisted", "lag",  "heard_ms"};
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    const cJSON *voter;
    view->whole = view->leader != NULL;
    for (int i = 0; i < view->daemons->count; i++)
        if (strcmp(view->daemons->places[i].role, "controller") == 0)
            put_row(table, view, view->daemons->places[i].id, &view->daemons->places[i], view->answers[i]);
    cJSON_ArrayForEach(voter, json_get(view->leader, "voters"))
    {
        int id = (int)integer(voter, "id");
        if (daemons_at(view->daemons, "controller", id) == NULL)
            put_row(table, view, id, NULL, NULL);
    }
    bool any = table_rows(table) > 0;
    table_print(&table, json, "no controllers");
    if (!any)
        return cli_fail(CLI_ABSENT, "no controller answers at its admin port");
    return view->whole ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit quorum_show(int argc, char **argv)
{
    struct daemons_options options = {0};
    bool json = false;
    const struct cli_arg args[] = {DAEMONS_ARGS(options),
                                   {"--json", CLI_FLAG, &json, 0, 0, NULL, "print the result as JSON"}};
    const struct cli_usage usage = {
        .line = "quorum [options]",
        .help =
            "Shows the controllers: who leads, how many entries of the metadata log each lacks, when the\n"
            "leader has heard it last. Exit code 1 when nobody leads or one does not answer.\n"
            "'quorum add ID' gives a controller a vote, 'quorum remove ID' takes it.",
        .args = args,
        .count = sizeof args / sizeof *args};
    struct cli_many positional = {0};
    struct daemons *daemons;
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    code = daemons_find(&options, &daemons);
    if (code != CLI_DONE)
        return code;
    struct view *view = mem_calloc(1, sizeof *view);
    view->daemons = daemons;
    gather(view);
    code = quorum_print(view, json);
    for (int i = 0; i < daemons->count; i++)
        cJSON_Delete(view->answers[i]);
    mem_free(view);
    mem_free(daemons);
    return code;
}

enum cli_exit cmd_quorum(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "add") == 0)
        return quorum_add(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "remove") == 0)
        return quorum_remove(argc - 1, argv + 1);
    return quorum_show(argc, argv);
}
