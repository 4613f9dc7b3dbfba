// SPDX-License-Identifier: Apache-2.0
// Proposals to change in-sync sets, gathered per turn and sent to the active controller as AlterIsr. The
// outcome of a proposal is what the image says; an unanswered one stays open and is sent again
// (compare-and-set by partition epoch makes that harmless), a refused one is dropped and not repeated for a
// moment.
#ifndef STORAGE_ISR_H
#define STORAGE_ISR_H

struct isr;
struct partitions;
struct replica;

struct isr *isr_new(struct partitions *partitions);
void isr_destroy(struct isr **isr);

// The replica's state machine has an open proposal.
void isr_propose(struct isr *isr, struct replica *replica);

// The replica goes away.
void isr_forget(struct isr *isr, struct replica *replica);

#endif
