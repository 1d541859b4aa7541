/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of hv/vm/told.c: what an emulated instruction sets beyond general registers. */
#pragma once

#include "hv/vm/vcpu.h"

/* TOLD_STATE. False if it sets what no instruction that is emulated could. */
MUST_USE bool told_state(struct vcpu *v);
