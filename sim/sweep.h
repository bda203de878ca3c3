/* --sweep: values of options, of which every combination is a setting of its own. Main thread. */
#ifndef HUBBUB_SIM_SWEEP_H
#define HUBBUB_SIM_SWEEP_H

#include "base/opts.h"

enum { SWEEP_KEYS_MAX = 8, SWEEP_VALUES_MAX = 64, SWEEP_SETTINGS_MAX = 1000 };

struct sweep_key {
    const char *name; /* of an option */
    uint32_t n;
    const char *values[SWEEP_VALUES_MAX];
};

struct sweep {
    uint32_t n_keys;
    struct sweep_key keys[SWEEP_KEYS_MAX];
    char *texts[OPT_LIST_MAX]; /* what names and values point into */
    uint32_t n_texts;
};

/* Of what --sweep said, each "name=value value ...", or several of these: a word "name=..." begins
 * a new one. What the options themselves make of the values is for the caller. ERR_USAGE; s needs
 * sweep_close in any case. */
int sweep_parse(struct sweep *s, const struct opt_list *said, struct error *err) MUST_USE;
void sweep_close(struct sweep *s);

/* Of nothing: 1. */
uint32_t sweep_settings(const struct sweep *s);

/* Of a setting; the last key changes first. */
const char *sweep_value(const struct sweep *s, uint32_t setting, uint32_t key);

/* "partition=iid topology=ring"; owned by the caller. */
char *sweep_label(const struct sweep *s, uint32_t setting);

#endif
