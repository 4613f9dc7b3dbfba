// SPDX-License-Identifier: Apache-2.0
// A storage node: the Kafka listeners, the API table, the replicas, and this node's membership of the
// cluster. The daemon (main.c) and the simulator create one each; handlers reach its parts through the
// functions below.
//
// Life: storage_new opens and recovers the data directory; storage_start registers with the controller; once
// the image has this registration the replicas start and the listeners open; storage_drain hands leadership
// on, answers what is in progress and leaves; storage_destroy frees.
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/buf.h"
#include "base/config.h"
#include "io/env.h"
#include "request.h"
#include "rpc/rpc.h"

struct storage;
struct follow;
struct controllers;
struct relays;
struct producer_ids;
struct auto_create;
struct checks;
struct fetch_sessions;
struct guard;
struct share_groups;
struct telemetry;

extern const struct config_row storage_config_rows[];
extern const size_t storage_config_count;

struct storage_options {
    struct env *env;
    const struct config *config; // storage_config_rows and config_common_rows declared
    struct rpc *rpc;             // listening
    const char *rpc_endpoint;    // "tcp://host:port" others reach rpc at; copied
    uint64_t incarnation;
    // Going on would be wrong: another cluster's controller, a failed disk, a port in use. The process should
    // end.
    void (*on_failed)(void *context, const char *why);
    void *context;
};

// Opens the directories of log.dirs (blocking). The statuses of dirs_open; INVALID: a listener cannot
// be understood. A diagnostic line says more.
enum status storage_new(const struct storage_options *options, struct storage **storage);
enum status storage_start(struct storage *storage);
void storage_drain(struct storage *storage, void (*done)(void *context), void *context);
void storage_destroy(struct storage **storage);

// Whether clients are served; else why not, as one short line.
bool storage_ready(struct storage *storage, struct buf *reason);
void storage_dump(struct storage *storage, struct buf *out);
// "host:port" of the first open listener as bound, "" when none is.
const char *storage_kafka_address(struct storage *storage);

// ---- for handlers, beside those of request.h ----
const struct config *storage_config(const struct storage *storage);
struct rpc *storage_rpc_end(const struct storage *storage);
struct follow *storage_follow(const struct storage *storage);
struct controllers *storage_controllers(const struct storage *storage);
struct relays *storage_relays(const struct storage *storage);
struct producer_ids *storage_producer_ids(const struct storage *storage);
struct auto_create *storage_auto_create(const struct storage *storage);
struct checks *storage_checks(struct storage *storage);
struct guard *storage_guard(const struct storage *storage);
struct fetch_sessions *storage_fetch_sessions(const struct storage *storage);
struct share_groups *storage_share_groups(const struct storage *storage);
struct telemetry *storage_telemetry(const struct storage *storage);
bool storage_reads_closest(const struct storage *storage); // replica.selector.class is the rack-aware one
int32_t storage_node_id(const struct storage *storage);    // >= 0 whenever a request is there
uint64_t storage_incarnation(const struct storage *storage);

#endif
