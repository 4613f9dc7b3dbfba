// SPDX-License-Identifier: Apache-2.0
// The functions behind protos/controller.proto: who may answer what.
#ifndef CONTROLLER_SERVICE_H
#define CONTROLLER_SERVICE_H

#include "state.h"

void service_init(struct controller *controller);

#endif
