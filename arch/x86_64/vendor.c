/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The choice of the vendor code: the one place where more than one is known. Called once at start.
 */

#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/lib/log.h"

static struct hvm_ops *const vendor_list[] = {&vmx_ops, &svm_ops};

enum status hvm_probe(void) {
    for (size_t i = 0; i < ARRAY_SIZE(vendor_list); i++) {
        if (vendor_list[i]->probe() == STATUS_OK) {
            hvm = vendor_list[i];
            return STATUS_OK;
        }
    }
    return STATUS_UNSUPPORTED;
}
