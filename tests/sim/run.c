// SPDX-License-Identifier: Apache-2.0
// A run: the cluster forms, a topic is made, clients work while the nemesis strikes, everything heals, the
// clients come to an end, the checkers read what is left. See run.h.
#include "run.h"

#include "check.h"
#include "check_schemas.h"
#include "check_txn.h"
#include "committer.h"
#include "consumer.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/create_topics.h"
#include "late.h"
#include "member.h"
#include "nemesis.h"
#include "pipeliner.h"
#include "producer.h"
#include "reader.h"
#include "reassigner.h"
#include "registrar.h"
#include "share_book.h"
#include "sharer.h"
#include "streamer.h"
#include "voter_changer.h"
#include "controller.h"
#include "coordinator.h"
#include "storage.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORM_SECONDS = 20, // at most, until the topic is there
    HEAL_SECONDS = 20, // from the last fault until everything must work again
    REST_SECONDS = 4,  // from the last record until the disks are read
    MEMBERS = 2,
    CONSUMERS = 3,
    COMMITTERS = 2,
    LATES = 3,
    VOTER_CHANGERS = 2,                                       // so that their changes meet
    GETTING_ON = HISTORY_PRODUCERS + COMMITTERS + TRANSACTORS // clients of which progress is asked
};

struct run {
    struct world world; // first
    struct history history;
    struct cluster cluster;
    struct check check;
    struct nemesis nemesis;
    struct actor admin;
    bool topic_made;
    struct producer producers[HISTORY_SINGLE_PRODUCERS];
    struct pipeliner pipeliner;
    struct committer committers[COMMITTERS];
    struct member_sim members[MEMBERS];
    struct consumer_sim consumers[CONSUMERS];
    int32_t nodes[CLUSTER_STORAGE];
    struct transactor transactors[TRANSACTORS];
    struct late lates[LATES];
    struct share_book shares;
    struct sharer sharers[SHARERS];
    struct streamer streamers[STREAMERS];
    struct reassigner reassigner;                  // of seeds that nemesis_reassigns
    struct reader reader;                          // of seeds that nemesis_spoils_disks
    struct voter_changer changers[VOTER_CHANGERS]; // of seeds that cluster_changes_voters
    struct schema_facts facts;
    struct registrar registrars[REGISTRARS]; // of seeds that cluster_has_registries
};

// ---- the topic ----

static struct run *run_of_admin(struct actor *actor)
{
    return (struct run *)((char *)actor - offsetof(struct run, admin));
}

static void on_created(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_create_topics_response *reply = answer ? answer->body : NULL;
    bool made = reply != NULL && reply->topics_count == 2;
    for (int i = 0; made && i < 2; i++)
        made = reply->topics[i].error_code == KAFKA_ERR_NONE ||
               reply->topics[i].error_code == KAFKA_ERR_TOPIC_ALREADY_EXISTS;
    run_of_admin(actor)->topic_made = made;
    actor->stopped = run_of_admin(actor)->topic_made;
    actor_again(actor, 50);
}

static void admin_step(struct actor *actor)
{
    struct kafka_create_topics_request_creatable_topic_config configs[2];
    struct kafka_create_topics_request_creatable_topic topics[2];
    struct kafka_create_topics_request request;
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    for (int i = 0; i < 2; i++)
        kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_config_type, &configs[i]);
    for (int i = 0; i < 2; i++)
        kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_type, &topics[i]);
    kafka_defaults(&kafka_create_topics_request_message, &request);
    configs[0].name = slice_str("min.insync.replicas");
    configs[0].value = slice_str("2");
    configs[1].name = slice_str("segment.bytes");
    configs[1].value = slice_str("10000"); // a hundred records
    topics[0].name = slice_str("t");
    topics[0].num_partitions = HISTORY_PARTITIONS;
    topics[1].name = slice_str(TRANSACTOR_TOPIC);
    topics[1].num_partitions = TRANSACTORS;
    for (int i = 0; i < 2; i++) {
        topics[i].replication_factor = CLUSTER_STORAGE;
        topics[i].configs = configs;
        topics[i].configs_count = nemesis_spoils_disks(actor->history->world->seed) ? 2 : 1;
    }
    request.topics = topics;
    request.topics_count = 2;
    request.timeout_ms = 3000;
    actor_call(actor, KAFKA_API_CREATE_TOPICS, -1, &request, on_created);
}

// ---- counting transitions by what the daemons say of themselves ----

static void on_line(struct process *process, const char *line)
{
    static const struct {
        const char *text;
        enum world_counter counter;
    } marks[] = {{"truncating partition=", COUNT_truncated},
                 {"leader changed", COUNT_leader_changed},
                 {"ISR shrank", COUNT_isr_shrunk},
                 {"ISR grew", COUNT_isr_grown},
                 {"active controller", COUNT_controller_changed},
                 {"shard loaded", COUNT_shard_moved},
                 {"loaded topic=_schemas owner=yes", COUNT_registry_changed},
                 {"journal replayed", COUNT_journal_replayed},
                 {"removing partition=", COUNT_replica_removed},
                 {"appends are refused", COUNT_appends_refused},
                 {"records cannot be read back", COUNT_damage_found},
                 {"dropping damaged records", COUNT_damage_refetched},
                 {"partition is back, its disk works again", COUNT_log_returned},
                 {"checkpoint file is damaged", COUNT_checkpoint_remade},
                 {"partition.metadata was damaged and is repaired", COUNT_topic_id_repaired},
                 {"resumed from the manifest", COUNT_resumed},
                 {"journal block given back", COUNT_journal_block_given_back}};
    struct run *run = (struct run *)process->world; // its first member
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (strstr(line, marks[i].text) == NULL)
            continue;
        world_count(process->world, marks[i].counter);
        if (marks[i].counter == COUNT_replica_removed)
            check_log_removed(&run->check, process->machine, line);
        if (marks[i].counter == COUNT_log_returned)
            nemesis_log_returned(&run->nemesis, process->machine);
        if (marks[i].counter != COUNT_truncated)
            continue;
        check_log_cut(&run->check, process->machine, line);
        nemesis_truncating(&run->nemesis, process->machine);
    }
}

static void on_turn(struct world *world)
{
    struct run *run = (struct run *)world; // its first member
    check_quorum(&run->check);
    check_log(&run->check);
    bool begun = schema_facts_turn(&run->facts, &run->cluster);
    for (int i = 0; begun && i < REGISTRARS; i++)
        registrar_hurry(&run->registrars[i]);
    nemesis_turn(&run->nemesis);
}

// ---- the run ----

static void actor_place(struct run *run, struct actor *actor)
{
    actor->ports = run->cluster.ports;
    actor->port_count = CLUSTER_STORAGE;
    actor_again(actor, (int64_t)prng_below(&actor->prng, 50));
}

static void clients_begin(struct run *run, struct env *env)
{
    static const char *const groups[COMMITTERS] = {"committer-a", "committer-b"};
    pipeliner_init(&run->pipeliner, env, &run->history, run->cluster.ports);
    for (int i = 0; i < HISTORY_SINGLE_PRODUCERS; i++) {
        producer_init(&run->producers[i], env, &run->history, i);
        actor_place(run, &run->producers[i].actor);
    }
    for (int i = 0; i < COMMITTERS; i++) {
        committer_init(&run->committers[i], env, &run->history, groups[i]);
        actor_place(run, &run->committers[i].actor);
    }
    for (int i = 0; i < TRANSACTORS; i++) {
        transactor_init(&run->transactors[i], env, &run->history, i);
        actor_place(run, &run->transactors[i].actor);
    }
    for (int i = 0; i < LATES; i++) {
        late_init(&run->lates[i], env, &run->history, run->transactors);
        actor_place(run, &run->lates[i].actor);
    }
    for (int i = 0; i < MEMBERS; i++) {
        member_sim_init(&run->members[i], env, &run->history, "members");
        run->members[i].other = &run->members[(i + 1) % MEMBERS];
        actor_place(run, &run->members[i].actor);
    }
    share_book_init(&run->shares, &run->cluster, &run->history);
    for (int i = 0; i < SHARERS; i++) {
        sharer_init(&run->sharers[i], env, &run->shares, i);
        actor_place(run, &run->sharers[i].actor);
    }
    for (int i = 0; i < STREAMERS; i++) {
        streamer_init(&run->streamers[i], env, &run->history, i);
        run->streamers[i].others = run->streamers;
        actor_place(run, &run->streamers[i].actor);
    }
    for (int i = 0; i < CONSUMERS; i++) {
        consumer_sim_init(&run->consumers[i], env, &run->history, i);
        run->consumers[i].others = run->consumers;
        run->consumers[i].other_count = CONSUMERS;
        actor_place(run, &run->consumers[i].actor);
    }
}

static void reader_begin(struct run *run, struct env *env)
{
    reader_init(&run->reader, env, &run->history);
    actor_place(run, &run->reader.actor);
}

static void reassigner_begin(struct run *run, struct env *env)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++)
        run->nodes[i] = run->cluster.storage[i].node_id;
    reassigner_init(&run->reassigner, env, &run->history, run->nodes, CLUSTER_STORAGE);
    actor_place(run, &run->reassigner.actor);
}

static void voter_changers_begin(struct run *run, struct env *env)
{
    for (int i = 0; i < VOTER_CHANGERS; i++) {
        voter_changer_init(&run->changers[i], env, &run->history);
        actor_place(run, &run->changers[i].actor);
    }
}

static void registrars_begin(struct run *run)
{
    schema_facts_init(&run->facts, &run->history);
    for (int i = 0; i < REGISTRARS; i++) {
        registrar_init(&run->registrars[i], &run->cluster, &run->facts);
        run->registrars[i].others = run->registrars;
    }
}

// Runs for that long, or until something is violated.
static void run_for(struct run *run, int64_t us)
{
    int64_t until = run->world.now_us + us;
    while (run->world.now_us < until && !history_failed(&run->history)) {
        int64_t slice = until - run->world.now_us < 10000 ? until - run->world.now_us : 10000;
        world_run_until(&run->world, run->world.now_us + slice);
    }
}

static bool cluster_form(struct run *run)
{
    for (int i = 0; i < run->cluster.daemon_count && !history_failed(&run->history); i++)
        cluster_start(cluster_daemon(&run->cluster, i));
    for (int i = 0; i < FORM_SECONDS * 10 && !run->topic_made && !history_failed(&run->history); i++)
        run_for(run, 100000);
    if (!run->topic_made)
        history_violation(&run->history, "liveness", "no topic could be made in %d s", FORM_SECONDS);
    return !history_failed(&run->history);
}

// Every partition is read by somebody, and all have come to the same epoch.
static void consumers_check(struct run *run)
{
    uint64_t read = 0;
    for (int i = 0; i < CONSUMERS; i++) {
        read |= consumer_sim_has(&run->consumers[i]);
        if (run->consumers[i].epoch != run->consumers[0].epoch || run->consumers[i].epoch <= 0)
            history_violation(&run->history, "liveness", "%s is at epoch %d, %s at %d", run->consumers[i].id,
                              run->consumers[i].epoch, run->consumers[0].id, run->consumers[0].epoch);
    }
    if (read != (1ull << HISTORY_PARTITIONS) - 1)
        history_violation(&run->history, "liveness", "consumers read partitions %llx only",
                          (unsigned long long)read);
}

// Every task is worked on by somebody, and all have come to the same epoch.
static void streamers_check(struct run *run)
{
    uint64_t active = 0;
    for (int i = 0; i < STREAMERS; i++) {
        active |= streamer_has(&run->streamers[i]);
        if (run->streamers[i].epoch != run->streamers[0].epoch || run->streamers[i].epoch <= 0)
            history_violation(&run->history, "streams-target-reached", "%s is at epoch %d, %s at %d",
                              run->streamers[i].id, run->streamers[i].epoch, run->streamers[0].id,
                              run->streamers[0].epoch);
    }
    if (active != (1ull << HISTORY_PARTITIONS) - 1)
        history_violation(&run->history, "streams-target-reached", "tasks %llx only are active",
                          (unsigned long long)active);
}

static int64_t next_record(const struct run *run, int producer)
{
    return producer < HISTORY_SINGLE_PRODUCERS
               ? run->producers[producer].next
               : run->pipeliner.lanes[producer - HISTORY_SINGLE_PRODUCERS].next;
}

// After healing every client gets on.
static void liveness_check(struct run *run, const int64_t before[GETTING_ON])
{
    for (int i = 0; i < HISTORY_PRODUCERS; i++)
        if (next_record(run, i) <= before[i])
            history_violation(&run->history, "liveness", "producer %d is stuck at record %lld", i,
                              (long long)next_record(run, i));
    for (int i = 0; i < COMMITTERS; i++)
        if (run->committers[i].next <= before[HISTORY_PRODUCERS + i])
            history_violation(&run->history, "liveness", "%s is stuck at offset %lld",
                              run->committers[i].group, (long long)run->committers[i].next);
    for (int i = 0; i < TRANSACTORS; i++)
        if (run->transactors[i].next <= before[HISTORY_PRODUCERS + COMMITTERS + i])
            history_violation(&run->history, "liveness",
                              "transactor %d is stuck at transaction %lld in state %d", i,
                              (long long)run->transactors[i].next, (int)run->transactors[i].state);
    for (int i = 0; i < MEMBERS; i++)
        if (run->members[i].state != MEMBER_BEAT || run->members[i].generation != run->members[0].generation)
            history_violation(&run->history, "liveness", "group member %d is not in the common generation",
                              i);
    consumers_check(run);
    streamers_check(run);
}

// After healing schemas are registered.
static void registrars_check(struct run *run, const int64_t before[REGISTRARS])
{
    for (int i = 0; i < REGISTRARS; i++)
        if (run->registrars[i].acknowledged <= before[i])
            history_violation(&run->history, "liveness", "registrar %d is stuck after %lld schemas", i,
                              (long long)run->registrars[i].acknowledged);
}

static void heal_and_check(struct run *run)
{
    int64_t before[GETTING_ON], schemas[REGISTRARS];
    nemesis_heal(&run->nemesis);
    run->reassigner.finishing = true;
    for (int i = 0; i < VOTER_CHANGERS; i++)
        run->changers[i].actor.stopped = true;
    for (int i = 0; i < CONSUMERS; i++)
        run->consumers[i].steady = true;
    for (int i = 0; i < STREAMERS; i++)
        run->streamers[i].steady = true;
    run_for(run, HEAL_SECONDS / 2 * 1000000ll);
    for (int i = 0; i < HISTORY_PRODUCERS; i++)
        before[i] = next_record(run, i);
    for (int i = 0; i < COMMITTERS; i++)
        before[HISTORY_PRODUCERS + i] = run->committers[i].next;
    for (int i = 0; i < TRANSACTORS; i++)
        before[HISTORY_PRODUCERS + COMMITTERS + i] = run->transactors[i].next;
    for (int i = 0; i < REGISTRARS; i++)
        schemas[i] = run->registrars[i].acknowledged;
    for (int i = 0; i < SHARERS; i++) // until now they have met what the faults have left
        run->sharers[i].steady = true;
    run_for(run, HEAL_SECONDS / 2 * 1000000ll);
    if (!history_failed(&run->history))
        liveness_check(run, before);
    if (!history_failed(&run->history) && run->cluster.registry_count > 0)
        registrars_check(run, schemas);
    run->pipeliner.finishing = true;
    for (int i = 0; i < HISTORY_SINGLE_PRODUCERS; i++)
        run->producers[i].finishing = true;
    for (int i = 0; i < TRANSACTORS; i++)
        run->transactors[i].finishing = true;
    for (int i = 0; i < REGISTRARS; i++)
        run->registrars[i].finishing = true;
    run_for(run, REST_SECONDS * 1000000ll);
    if (!history_failed(&run->history) && nemesis_spoils_disks(run->world.seed))
        nemesis_disk_check(&run->nemesis);
    if (!history_failed(&run->history))
        check_logs(&run->check);
    if (!history_failed(&run->history))
        share_book_check(&run->shares);
    if (!history_failed(&run->history) && run->cluster.registry_count > 0)
        check_schemas(&run->cluster, &run->facts);
    for (int i = 0; i < TRANSACTORS && !history_failed(&run->history); i++)
        check_transactions(&run->check, &run->transactors[i]);
}

// What every daemon says of itself, for a person who looks into a failing seed.
static void dump_print(struct run *run)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    for (int i = 0; i < run->cluster.daemon_count; i++) {
        struct daemon_sim *daemon = cluster_daemon(&run->cluster, i);
        buf_printf(&out, "---- %s\n", daemon->process ? daemon->process->name : "down");
        if (daemon->controller != NULL)
            controller_dump(daemon->controller, &out);
        if (daemon->storage != NULL)
            storage_dump(daemon->storage, &out);
        if (daemon->coordinator != NULL)
            coordinator_dump(daemon->coordinator, &out);
        cluster_registry_dump(daemon, &out);
    }
    fwrite(out.data, 1, out.len, stderr);
    buf_fini(&out);
}

void run_seed(uint64_t seed, const struct run_options *options, struct run_result *result)
{
    struct run *run = calloc(1, sizeof *run);
    world_init(&run->world, seed);
    run->world.verbose = options->verbose;
    run->world.on_line = on_line;
    run->history.world = &run->world;
    cluster_init(&run->cluster, &run->world, &run->history);
    struct process *observer = process_start(world_machine(&run->world), "clients");
    run->cluster.observer = &observer->env;
    actor_init(&run->admin, &observer->env, &run->history, admin_step);
    actor_place(run, &run->admin);
    if (cluster_form(run)) {
        clients_begin(run, &observer->env);
        if (nemesis_reassigns(seed))
            reassigner_begin(run, &observer->env);
        if (cluster_changes_voters(seed))
            voter_changers_begin(run, &observer->env);
        if (nemesis_spoils_disks(seed))
            reader_begin(run, &observer->env);
        if (run->cluster.registry_count > 0)
            registrars_begin(run);
        check_begin(&run->check, &run->cluster, &run->history, &observer->env);
        nemesis_begin(&run->nemesis, &run->cluster, &run->check, &observer->env);
        run->world.on_turn = on_turn;
        run_for(run, options->fault_seconds * 1000000ll);
        if (!history_failed(&run->history))
            heal_and_check(run);
    }
    if (options->verbose && history_failed(&run->history))
        dump_print(run);
    *result = (struct run_result){.seed = seed, .trace = run->world.trace};
    snprintf(result->violation, sizeof result->violation, "%s", run->history.violation);
    memcpy(result->counters, run->world.counters, sizeof result->counters);
}
