// SPDX-License-Identifier: Apache-2.0
// What a directory inside a data directory is, by its name, as in Apache Kafka (LogManager.loadLog,
// UnifiedLog.logDirNameWithSuffixCappedLength): "TOPIC-N" is a log, "TOPIC-N.UNIQUE-SUFFIX" what a move, a
// removal or a quarantine has left, "-future", "-delete" or "-stray". Pure.
#ifndef LOG_LEFTOVER_H
#define LOG_LEFTOVER_H

#include "log/files.h"

enum log_dir_kind {
    LOG_DIR_LOG,
    LOG_DIR_FUTURE, // to be gone on with, see log_create_future
    LOG_DIR_DELETE, // to be removed
    LOG_DIR_STRAY,  // nobody's, for an operator to look at
    LOG_DIR_OTHER   // not ours: left alone
};

// name: the directory's, without the path. A name that only ends like one of the last three is another's,
// since theirs may be removed.
enum log_dir_kind log_dir_kind(const char *name);

#endif
