// SPDX-License-Identifier: Apache-2.0
// Topics that `millrace storage adopt` has put into the data directory: once the node serves, the controller
// is told of each (AdoptTopic), with the last leader epochs and the largest producer id found in the logs.
// Until the cluster knows a topic its logs are kept.
#ifndef STORAGE_ADOPT_H
#define STORAGE_ADOPT_H

#include "dirs.h"

#include <stdbool.h>

struct adopt;
struct storage;

// Reads the directory's file `adopted-topics`; blocks, start-up only. Never NULL when ST_OK. ST_UNSUPPORTED:
// a newer version; ST_MALFORMED; I/O errors; a line in the diagnostics says more. dirs outlives it.
enum status adopt_new(struct storage *storage, const struct dirs *dirs, struct adopt **adopt);
void adopt_destroy(struct adopt **adopt);

// Whether a topic the image does not know is one of them.
bool adopt_keeps(const struct adopt *adopt, struct uuid topic);

// Tells the controller; the file is removed when it knows them all. What it refuses stays as it is and is
// told in the diagnostics, now and at every start.
void adopt_start(struct adopt *adopt);

#endif
