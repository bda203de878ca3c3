/* Layout: which numbers of a sample are which pixels of an image. Pure; any thread. */
#ifndef HUBBUB_DATA_LAYOUT_H
#define HUBBUB_DATA_LAYOUT_H

#include "base/error.h"
#include "data/part.h"

#include <stdint.h>

enum layout_order {
    LAYOUT_AUTO, /* as the file says, or seems to */
    LAYOUT_CHW,  /* channels, height, width */
    LAYOUT_HWC   /* height, width, channels: becomes channels, height, width */
};

enum { LAYOUT_TEXT_MAX = 48 };

struct layout {
    enum layout_order order;
    uint32_t dims[3];           /* in that order; 0: those of the file */
    char text[LAYOUT_TEXT_MAX]; /* "chw:1x8x8": the same for the same layout; "" for AUTO */
};

/* "chw", "hwc", "chw:1x8x8" or "1x8x8", "hwc:8x8x3"; "" for AUTO. For OPT_CUSTOM: field is a struct
 * layout *. ERR_USAGE. */
int layout_parse(const char *text, void *field, struct error *err) MUST_USE;

/* Sets the part's image and channels_last. ERR_USAGE: samples that have no shape, or another number
 * of features. */
int layout_apply(const struct layout *layout, struct part *p, struct error *err) MUST_USE;

#endif
