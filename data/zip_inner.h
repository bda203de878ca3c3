/* What reading and writing of zip files share. */
#ifndef HUBBUB_DATA_ZIP_INNER_H
#define HUBBUB_DATA_ZIP_INNER_H

#include "data/zip.h"

/* Sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3. */
enum {
    LOCAL_MAGIC = 0x04034b50,
    CENTRAL_MAGIC = 0x02014b50,
    END_MAGIC = 0x06054b50,
    END64_MAGIC = 0x06064b50,
    LOCATOR_MAGIC = 0x07064b50,
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1,
    STORED = 0,
    DEFLATED = 8,
    MEMBERS_MAX = 1 << 20
};
#define IN_ZIP64 0xffffffffu /* the number stands in the extra field */

static inline uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

#endif
