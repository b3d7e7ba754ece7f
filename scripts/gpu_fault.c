/* Laid before CUDA's runtime (LD_PRELOAD) it lets one wait for the device fail as a crashed kernel would, for the check of what a worker
   does then: the FAULT_AT-th call of cudaEventSynchronize gives cudaErrorLaunchFailure, all others do what they always do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

int cudaEventSynchronize(void *event) {
    static atomic_int calls;
    static int (*real)(void *);
    const char *at = getenv("FAULT_AT");
    if (at && atomic_fetch_add(&calls, 1) + 1 == atoi(at)) {
        return 719;
    }
    if (!real) {
        real = (int (*)(void *))dlsym(RTLD_NEXT, "cudaEventSynchronize");
    }
    return real ? real(event) : 3;
}
