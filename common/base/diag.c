// SPDX-License-Identifier: Apache-2.0
// Formats one diagnostic line and hands it to the sink in a single write. Control characters from outside
// (topic names, client ids) are replaced, so that a line stays a line.
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

static int64_t real_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum diag_level diag_level(const struct diag *diag)
{
    return __atomic_load_n(&diag->level, __ATOMIC_RELAXED);
}

void diag_set_level(struct diag *diag, enum diag_level level)
{
    __atomic_store_n(&diag->level, level, __ATOMIC_RELAXED);
}

void diag_line(struct diag *diag, enum diag_level level, const char *format, ...)
{
    if (diag == NULL || level < diag_level(diag))
        return;
    char line[1100];
    int64_t ms = diag->wall_ms ? diag->wall_ms(diag) : real_wall_ms();
    time_t seconds = ms / 1000;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%03dZ %s %.40s ", (int)(ms % 1000), names[level],
                            diag->who ? diag->who : "-");
    va_list args;
    va_start(args, format);
    int wrote = vsnprintf(line + len, 1000, format, args);
    va_end(args);
    len += wrote < 0 ? 0 : wrote > 999 ? 999 : (size_t)wrote;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len] = '\0';
    if (diag->write != NULL) {
        diag->write(diag, line);
        return;
    }
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len); // nowhere left to report it
    (void)ignored;
}

bool diag_level_parse(const char *text, enum diag_level *level)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *level = (enum diag_level)i;
            return true;
        }
    }
    return false;
}
