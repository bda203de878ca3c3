#include "node/snapshot.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

void snapshot_write(struct snapshots *s, uint32_t peer, const float *theta, uint64_t dim)
{
    uint64_t tick = s->every_us > 0 ? clock_wall_us() / s->every_us : 0;
    if (s->dir == NULL || tick == s->tick)
        return;
    s->tick = tick;
    char path[512];
    snprintf(path, sizeof path, "%s/%" PRIu64 "-%" PRIu32 ".f32", s->dir, tick, peer);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(theta, sizeof *theta, dim, f) != dim) {
        log_warn("%s: cannot write a snapshot: %m; no more are written", path);
        s->dir = NULL;
    }
    if (f != NULL)
        fclose(f);
}
