// SPDX-License-Identifier: Apache-2.0
// What is wrong with a machine's disk: it is full, or calls for some of its files fail. See world.h; the disk
// itself is in disk.c.
#include "world.h"

#include <stdio.h>

int64_t disk_room_take(struct machine *machine, int64_t bytes)
{
    struct disk_ills *ills = &machine->ills;
    if (!ills->full)
        return bytes;
    int64_t taken = bytes < ills->room ? bytes : ills->room;
    if (taken < bytes)
        world_count(machine->world, COUNT_space_refused);
    ills->room -= taken;
    return taken;
}

void disk_room_give(struct machine *machine, int64_t bytes)
{
    machine->ills.room += bytes;
}

bool disk_fails(struct machine *machine, enum disk_call call, const char *path)
{
    if (!(machine->ills.failing & (int)call) || strstr(path, machine->ills.failing_at) == NULL)
        return false;
    world_count(machine->world, COUNT_io_error);
    return true;
}

static void tell(const struct machine *machine, const char *what)
{
    const struct disk_ills *ills = &machine->ills;
    if (machine->world->verbose)
        fprintf(stderr, "%10.6f DISK of machine %d %s room=%lld calls=%d of %s\n",
                (double)machine->world->now_us / 1e6, machine->id, what, (long long)ills->room, ills->failing,
                ills->failing_at);
}

void disk_fill(struct machine *machine, int64_t room, bool hidden)
{
    machine->ills.full = true;
    machine->ills.room = room;
    machine->ills.room_hidden = hidden;
    world_count(machine->world, COUNT_disk_filled);
    tell(machine, "is full");
}

void disk_empty(struct machine *machine)
{
    if (!machine->ills.full)
        return;
    machine->ills.full = false;
    world_count(machine->world, COUNT_disk_emptied);
    tell(machine, "has space");
}

void disk_break(struct machine *machine, int calls, const char *failing_at)
{
    machine->ills.failing = calls;
    snprintf(machine->ills.failing_at, sizeof machine->ills.failing_at, "%s", failing_at);
    world_count(machine->world, COUNT_disk_failing);
    tell(machine, "fails");
}

void disk_mend(struct machine *machine)
{
    if (machine->ills.failing == 0)
        return;
    machine->ills.failing = 0;
    world_count(machine->world, COUNT_disk_working);
    tell(machine, "works");
}
