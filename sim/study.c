#include "sim/study.h"

#include "base/check.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_single(const struct study *s)
{
    return s->n_settings == 1 && s->n_seeds == 1 && s->sweep.n_keys == 0;
}

/* ---- configurations ------------------------------------------------------------------------ */

static char *make_word(const char *name, const char *value)
{
    char *word = NULL;
    CHECK(asprintf(&word, "--%s=%s", name, value) >= 0);
    return word;
}

struct opening {
    struct study *study;
    study_configure *configure;
    void *ctx;
};

/* What a setting says stands before the seed. Words stay: configurations point into them. */
static int open_run(const struct opening *o, uint32_t setting, uint32_t seed_index, uint64_t seed,
                    struct error *err)
{
    struct study *s = o->study;
    struct study_run *run = &s->settings[setting].runs[seed_index];
    char *words[SWEEP_KEYS_MAX + 1], number[24];
    uint32_t n = 0;
    for (; n < s->sweep.n_keys; n++)
        words[n] = make_word(s->sweep.keys[n].name, sweep_value(&s->sweep, setting, n));
    if (s->n_seeds > 1) {
        snprintf(number, sizeof number, "%" PRIu64, seed);
        words[n++] = make_word("seed", number);
    }
    int rc = o->configure(o->ctx, words, n, &run->config, err);
    memcpy(run->words, words, sizeof words);
    run->n_words = n;
    return rc != 0 && s->sweep.n_keys > 0
               ? error_prefix(err, "--sweep %s", s->settings[setting].label)
               : rc;
}

int study_open(struct study *s, const struct opt_list *sweep, uint64_t first_seed, uint32_t n_seeds,
               study_configure *configure, void *ctx, struct error *err)
{
    *s = (struct study){.n_seeds = n_seeds};
    int rc = sweep_parse(&s->sweep, sweep, err);
    for (uint32_t i = 0; rc == 0 && n_seeds > 1 && i < s->sweep.n_keys; i++)
        if (strcmp(s->sweep.keys[i].name, "seed") == 0)
            rc = error_set(err, ERR_USAGE, "--sweep seed: and --repeat %" PRIu32 " (right: one)",
                           n_seeds);
    if (rc != 0)
        return rc;
    uint64_t n_settings = sweep_settings(&s->sweep);
    if (n_settings * n_seeds > STUDY_RUNS_MAX)
        return error_set(err, ERR_USAGE,
                         "--repeat %" PRIu32 " of %" PRIu64 " settings: more than %d runs", n_seeds,
                         n_settings, STUDY_RUNS_MAX);
    struct opening o = {.study = s, .configure = configure, .ctx = ctx};
    s->settings = MEM_NEW(struct study_setting, n_settings);
    for (uint32_t i = 0; rc == 0 && i < n_settings; i++) {
        s->n_settings = i + 1;
        s->settings[i].label = sweep_label(&s->sweep, i);
        s->settings[i].runs = MEM_NEW(struct study_run, n_seeds);
        for (uint32_t k = 0; rc == 0 && k < n_seeds; k++)
            rc = open_run(&o, i, k, first_seed + k, err);
    }
    return rc;
}

void study_close(struct study *s)
{
    for (uint32_t i = 0; i < s->n_settings; i++) {
        struct study_setting *setting = &s->settings[i];
        for (uint32_t k = 0; k < s->n_seeds; k++) {
            free(setting->runs[k].series.rows);
            for (uint32_t w = 0; w < setting->runs[k].n_words; w++)
                free(setting->runs[k].words[w]);
        }
        free(setting->runs);
        free(setting->label);
        details_free(setting->details);
    }
    free(s->settings);
    sweep_close(&s->sweep);
}

/* ---- running ------------------------------------------------------------------------------- */

static char *run_name(const struct study *s, uint32_t setting, uint32_t k)
{
    char *name = NULL;
    const struct study_setting *at = &s->settings[setting];
    if (is_single(s))
        CHECK(asprintf(&name, "%s", "") >= 0);
    else if (s->n_seeds == 1)
        CHECK(asprintf(&name, "%s", at->label) >= 0);
    else
        CHECK(asprintf(&name, "%s%sseed=%" PRIu64, at->label, at->label[0] != '\0' ? " " : "",
                       at->runs[k].config.seed) >= 0);
    return name;
}

static int run_one(struct study *s, uint32_t setting, uint32_t k, struct run_options options,
                   bool for_report, struct error *err)
{
    struct study_setting *at = &s->settings[setting];
    struct study_run *run = &at->runs[k];
    char *name = run_name(s, setting, k);
    options.name = name;
    options.series = for_report ? &run->series : NULL;
    options.details = for_report && k == 0 && setting < STUDY_DETAILS_MAX ? &at->details : NULL;
    if (for_report && options.eval_every == 0)
        options.eval_every = 1 + (run->config.cycles - 1) / STUDY_EVALUATIONS;
    if (run->config.calibrate && k > 0) { /* all seeds of a setting in the same time */
        run->config.calibrate = false;
        run->config.speed = at->runs[0].result.speed;
    }
    int rc = sim_run(&run->config, &options, &run->result, err);
    if (rc != 0 && name[0] != '\0')
        error_prefix(err, "%s", name);
    free(name);
    return rc;
}

int study_run(struct study *s, const struct run_options *options, bool for_report,
              struct error *err)
{
    struct error worst = {0};
    /* Every setting once before any twice: what its data refuse comes out early. */
    for (uint32_t k = 0; k < s->n_seeds; k++)
        for (uint32_t i = 0; i < s->n_settings; i++) {
            int rc = run_one(s, i, k, *options, for_report, err);
            if (rc != 0 && rc != ERR_UNREACHED)
                return rc;
            if (rc != 0 && worst.code == 0)
                worst = *err;
            if (rc != 0 && !is_single(s))
                log_warn("%s", err->text);
        }
    *err = worst;
    return worst.code;
}

/* ---- what came out ------------------------------------------------------------------------- */

struct quartiles study_figure(const struct study *s, uint32_t setting, const char *name)
{
    double *values = MEM_NEW(double, s->n_seeds);
    for (uint32_t k = 0; k < s->n_seeds; k++) {
        json_t *o = sim_result_json(&s->settings[setting].runs[k].result);
        const json_t *value = json_object_get(o, name);
        values[k] = json_is_number(value) ? json_number_value(value) : NAN;
        json_decref(o);
    }
    struct quartiles q = quartiles_of(values, s->n_seeds);
    free(values);
    return q;
}

static json_t *setting_json(const struct study *s, uint32_t setting)
{
    json_t *runs = json_array(), *summary = json_object();
    for (uint32_t k = 0; k < s->n_seeds; k++) {
        const struct sim_result *r = &s->settings[setting].runs[k].result;
        json_t *run = json_pack("{s:I}", "seed", (json_int_t)r->seed);
        json_t *figures = sim_result_json(r);
        json_object_update(run, figures);
        json_array_append_new(runs, run);
        json_decref(figures);
    }
    const char *name;
    json_t *value;
    json_object_foreach(json_array_get(runs, 0), name, value)
    {
        if (json_is_string(value) || json_is_array(value) || strcmp(name, "seed") == 0)
            continue;
        struct quartiles q = study_figure(s, setting, name);
        json_object_set_new(summary, name,
                            json_pack("{s:o, s:o, s:o}", "q1", json_real_or_null(q.q1), "median",
                                      json_real_or_null(q.median), "q3", json_real_or_null(q.q3)));
    }
    return json_pack("{s:o, s:o}", "runs", runs, "summary", summary);
}

static void print_json(const struct study *s)
{
    json_t *o;
    if (is_single(s)) {
        o = sim_result_json(&s->settings[0].runs[0].result);
    } else if (s->sweep.n_keys == 0) {
        o = setting_json(s, 0);
    } else {
        json_t *settings = json_array();
        for (uint32_t i = 0; i < s->n_settings; i++) {
            json_t *options = json_object(), *setting = setting_json(s, i);
            for (uint32_t k = 0; k < s->sweep.n_keys; k++)
                json_object_set_new(options, s->sweep.keys[k].name,
                                    json_string(sweep_value(&s->sweep, i, k)));
            json_object_set_new(setting, "options", options);
            json_array_append_new(settings, setting);
        }
        o = json_pack("{s:o}", "settings", settings);
    }
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(o);
}

/* The columns of a table behind those of its keys and of the score. */
static const struct {
    const char *title, *figure;
    int width;
    const char *format;
    double scale;
} columns[] = {{"loss", "loss", 9, "%*.4f", 1},
               {"consensus", "consensus", 11, "%*.4g", 1},
               {"sent MB", "bytes", 10, "%*.2f", 1e-6},
               {"virtual s", "virtual_s", 11, "%*.4g", 1},
               {"updates", "node_updates", 12, "%*.0f", 1}};

enum { N_COLUMNS = sizeof columns / sizeof columns[0], SCORE_WIDTH = 9 };

static bool is_real(const struct study *s)
{
    return s->settings[0].runs[0].result.measure.is_real;
}

static void print_score(const struct study *s, int width, double score)
{
    printf("%*.*f", width, is_real(s) ? 4 : 2, is_real(s) ? score : 100 * score);
}

static void print_row(const struct study *s, uint32_t setting)
{
    struct quartiles q = study_figure(s, setting, "acc_mean");
    print_score(s, SCORE_WIDTH + 1, q.median);
    if (s->n_seeds > 1) {
        print_score(s, SCORE_WIDTH, q.q1);
        print_score(s, SCORE_WIDTH, q.q3);
    }
    print_score(s, SCORE_WIDTH, study_figure(s, setting, "acc_min").median);
    print_score(s, SCORE_WIDTH, study_figure(s, setting, "acc_max").median);
    for (uint32_t c = 0; c < N_COLUMNS; c++)
        printf(columns[c].format, columns[c].width,
               columns[c].scale * study_figure(s, setting, columns[c].figure).median);
    putchar('\n');
}

static int key_width(const struct study *s, uint32_t key)
{
    const struct sweep_key *k = &s->sweep.keys[key];
    size_t width = strlen(k->name);
    for (uint32_t i = 0; i < k->n; i++)
        width = strlen(k->values[i]) > width ? strlen(k->values[i]) : width;
    return (int)width + 2;
}

static void print_table(const struct study *s)
{
    for (uint32_t k = 0; k < s->sweep.n_keys; k++)
        printf("%-*s", key_width(s, k), s->sweep.keys[k].name);
    printf("%*s", SCORE_WIDTH + 1, is_real(s) ? "R^2" : "accuracy %");
    if (s->n_seeds > 1)
        printf("%*s%*s", SCORE_WIDTH, "q1", SCORE_WIDTH, "q3");
    printf("%*s%*s", SCORE_WIDTH, "lowest", SCORE_WIDTH, "highest");
    for (uint32_t c = 0; c < N_COLUMNS; c++)
        printf("%*s", columns[c].width, columns[c].title);
    putchar('\n');
    for (uint32_t i = 0; i < s->n_settings; i++) {
        for (uint32_t k = 0; k < s->sweep.n_keys; k++)
            printf("%-*s", key_width(s, k), sweep_value(&s->sweep, i, k));
        print_row(s, i);
    }
    if (s->n_seeds > 1)
        printf("Medians of %" PRIu32 " runs, seeds %" PRIu64 " to %" PRIu64 ".\n", s->n_seeds,
               s->settings[0].runs[0].config.seed, s->settings[0].runs[s->n_seeds - 1].config.seed);
}

void study_print(const struct study *s, bool json)
{
    if (json)
        print_json(s);
    else if (is_single(s))
        sim_result_print(&s->settings[0].runs[0].result);
    else
        print_table(s);
}
