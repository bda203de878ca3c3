#include "sim/report.h"

#include "base/check.h"
#include "base/version.h"
#include "sim/markup.h"
#include "sim/page.h"
#include "sim/report_tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct page {
    const struct study *study;
    int argc;
    char *const *argv;
};

static const struct sim_config *config_of(const struct page *p)
{
    return &p->study->settings[0].runs[0].config;
}

static bool is_single(const struct page *p)
{
    return p->study->n_settings == 1 && p->study->n_seeds == 1;
}

/* ---- the head ------------------------------------------------------------------------------ */

/* An option that a sweep sets has no one value. */
static bool varies(const struct page *p, const char *option)
{
    for (uint32_t i = 0; i < p->study->sweep.n_keys; i++)
        if (strcmp(p->study->sweep.keys[i].name, option) == 0)
            return true;
    return false;
}

static void write_title(FILE *out, const struct page *p)
{
    const struct sim_config *c = config_of(p);
    if (varies(p, "nodes"))
        fputs("Peers", out);
    else
        fprintf(out, "%" PRIu32 " peers", c->n_nodes);
    if (!varies(p, "topology")) {
        fputs(", ", out);
        markup_text(out, c->topology);
    }
    if (!varies(p, "partition")) {
        fputs(", ", out);
        markup_text(out, c->partition.text);
    }
    for (uint32_t i = 0; i < p->study->sweep.n_keys; i++) {
        fputs(i == 0 ? " by " : ", ", out);
        markup_text(out, p->study->sweep.keys[i].name);
    }
}

static void write_command(FILE *out, const struct page *p)
{
    fputs("hubbub", out);
    for (int i = 0; i < p->argc; i++) {
        fputc(' ', out);
        markup_word(out, p->argv[i]);
    }
}

static void begin_fact(FILE *out, const char *name)
{
    fprintf(out, "<div><dt>%s</dt><dd>", name);
}

static void end_fact(FILE *out)
{
    fputs("</dd></div>\n", out);
}

static void fact(FILE *out, const struct page *p, const char *option, const char *name,
                 const char *value)
{
    begin_fact(out, name);
    markup_text(out, varies(p, option) ? "varies" : value);
    end_fact(out);
}

static const char *const gossip_names[] = {[GOSSIP_PAIRWISE] = "pairwise",
                                           [GOSSIP_PULL] = "pull",
                                           [GOSSIP_PUSH] = "push",
                                           [GOSSIP_PUSH_SUM] = "push-sum"};

static const char *training_text(const struct sim_config *c)
{
    switch (c->algorithm) {
    case SIM_GOSSIP:
        break;
    case SIM_DPSGD:
        return "in rounds: dpsgd";
    case SIM_ALLREDUCE:
        return "in rounds: all-reduce";
    case SIM_LOCAL:
        return "in rounds: each alone";
    }
    return c->train == SIM_ON_RECEIVE ? "a step for each model received" : "continuous";
}

static void write_step_time(FILE *out, const struct page *p)
{
    const struct study *s = p->study;
    uint64_t step_us = speed_nominal_us(&s->settings[0].runs[0].result.speed);
    for (uint32_t i = 1; i < s->n_settings; i++)
        if (speed_nominal_us(&s->settings[i].runs[0].result.speed) != step_us) {
            fputs("varies", out);
            return;
        }
    if (step_us == 0)
        fputs("below 1 us, virtual", out);
    else
        fprintf(out, "%" PRIu64 " us, virtual", step_us);
    if (config_of(p)->calibrate)
        fputs(", as measured on the machine that ran this", out);
}

static void write_facts(FILE *out, const struct page *p)
{
    const struct sim_config *c = config_of(p);
    const struct study *s = p->study;
    char text[160];
    snprintf(text, sizeof text, "%" PRIu32, c->n_nodes);
    fact(out, p, "nodes", "Peers", text);
    fact(out, p, "topology", "Topology", c->topology);
    fact(out, p, "data", "Data", c->data.spec);
    fact(out, p, "partition", "Partition", c->partition.text);
    fact(out, p, "model", "Model", c->model_spec);
    snprintf(text, sizeof text, "%s, rate %.6g", optimizer_names[c->optim.kind],
             (double)c->optim.lr);
    fact(out, p, varies(p, "optimizer") ? "optimizer" : "lr", "Optimiser", text);
    snprintf(text, sizeof text, "%" PRIu32 " samples", c->batch);
    fact(out, p, "batch", "Minibatch", text);
    if (c->every_steps > 0)
        snprintf(text, sizeof text, "%s, every %" PRIu32 " step%s", gossip_names[c->gossip],
                 c->every_steps, c->every_steps == 1 ? "" : "s");
    else
        snprintf(text, sizeof text, "%s, every %.6g s", gossip_names[c->gossip],
                 (double)c->every_us / 1e6);
    fact(out, p, varies(p, "gossip") ? "gossip" : "gossip-every", "Gossip",
         c->alone || c->algorithm != SIM_GOSSIP ? "off" : text);
    fact(out, p, varies(p, "train") ? "train" : "algorithm", "Training", training_text(c));
    snprintf(text, sizeof text, "%" PRIu64 " %s", c->cycles,
             c->algorithm == SIM_GOSSIP ? "gossip periods" : "rounds");
    fact(out, p, "cycles", "Length", text);
    begin_fact(out, "Step time");
    write_step_time(out, p);
    end_fact(out);
    if (s->n_seeds > 1)
        snprintf(text, sizeof text, "%" PRIu64 " to %" PRIu64, c->seed, c->seed + s->n_seeds - 1);
    else
        snprintf(text, sizeof text, "%" PRIu64, c->seed);
    fact(out, p, "seed", s->n_seeds > 1 ? "Seeds" : "Seed", text);
    fact(out, p, "", "Version", "hubbub " VERSION);
}

/* ---- the result ---------------------------------------------------------------------------- */

static void score(FILE *out, const struct page *p, double x)
{
    if (!isfinite(x))
        fputs("none", out);
    else if (p->study->settings[0].runs[0].result.measure.is_real)
        fprintf(out, "%.4f", x);
    else
        fprintf(out, "%.2f&#8239;%%", 100 * x);
}

static void tile(FILE *out, const char *name, const char *format, double x)
{
    fprintf(out, "<div><dt>%s</dt><dd>", name);
    if (isfinite(x))
        fprintf(out, format, x);
    else
        fputs("none", out);
    end_fact(out);
}

/* Bytes with the unit that suits them. */
static void bytes_tile(FILE *out, const char *name, uint64_t bytes)
{
    static const char *const formats[] = {"%.0f B", "%.2f kB", "%.2f MB", "%.2f GB", "%.2f TB"};
    double x = (double)bytes;
    size_t unit = 0;
    for (; x >= 1000 && unit < 4; unit++)
        x /= 1000;
    tile(out, name, formats[unit], x);
}

static void write_single(FILE *out, const struct page *p)
{
    const struct sim_result *r = &p->study->settings[0].runs[0].result;
    const struct sim_measure *m = &r->measure;
    fputs("<dl class=\"tiles\">\n", out);
    begin_fact(out, m->is_real ? "R&sup2;, mean over peers" : "Test accuracy, mean over peers");
    score(out, p, m->acc_mean);
    end_fact(out);
    begin_fact(out, "Lowest and highest peer");
    score(out, p, m->acc_min);
    fputs(" to ", out);
    score(out, p, m->acc_max);
    end_fact(out);
    tile(out, "Test loss", "%.4f", m->loss);
    tile(out, "Consensus distance", "%.4g", m->consensus);
    if (r->virtual_us < 1000000)
        tile(out, "Virtual time", "%.6g ms", (double)r->virtual_us / 1e3);
    else
        tile(out, "Virtual time", "%.6g s", (double)r->virtual_us / 1e6);
    tile(out, "Local steps, all peers", "%.0f", (double)r->totals.node_updates);
    bytes_tile(out, "Sent, all peers", r->totals.bytes);
    tile(out, "Messages lost", "%.0f", (double)r->totals.lost);
    fputs("</dl>\n", out);
}

static void cell(FILE *out, double x, const char *format)
{
    fputs("<td>", out);
    if (isfinite(x))
        fprintf(out, format, x);
    else
        fputs("none", out);
    fputs("</td>", out);
}

static void score_cell(FILE *out, const struct page *p, double x)
{
    fputs("<td>", out);
    score(out, p, x);
    fputs("</td>", out);
}

static void write_row(FILE *out, const struct page *p, uint32_t setting)
{
    const struct study *s = p->study;
    fputs("<tr><th scope=\"row\">", out);
    markup_text(out, s->sweep.n_keys > 0 ? s->settings[setting].label : "all runs");
    fputs("</th>", out);
    struct quartiles q = study_figure(s, setting, "acc_mean");
    score_cell(out, p, q.median);
    if (s->n_seeds > 1) {
        score_cell(out, p, q.q1);
        score_cell(out, p, q.q3);
    }
    score_cell(out, p, study_figure(s, setting, "acc_min").median);
    score_cell(out, p, study_figure(s, setting, "acc_max").median);
    cell(out, study_figure(s, setting, "loss").median, "%.4f");
    cell(out, study_figure(s, setting, "consensus").median, "%.4g");
    cell(out, study_figure(s, setting, "virtual_s").median, "%.5g");
    cell(out, study_figure(s, setting, "bytes").median / 1e6, "%.2f");
    fputs("</tr>\n", out);
}

static void write_summary(FILE *out, const struct page *p)
{
    const struct study *s = p->study;
    bool is_real = s->settings[0].runs[0].result.measure.is_real;
    fputs("<div class=\"scroll\" tabindex=\"0\"><table><caption>At the end. ", out);
    if (s->n_seeds > 1)
        fprintf(out, "Medians over %" PRIu32 " seeds, with quartiles of the first figure. ",
                s->n_seeds);
    fprintf(out,
            "Means over peers; lowest and highest are peers.</caption>\n<thead><tr>"
            "<th scope=\"col\">Setting</th><th scope=\"col\">%s</th>",
            is_real ? "R&sup2;" : "Accuracy");
    if (s->n_seeds > 1)
        fputs("<th scope=\"col\">1st quartile</th><th scope=\"col\">3rd quartile</th>", out);
    fputs("<th scope=\"col\">Lowest</th><th scope=\"col\">Highest</th><th scope=\"col\">Loss</th>"
          "<th scope=\"col\">Consensus distance</th><th scope=\"col\">Virtual time, s</th>"
          "<th scope=\"col\">Sent, MB</th></tr></thead>\n<tbody>\n",
          out);
    for (uint32_t i = 0; i < s->n_settings; i++)
        write_row(out, p, i);
    fputs("</tbody></table></div>\n", out);
}

static void write_result(FILE *out, const struct page *p)
{
    if (is_single(p))
        write_single(out, p);
    else
        write_summary(out, p);
}

static void write_hashes(FILE *out, const struct page *p)
{
    const struct sim_result *r = &p->study->settings[0].runs[0].result;
    if (is_single(p))
        fprintf(out,
                "<dl class=\"hashes\"><div><dt>SHA-256 of the trace</dt><dd>%s</dd></div>"
                "<div><dt>SHA-256 of the weights</dt><dd>%s</dd></div></dl>\n",
                r->trace_sha256, r->weights_sha256);
    else
        fputs("<p>The SHA-256 of each run's trace and weights are in runs.csv.</p>\n", out);
}

/* ---- what the script has to know ----------------------------------------------------------- */

static json_t *clean_string(const char *text)
{
    char *clean = markup_clean(text);
    json_t *string = json_string(clean);
    CHECK(string != NULL);
    free(clean);
    return string;
}

static json_t *setting_meta(const struct study_setting *setting)
{
    const struct details *d = setting->details;
    const struct sim_config *c = &setting->runs[0].config;
    json_t *o =
        json_pack("{s:o, s:o, s:I, s:I, s:b}", "label", clean_string(setting->label), "topology",
                  clean_string(c->topology), "nodes", (json_int_t)c->n_nodes, "evaluated",
                  (json_int_t)setting->runs[0].result.measure.n_evaluated, "details", d != NULL);
    if (d == NULL)
        return o;
    json_t *names = json_array();
    for (uint32_t i = 0; i < d->n_classes; i++)
        json_array_append_new(names, clean_string(d->class_names[i]));
    json_object_set_new(o, "classes", names);
    json_object_set_new(o, "columns", json_integer(d->columns));
    json_object_set_new(o, "bytes_unlisted", json_integer((json_int_t)d->bytes_unlisted));
    return o;
}

static void write_meta(FILE *out, const struct page *p)
{
    const struct study *s = p->study;
    json_t *settings = json_array();
    for (uint32_t i = 0; i < s->n_settings; i++)
        json_array_append_new(settings, setting_meta(&s->settings[i]));
    json_t *o = json_pack("{s:b, s:I, s:o}", "real", s->settings[0].runs[0].result.measure.is_real,
                          "seeds", (json_int_t)s->n_seeds, "settings", settings);
    markup_json(out, o);
    json_decref(o);
}

/* ---- the page ------------------------------------------------------------------------------ */

static void write_data(FILE *out, const struct page *p)
{
    report_tables(out, p->study);
}

static void write_style(FILE *out, const struct page *p)
{
    (void)p;
    fprintf(out, "%s\n%s", page_uplot_css, page_css);
}

static void write_script(FILE *out, const struct page *p)
{
    (void)p;
    fprintf(out, "/* uPlot\n\n%s\n*/\n%s\n%s", page_uplot_licence, page_uplot_js, page_js);
}

static const struct {
    const char *name;
    void (*write)(FILE *out, const struct page *p);
} parts[] = {{"title", write_title},   {"command", write_command}, {"facts", write_facts},
             {"result", write_result}, {"hashes", write_hashes},   {"meta", write_meta},
             {"data", write_data},     {"style", write_style},     {"script", write_script}};

static void write_part(FILE *out, const struct page *p, const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strlen(parts[i].name) == n && memcmp(parts[i].name, name, n) == 0) {
            parts[i].write(out, p);
            return;
        }
    CHECK(false && "a name in page.html");
}

void report_write(FILE *out, const struct study *s, int argc, char *const *argv)
{
    struct page page = {.study = s, .argc = argc, .argv = argv};
    const char *rest = page_html;
    for (const char *open; (open = strstr(rest, "{{")) != NULL;) {
        const char *close = strstr(open, "}}");
        CHECK(close != NULL);
        fwrite(rest, 1, (size_t)(open - rest), out);
        write_part(out, &page, open + 2, (size_t)(close - open) - 2);
        rest = close + 2;
    }
    fputs(rest, out);
}
