// SPDX-License-Identifier: Apache-2.0
// Random walks: members as clients are (they report what they have, take what they are told, give up late)
// join, leave, die, lose answers and say things again; topics come and grow; the owner fails. At every moment
// no partition is in the hands of two clients, and when things calm down every partition is in somebody's.
#include "consumer_world.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { CLIENTS = 6, STEPS = 300, CALM = 40, SEEDS = 100 };

struct client {
    char id[16];
    bool alive;
    bool joined;
    bool must_say; // it has done what it was told, and has not said so
    bool unsure;   // an answer was lost: it says everything anew
    bool news;     // it was told something and has not done it yet
    int32_t epoch;
    struct parts has;  // reads now
    struct parts told; // is to have
};

struct walk {
    struct consumer_world world;
    struct client clients[CLIENTS];
    uint64_t random;
    int ids, partitions;
    bool calm;
};

static uint32_t draw(struct walk *walk, uint32_t below)
{
    walk->random = walk->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(walk->random >> 33) % below;
}

static void forget(struct client *client)
{
    parts_fini(&client->has);
    parts_fini(&client->told);
    client->joined = client->must_say = client->unsure = client->news = false;
    client->epoch = 0;
}

static void expect_no_two_owners(const struct walk *walk, uint64_t seed)
{
    for (int a = 0; a < CLIENTS; a++) {
        for (int b = a + 1; b < CLIENTS; b++)
            cr_assert_not(parts_meet(&walk->clients[a].has, &walk->clients[b].has),
                          "seed %d: %s and %s have the same partition", (int)seed, walk->clients[a].id,
                          walk->clients[b].id);
    }
}

// What it is told it does at once in half the cases, else after some heartbeats.
static void take(struct walk *walk, struct client *client)
{
    if (!walk->calm && draw(walk, 2) == 0)
        return;
    struct parts all = parts_copy(&client->told);
    parts_move(&client->has, &all);
    client->must_say = client->must_say || client->news;
    client->news = false;
}

static void client_beat(struct walk *walk, struct client *client, bool answer_lost)
{
    struct slice topics[] = {slice_str("a"), slice_str("b")};
    bool all = !client->joined || client->unsure;
    struct consumer_beat beat = {
        .member_id = slice_str(client->id),
        .epoch = client->epoch,
        .profile = {.client_id = slice_str("c"),
                    .client_host = slice_str("/h"),
                    .topics = topics,
                    .topic_count = all ? 2 : -1,
                    .rebalance_ms = all ? 10000 : -1},
        .owned = all || client->must_say ? &client->has : NULL,
    };
    struct consumer_beaten answer = {0};
    int16_t error = consumer_heartbeat(walk->world.group, walk->world.now, &beat, &answer);
    struct parts told = answer.assignment != NULL ? parts_copy(answer.assignment) : (struct parts){0};
    bool is_told = answer.assignment != NULL;
    consumer_world_write(&walk->world);
    if (answer_lost) {
        client->unsure = true;
    } else if (error != KAFKA_ERR_NONE) {
        forget(client);
    } else {
        client->joined = true;
        client->epoch = answer.epoch;
        client->must_say = client->unsure = false;
        client->news = client->news || is_told;
        if (is_told)
            parts_move(&client->told, &told);
        take(walk, client);
    }
    parts_fini(&told);
}

static void client_gone(struct walk *walk, struct client *client, bool says_so)
{
    if (says_so && client->joined) {
        struct consumer_beat beat = {.member_id = slice_str(client->id), .epoch = CONSUMER_LEAVE};
        struct consumer_beaten answer;
        consumer_heartbeat(walk->world.group, walk->world.now, &beat, &answer);
        consumer_world_write(&walk->world);
    }
    forget(client);
    client->alive = false;
}

static void client_comes(struct walk *walk, struct client *client)
{
    snprintf(client->id, sizeof client->id, "m%d", walk->ids++);
    client->alive = true;
}

static void step(struct walk *walk)
{
    struct client *client = &walk->clients[draw(walk, CLIENTS)];
    uint32_t what = draw(walk, 100);
    if (!client->alive && what < 60)
        client_comes(walk, client);
    else if (what < 75 && client->alive)
        client_beat(walk, client, draw(walk, 12) == 0);
    else if (what < 80 && client->alive)
        client_gone(walk, client, true);
    else if (what < 82 && client->alive)
        client_gone(walk, client, false); // its partitions are free when its session ends
    else if (what < 84 && walk->partitions < 12)
        consumer_world_topic(&walk->world, draw(walk, 2) == 0 ? "a" : "b", ++walk->partitions / 2 + 1);
    else if (what < 87)
        consumer_world_take_over(&walk->world, 0);
    else
        consumer_world_pass(&walk->world, 100); // in all less than the rebalance timeout
}

static void calm(struct walk *walk, uint64_t seed)
{
    walk->calm = true;
    for (int turn = 0; turn < CALM; turn++) {
        consumer_world_pass(&walk->world, 2000); // sessions of the dead end
        for (int i = 0; i < CLIENTS; i++) {
            if (!walk->clients[i].alive)
                client_comes(walk, &walk->clients[i]);
            client_beat(walk, &walk->clients[i], false);
            expect_no_two_owners(walk, seed);
        }
    }
    size_t read = 0, all = 0;
    for (int i = 0; i < CLIENTS; i++)
        read += walk->clients[i].has.count;
    for (int t = 0; t < 2; t++) {
        const struct image_topic *topic = image_topic_named(walk->world.image, t == 0 ? "a" : "b");
        all += topic == NULL ? 0 : topic->partition_count;
    }
    cr_assert_eq(read, all, "seed %d: %zu of %zu partitions are read", (int)seed, read, all);
    cr_assert_eq(consumer_state(walk->world.group), CONSUMER_STABLE, "seed %d", (int)seed);
}

Test(consumer_walk, no_partition_has_two_readers_and_in_the_end_each_has_one)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct walk walk = {.random = seed};
        consumer_world_init(&walk.world);
        consumer_world_topic(&walk.world, "a", 3);
        for (int i = 0; i < STEPS; i++) {
            step(&walk);
            expect_no_two_owners(&walk, seed);
        }
        calm(&walk, seed);
        for (int i = 0; i < CLIENTS; i++)
            forget(&walk.clients[i]);
        consumer_world_fini(&walk.world);
    }
}
