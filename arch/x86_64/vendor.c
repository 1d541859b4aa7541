/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The choice of the vendor code, the one place where more than one is known. Called at start, on
 * the first CPU.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/vmx/vmx.h"

enum status hvm_probe(const struct boot_info *info) {
    hvm = vmx_probe() == STATUS_OK ? &vmx_ops : &svm_ops;
    enum status s = hvm == &vmx_ops ? STATUS_OK : svm_probe();
    mitigate_init(info);
    return s;
}
