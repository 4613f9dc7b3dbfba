// SPDX-License-Identifier: Apache-2.0
// Making much durable at once. A file or directory costs a sync each, one after the other, and a data
// directory may have thousands to sync in one job: new logs of a flush round, segments that keep a block of
// the journal in use, checkpoints, a clean stop, recovery. Beyond sync_each_max of them one syncfs takes
// their place. It waits for what others have written to the same file system too, hence not for a few.
//
// The kernel tells a write-back error once to each opening of a file, if it was open when the error came
// (Linux 5.8). So every thread that may call has an opening of its own, from before the first write. Which
// file the error belongs to is not told: it takes the whole directory offline.
#include "log/internal.h"

static const char lock_name[] = ".lock"; // any file of the directory will do; this one is there first

enum status log_sync_open(struct log_set *set)
{
    struct log_path path = log_path_join(set->path, lock_name);
    enum status status = ST_OK;
    for (int i = 0; i < LOG_THREADS && status == ST_OK; i++)
        status = file_open(set->env, path.text, FILE_READ, &set->file_system[i]);
    return status;
}

void log_sync_close(struct log_set *set)
{
    for (int i = 0; i < LOG_THREADS; i++)
        file_close(set->env, &set->file_system[i]);
}

enum status log_sync_all(struct log_set *set, enum log_thread thread)
{
    enum status status = file_sync_fs(set->env, set->file_system[thread]);
    return status == ST_NO_SPACE ? ST_IO : status;
}
