// SPDX-License-Identifier: Apache-2.0
// millrace txn abort; in a file of its own because of its size. See txn_abort.c.
#ifndef CLI_TXN_ABORT_H
#define CLI_TXN_ABORT_H

#include "admin.h"
#include "kafka/messages/describe_transactions.h"

cli_fn txn_abort;

// What the coordinator says of a transactional id, and which node that is. A message is printed on failure,
// also when nothing is known of it.
enum cli_exit txn_ask(struct admin *admin, const char *id, int32_t *coordinator,
                      const struct kafka_describe_transactions_response_transaction_state **txn);

#endif
