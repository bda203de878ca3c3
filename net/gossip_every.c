#include "net/gossip_every.h"

#include "base/parse.h"

#include <string.h>

int gossip_every_parse(const char *text, void *field, struct error *err)
{
    struct gossip_every *every = field;
    uint64_t steps;
    *every = (struct gossip_every){0};
    if (strcmp(text, "auto") == 0) {
        every->automatic = true;
        return 0;
    }
    if (parse_u64(text, &steps) && steps >= 1 && steps <= 1000000) {
        every->steps = (uint32_t)steps;
        return 0;
    }
    if (parse_duration(text, &every->period_us) && every->period_us >= 1000)
        return 0;
    return error_set(err, ERR_USAGE,
                     "'%.100s' is neither auto, nor a number of local steps from 1 to 1000000, nor "
                     "a duration of at least 1ms",
                     text);
}
