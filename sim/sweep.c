#include "sim/sweep.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is no part of a setting, but of how it is run and told. */
static const char *const not_swept[] = {"sweep",  "repeat",       "report",     "json",  "metrics",
                                        "save",   "eval-every",   "eval-nodes", "quiet", "verbose",
                                        "config", "print-config", "help"};

/* The length of the name in "name=value"; 0: no such thing. */
static size_t name_length(const char *word)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return word[n] == '=' ? n : 0;
}

static int begin_key(struct sweep *s, const char *name, struct error *err)
{
    for (size_t i = 0; i < sizeof not_swept / sizeof not_swept[0]; i++)
        if (strcmp(name, not_swept[i]) == 0)
            return error_set(err, ERR_USAGE, "--sweep %s: is no setting of a simulation", name);
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (strcmp(name, s->keys[i].name) == 0)
            return error_set(err, ERR_USAGE, "--sweep %s: stands twice (right: all values at once)",
                             name);
    if (s->n_keys == SWEEP_KEYS_MAX)
        return error_set(err, ERR_USAGE, "--sweep %s: more than %d options", name, SWEEP_KEYS_MAX);
    s->keys[s->n_keys++].name = name;
    return 0;
}

static int add_value(struct sweep *s, const char *value, struct error *err)
{
    struct sweep_key *key = &s->keys[s->n_keys - 1];
    if (key->n == SWEEP_VALUES_MAX)
        return error_set(err, ERR_USAGE, "--sweep %s=%.60s: more than %d values", key->name, value,
                         SWEEP_VALUES_MAX);
    for (uint32_t i = 0; i < key->n; i++)
        if (strcmp(value, key->values[i]) == 0)
            return error_set(err, ERR_USAGE, "--sweep %s=%.60s: stands twice", key->name, value);
    key->values[key->n++] = value;
    return 0;
}

static int parse(struct sweep *s, char *text, struct error *err)
{
    int rc = 0;
    uint32_t n_before = s->n_keys;
    for (char *word, *rest = text; rc == 0 && (word = strtok_r(rest, " \t\n", &rest)) != NULL;) {
        size_t n = name_length(word);
        if (n == 0 && s->n_keys == n_before)
            return error_set(err, ERR_USAGE,
                             "--sweep %.100s: begins with no option (right: --sweep "
                             "'partition=iid labels:2')",
                             word);
        if (n > 0) {
            word[n] = '\0';
            rc = begin_key(s, word, err);
            word += n + 1;
        }
        if (rc == 0 && *word != '\0')
            rc = add_value(s, word, err);
    }
    if (rc == 0 && s->n_keys == n_before)
        return error_set(err, ERR_USAGE, "--sweep: nothing (right: 'partition=iid labels:2')");
    return rc;
}

int sweep_parse(struct sweep *s, const struct opt_list *said, struct error *err)
{
    *s = (struct sweep){0};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < said->n; i++) {
        char *text = strdup(said->values[i]);
        CHECK(text != NULL);
        s->texts[s->n_texts++] = text;
        rc = parse(s, text, err);
    }
    uint64_t n = 1;
    for (uint32_t i = 0; rc == 0 && i < s->n_keys; i++) {
        n *= s->keys[i].n;
        if (s->keys[i].n == 0)
            rc = error_set(err, ERR_USAGE, "--sweep %s=: has no value", s->keys[i].name);
        else if (n > SWEEP_SETTINGS_MAX)
            rc = error_set(err, ERR_USAGE, "--sweep: more than %d settings", SWEEP_SETTINGS_MAX);
    }
    return rc;
}

void sweep_close(struct sweep *s)
{
    for (uint32_t i = 0; i < s->n_texts; i++)
        free(s->texts[i]);
}

uint32_t sweep_settings(const struct sweep *s)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < s->n_keys; i++)
        n *= s->keys[i].n;
    return n;
}

const char *sweep_value(const struct sweep *s, uint32_t setting, uint32_t key)
{
    for (uint32_t i = s->n_keys - 1; i > key; i--)
        setting /= s->keys[i].n;
    return s->keys[key].values[setting % s->keys[key].n];
}

char *sweep_label(const struct sweep *s, uint32_t setting)
{
    char *label = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&label, &size);
    CHECK(out != NULL);
    for (uint32_t i = 0; i < s->n_keys; i++)
        fprintf(out, "%s%s=%s", i > 0 ? " " : "", s->keys[i].name, sweep_value(s, setting, i));
    CHECK(fclose(out) == 0);
    return label;
}
