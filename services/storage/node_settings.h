// SPDX-License-Identifier: Apache-2.0
// Settings of this node that may be altered while it runs and belong to no topic: what the image says of them
// is handed to who reads them, at once and at every change.
#ifndef STORAGE_NODE_SETTINGS_H
#define STORAGE_NODE_SETTINGS_H

#include "base/config.h"
#include "cluster/image.h"
#include "dirs.h"
#include "node_listeners.h"

struct node_settings {
    struct image *image;
    const struct config *config; // what this process was started with
    struct dirs *dirs;
    struct node_listeners *listeners;
    int32_t node_id; // -1: not known yet, then only what is set for all nodes counts
    struct image_listener listener;
};

// Begins to listen; all but node_id and listener are set. They outlive it.
void node_settings_start(struct node_settings *settings);
void node_settings_stop(struct node_settings *settings);

// The node's id is known now.
void node_settings_named(struct node_settings *settings, int32_t node_id);

#endif
