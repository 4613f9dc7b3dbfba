// SPDX-License-Identifier: Apache-2.0
// The shared picture of the cluster: what the metadata log says, applied. image_apply is the only writer; the
// controllers (undecided records of the leader included) and every follower of metadata use the same
// function, so equal logs give equal images. Readers get const structs that stay valid until the next
// image_apply, image_replace or image_reset. Everything is kept sorted, so iteration never depends on a hash.
//
// An offset is the offset of a record in the metadata log; an image "has" an offset when image_offset() >=
// it.
#ifndef CLUSTER_IMAGE_H
#define CLUSTER_IMAGE_H

#include "base/buf.h"
#include "base/uuid.h"
#include "protos/records_metadata.pb-c.h"

enum {
    IMAGE_RECORD_VERSION = 1,      // newest MetadataRecord.version this build understands
    IMAGE_PARTITIONS_MAX = 100000, // of one topic
    IMAGE_REPLICAS_MAX = 16,       // of one partition, those of a running reassignment included
    IMAGE_ENDPOINTS_MAX = 64,      // of one node
    IMAGE_FEATURES_MAX = 64        // those of later releases included
};

struct image;

struct image_endpoint {
    const char *listener, *host; // as advertised
    int32_t port;
};

struct image_range {
    const char *name;
    int16_t min, max;
};

struct image_node {
    int32_t id;
    Millrace__Role role;
    uint64_t incarnation;
    struct uuid directory_id; // zero for roles without data
    bool fenced;
    const char *rpc_endpoint; // "tcp://host:port"
    const char *rack, *host;  // "" when unknown
    const struct image_endpoint *endpoints;
    size_t endpoint_count;
    const struct image_range *ranges; // levels of features that its build understands
    size_t range_count;
    int64_t offset; // of its registration
};

struct image_ids {
    const int32_t *ids; // node ids, in the record's order
    size_t count;
};

struct image_partition {
    int32_t index;
    int32_t leader; // -1: none
    int32_t leader_epoch, partition_epoch;
    struct image_ids replicas, isr;
    struct image_ids eligible, last_known; // KIP-966
    // KIP-455, both empty unless a reassignment runs: members of replicas that come and that leave. The
    // target ones stand first among the replicas, in their order.
    struct image_ids adding, removing;
    bool balancing;          // the balancer began it
    struct image_ids failed; // replicas whose logs their nodes cannot use
};

struct image_topic {
    struct uuid id;
    const char *name;
    bool internal;
    const struct image_partition *const *partitions; // [i]->index == i
    size_t partition_count;
};

struct image_shard {
    const char *topic;
    int32_t shard;
    int32_t owner; // node id, -1: none
    int32_t owner_epoch;
    int64_t offset; // of the assignment (LedgerOpen names it)
};

struct image_config {
    const char *key, *value;
};

struct image *image_new(void);
void image_destroy(struct image **image);

// Forgets everything without telling listeners; for a leader that drops undecided state and rebuilds.
void image_reset(struct image *image);

// Applies one record with its offset, which must be above image_offset(), and tells the listeners what
// changed. UNSUPPORTED: unknown version (image_error names both numbers) or unknown body; INVALID: a record
// that contradicts the image or is malformed. Nothing is changed then.
enum status image_apply(struct image *image, const Millrace__MetadataRecord *record, int64_t offset);

// The same in slices: of a decision's end, which applies everything since its beginning, at most max records
// are applied. AGAIN: more are left, to be called again with the same; image_offset has not moved yet. bytes:
// the record as it was unpacked from, which saves packing it where it is kept for later; empty: not at hand.
enum status image_apply_some(struct image *image, const Millrace__MetadataRecord *record, struct slice bytes,
                             int64_t offset, size_t max);

// Whether the log so far ends inside a decision: what it holds of it is not in the image.
bool image_decision_open(const struct image *image);

// The log has an entry at this offset that is no record (a Raft no-op): only the offset moves.
void image_skip(struct image *image, int64_t offset);

// What was wrong with the last record refused; "" when none was.
const char *image_error(const struct image *image);

// ---- snapshots ----
// Appends the records that rebuild this image into out, each as varint length + MetadataRecord, in a fixed
// order: equal images give equal bytes.
enum status image_encode_snapshot(const struct image *image, struct buf *out);

// Resets the image and applies such bytes; afterwards image_offset() == offset - 1. Listeners hear nothing.
enum status image_load_snapshot(struct image *image, struct slice records, int64_t offset);

// The same in slices: applies at most max records from the front of *rest to an image that began empty.
// AGAIN: more is left. The offset is right only after ST_OK.
enum status image_load_some(struct image *image, struct slice *rest, int64_t offset, size_t max);

// Takes over the content of *fresh (destroyed) and tells the listeners of image every difference.
void image_replace(struct image *image, struct image **fresh_take);

// ---- reading ----
int64_t image_offset(const struct image *image);         // last applied, -1: none
struct uuid image_cluster_id(const struct image *image); // zero: not known yet
int64_t image_next_producer_id(const struct image *image);

const struct image_node *image_node(const struct image *image, int32_t id);
size_t image_node_count(const struct image *image);
const struct image_node *image_node_at(const struct image *image, size_t i); // ascending id
// The node's endpoint for a listener name; NULL when it has none.
const struct image_endpoint *image_endpoint(const struct image_node *node, const char *listener);
// Storage node that is registered and not fenced.
bool image_node_live(const struct image_node *node, Millrace__Role role);

const struct image_topic *image_topic(const struct image *image, struct uuid id);
const struct image_topic *image_topic_named(const struct image *image, const char *name);
const struct image_topic *image_topic_slice(const struct image *image, struct slice name);
size_t image_topic_count(const struct image *image);
const struct image_topic *image_topic_at(const struct image *image, size_t i); // ascending name
// Position of the first topic whose name is >= name; image_topic_count when none.
size_t image_topic_lower_bound(const struct image *image, struct slice name);
// NULL when the topic or the partition is unknown.
const struct image_partition *image_partition(const struct image *image, struct uuid topic, int32_t index);
const struct image_partition *image_topic_partition(const struct image_topic *topic, int32_t index);
size_t image_partition_total(const struct image *image);

// How many replicas a node is named for, and of how many partitions it is the first one; without looking at
// them.
struct image_load {
    int64_t replicas, leaders;
};
struct image_load image_node_load(const struct image *image, int32_t node);

bool image_ids_have(const struct image_ids *ids, int32_t id);
bool image_ids_equal(const struct image_ids *a, const struct image_ids *b); // in the same order
// Whether its replicas are being changed.
bool image_partition_moving(const struct image_partition *partition);

const struct image_shard *image_shard(const struct image *image, const char *topic, int32_t shard);
size_t image_shard_count(const struct image *image);
const struct image_shard *image_shard_at(const struct image *image, size_t i); // by topic, shard

// ---- configs ----
// The value set for exactly this resource, or NULL. name: topic name, decimal node id, "" = default of all
// nodes.
const char *image_config(const struct image *image, Millrace__ResourceType type, const char *name,
                         const char *key);
// All values set for exactly this resource, ascending key; *count may be 0.
const struct image_config *image_configs(const struct image *image, Millrace__ResourceType type,
                                         const char *name, size_t *count);
// The resources of a type that have values, ascending by name.
size_t image_resource_count(const struct image *image, Millrace__ResourceType type);
const char *image_resource_name(const struct image *image, Millrace__ResourceType type, size_t i);
enum image_config_source {
    IMAGE_CONFIG_STATIC,
    IMAGE_CONFIG_DEFAULT_NODE,
    IMAGE_CONFIG_NODE,
    IMAGE_CONFIG_TOPIC
};

// A topic's effective value in Kafka's order: topic's own key, then the node's, then all nodes' default under
// the node's key (e.g. "retention.ms" → "log.retention.ms"; NULL when there is none), else fallback (the
// static one).
const char *image_topic_config(const struct image *image, const char *topic, const char *key,
                               const char *node_key, int32_t node_id, const char *fallback);
// A node's effective value: its own, the default of all nodes, else fallback. source may be NULL.
const char *image_node_config(const struct image *image, int32_t node_id, const char *key,
                              const char *fallback, enum image_config_source *source);

// ---- features ----
// The level that holds for a feature (cluster/features.h names them); 0: it is not in use.
int16_t image_feature(const struct image *image, const char *name);
// Grows with every change of features; 0: none was ever written.
int64_t image_features_epoch(const struct image *image);

// The levels of a feature that a node's build understands; 0 to 0 for one it does not know. A node of before
// this was told understands what the builds of that time did (features_row.implied).
void image_node_range(const struct image_node *node, const char *name, int16_t *min, int16_t *max);

// ---- listeners ----
// Called from image_apply and image_replace after the image has changed; before and after are NULL for
// "absent" and valid during the call only. A listener must not change the image. A removed topic tells every
// partition's removal (after = NULL), then on_topic_removed. Callbacks may be NULL.
struct image_listener {
    void *context;
    void (*on_node)(void *context, const struct image_node *before, const struct image_node *after);
    void (*on_topic)(void *context, const struct image_topic *topic); // a new one, still without partitions
    void (*on_topic_removed)(void *context, const struct image_topic *topic);
    void (*on_partition)(void *context, const struct image_topic *topic, const struct image_partition *before,
                         const struct image_partition *after);
    void (*on_config)(void *context, Millrace__ResourceType type, const char *name, const char *key,
                      const char *value); // value NULL: removed
    void (*on_shard)(void *context, const struct image_shard *before, const struct image_shard *after);
    struct image_listener *next; // the image's
};
void image_listen(struct image *image, struct image_listener *listener); // told in order of registration
void image_unlisten(struct image *image, struct image_listener *listener);

#endif
