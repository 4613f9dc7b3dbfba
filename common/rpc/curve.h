// SPDX-License-Identifier: Apache-2.0
// Keys of the RPC network (CurveZMQ). A key directory is a folder of small text files, one pair per daemon:
//   NAME.pub                     NAME.key (mode 0600, read by its owner only)
//     role=storage                 role=storage
//     node=1                       node=1
//     public=<40 characters Z85>   public=...
//                                  secret=<40 characters Z85>
// Whoever has its .pub in a daemon's directory may connect to it, as that role and node and nothing else;
// node=-1 stands for any node of the role. Lines that start with # are comments. `millrace keygen` makes the
// files; a .pub that is added later is seen within 2 s, one that is removed admits no new connection.
#ifndef RPC_CURVE_H
#define RPC_CURVE_H

#include "base/diag.h"
#include "base/status.h"
#include "rpc/transport.h"

#include <stdbool.h>

enum {
    CURVE_TEXT_SIZE = 41,   // Z85 of 32 bytes and a NUL
    CURVE_KEYS_MAX = 10000, // .pub files in a directory; more are not read
    CURVE_FILE_MAX = 4096   // bytes of a key file
};

struct curve_keys;

// Reads the own pair from a .key file and the directory of .pub files. The diag gets a line per file that is
// wrong. NOT_FOUND, MALFORMED (own file), DENIED (own file readable by others).
enum status curve_keys_load(struct diag *diag, const char *own_file, const char *directory,
                            struct curve_keys **keys);
void curve_keys_destroy(struct curve_keys **keys);

// Writes directory/NAME.key and directory/NAME.pub with a fresh pair; EXISTS when either is there.
enum status curve_keygen(const char *directory, const char *name, struct rpc_node node);

// Writes directory/NAME.pub from directory/NAME.key when it is missing (curve_keygen was interrupted between
// the two). NOT_FOUND, MALFORMED, DENIED: about the .key.
enum status curve_publish(const char *directory, const char *name);

// "controller", "storage", "coordinator", "tool"; 0 / NULL when unknown.
enum rpc_role curve_role_parse(const char *text);
const char *curve_role_text(enum rpc_role role);

// ---- for the transport; the functions below may be called on any thread ----

struct curve_pair {
    struct rpc_node node;
    char public_text[CURVE_TEXT_SIZE];
    char secret_text[CURVE_TEXT_SIZE]; // empty in an entry of the directory
};

const struct curve_pair *curve_own(const struct curve_keys *keys);

// The public key that must answer at an address of that node: the node's own, else its role's. False: none.
bool curve_find_node(struct curve_keys *keys, struct rpc_node node, char public_text[CURVE_TEXT_SIZE]);

// Whom a client's public key (32 bytes) belongs to. False: nobody.
bool curve_find_key(struct curve_keys *keys, const uint8_t public_bytes[32], struct rpc_node *node);

// Reads the directory again if it was not read in the last 2 s.
void curve_refresh(struct curve_keys *keys);

#endif
