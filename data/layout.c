#include "data/layout.h"

#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const order_names[] = {[LAYOUT_CHW] = "chw", [LAYOUT_HWC] = "hwc"};

/* "1x8x8" */
static bool parse_dims(const char *text, uint32_t dims[3])
{
    char copy[LAYOUT_TEXT_MAX], *rest = copy;
    uint64_t n;
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    for (int i = 0; i < 3; i++) {
        const char *word = strsep(&rest, "x");
        if (word == NULL || !parse_u64(word, &n) || n < 1 || n > UINT16_MAX)
            return false;
        dims[i] = (uint32_t)n;
    }
    return rest == NULL;
}

int layout_parse(const char *text, void *field, struct error *err)
{
    struct layout *l = field;
    *l = (struct layout){0};
    if (text[0] == '\0')
        return 0;
    bool is_hwc = strncmp(text, order_names[LAYOUT_HWC], 3) == 0;
    bool is_named = is_hwc || strncmp(text, order_names[LAYOUT_CHW], 3) == 0;
    bool has_dims = !is_named || text[3] == ':';
    l->order = is_hwc ? LAYOUT_HWC : LAYOUT_CHW;
    if (has_dims ? !parse_dims(is_named ? text + 4 : text, l->dims) : text[3] != '\0')
        return error_set(
            err, ERR_USAGE,
            "'%.60s' is no layout (right: 1x8x8 for channels, height, width; hwc:8x8x3 "
            "for height, width, channels; or chw or hwc alone)",
            text);
    int n = snprintf(l->text, sizeof l->text, "%s", order_names[l->order]);
    if (has_dims)
        snprintf(l->text + n, sizeof l->text - (size_t)n, ":%" PRIu32 "x%" PRIu32 "x%" PRIu32,
                 l->dims[0], l->dims[1], l->dims[2]);
    return 0;
}

int layout_apply(const struct layout *l, struct part *p, struct error *err)
{
    uint32_t dims[3];
    if (l->order == LAYOUT_AUTO || p->n_rows == 0)
        return 0;
    memcpy(dims, l->dims, sizeof dims);
    if (dims[0] == 0 && p->image[0] == 0)
        return error_set(err, ERR_USAGE,
                         "--layout %s: the samples of %s are %" PRIu32
                         " numbers without a shape (right: one of three sizes, such as %s)",
                         l->text, p->path, p->x.n_columns,
                         l->order == LAYOUT_HWC ? "hwc:8x8x3" : "1x8x8");
    if (dims[0] == 0 && p->channels_last)
        memcpy(dims, (uint32_t[]){p->image[1], p->image[2], p->image[0]}, sizeof dims);
    else if (dims[0] == 0)
        memcpy(dims, p->image, sizeof dims);
    if ((uint64_t)dims[0] * dims[1] * dims[2] != p->x.n_columns)
        return error_set(err, ERR_USAGE,
                         "--layout %s: %" PRIu64 " numbers, but the samples of %s have %" PRIu32,
                         l->text, (uint64_t)dims[0] * dims[1] * dims[2], p->path, p->x.n_columns);
    bool is_hwc = l->order == LAYOUT_HWC;
    p->channels_last = is_hwc && dims[2] > 1;
    memcpy(p->image, is_hwc ? (uint32_t[]){dims[2], dims[0], dims[1]} : dims, sizeof p->image);
    return 0;
}
