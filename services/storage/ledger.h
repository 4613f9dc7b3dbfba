// SPDX-License-Identifier: Apache-2.0
// The leader's part of a ledger (design section 5): internal topics that one owner process writes, fenced by
// owner epoch, leader epoch and expected base offset, so that a retry never writes twice and a zombie never
// writes. The owner's part is common/ledger.
#ifndef STORAGE_LEDGER_H
#define STORAGE_LEDGER_H

#include "partitions.h"
#include "protos/storage.pb-c.h"

struct ledgers;

struct ledgers *ledgers_new(struct env *env, struct partitions *partitions, struct image *image,
                            struct follow *follow);
void ledgers_destroy(struct ledgers **ledgers);

void ledgers_open(struct ledgers *ledgers, const Millrace__LedgerOpenRequest *request,
                  Millrace__LedgerOpenReply_Closure closure, struct rpc_call *call);
void ledgers_append(struct ledgers *ledgers, const Millrace__LedgerAppendRequest *request,
                    Millrace__LedgerAppendReply_Closure closure, struct rpc_call *call);
void ledgers_read(struct ledgers *ledgers, const Millrace__LedgerReadRequest *request,
                  Millrace__LedgerReadReply_Closure closure, struct rpc_call *call);

#endif
