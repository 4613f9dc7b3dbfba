// SPDX-License-Identifier: Apache-2.0
// How a daemon tells its state, also when its loop hangs: a RESPONDENT thread (NNG, ipc:// socket that only
// the owner may open) answers with the last dump the loop has finished and with what the loop is doing right
// now. The thread never touches live state: it takes the finished dump by atomic pointer and reads the turn
// counter of io/env_posix.h. The other side, survey_ask, is for the command line.
#ifndef SURVEY_SURVEY_H
#define SURVEY_SURVEY_H

#include "base/buf.h"
#include "io/env.h"

enum {
    SURVEY_VERSION = 1,
    SURVEY_DUMP_MAX = 64 << 10,    // bytes of a dump; longer ones are cut at a line
    SURVEY_QUESTION_MAX = 1 << 10, // bytes of a question; a longer one closes the connection
    SURVEY_FRESH_US = 1000000,     // a dump younger than this is not made anew
    SURVEY_LOOP_WAIT_MS = 100,     // how long the thread waits for the loop to make a fresh one
    SURVEY_DAEMONS_MAX = 256,      // sockets asked in one survey
    SURVEY_PATH_MAX = 100          // bytes of a socket's path (the system's limit is 107)
};

struct survey;

// Writes the daemon's state as lines "key=value\n"; runs on the loop.
typedef void survey_dump_fn(struct buf *out, void *context);

// Answers at DIR/NAME.ipc; the directory is made (mode 0700) when absent, a socket left by a dead process is
// replaced. Makes the first dump at the loop's first turn.
enum status survey_new(struct env *env, const char *dir, const char *name, survey_dump_fn *dump,
                       void *context, struct survey **survey);

// Makes a dump now, on the loop: for changes that must not be hidden by a dump that still counts as fresh.
void survey_refresh(struct survey *survey);

// Removes the socket, ends the thread.
void survey_destroy(struct survey **survey);

struct survey_answer {
    const char *name; // of the socket, without ".ipc"
    bool answered;    // false: no process there, or it did not answer in time (the rest is 0 then)
    int pid;
    uint64_t turns;
    int64_t turn_age_us;
    const char *handler;
    int64_t dump_age_us;
    const char *dump; // lines "key=value\n"
};

// Called once per socket of the directory, in byte order of the names; the answer is valid during the call.
typedef void survey_answer_fn(const struct survey_answer *answer, void *context);

// Asks every daemon with a socket in the directory and waits at most wait_ms. Blocking. NOT_FOUND when the
// directory is not there.
enum status survey_ask(const char *dir, int wait_ms, survey_answer_fn *each, void *context);

// The value of a key in a dump, copied into out (cut to its size); false when absent.
bool survey_value(const char *dump, const char *key, char *out, size_t size);

#endif
