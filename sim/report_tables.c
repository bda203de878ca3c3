#include "sim/report_tables.h"

#include "sim/markup.h"

#include <inttypes.h>
#include <math.h>

/* Whatever has no value is an empty cell. */
static void number(FILE *out, double x)
{
    if (isfinite(x))
        fprintf(out, ",%.7g", x);
    else
        fputc(',', out);
}

static void begin(FILE *out, const char *name, const char *what, const char *columns)
{
    fprintf(out,
            "<details class=\"csv\"><summary><b>%s.csv</b> %s</summary>\n"
            "<pre id=\"csv-%s\" tabindex=\"0\" aria-label=\"%s\">%s\n",
            name, what, name, what, columns);
}

static void end(FILE *out)
{
    fputs("</pre></details>\n", out);
}

static void runs(FILE *out, const struct study *s)
{
    begin(out, "runs", "what came out of each run",
          "setting,label,seed,accuracy_mean,accuracy_min,accuracy_max,loss,consensus,virtual_s,"
          "node_updates,bytes,messages,lost,seconds,rss_bytes,trace_sha256,weights_sha256");
    for (uint32_t i = 0; i < s->n_settings; i++)
        for (uint32_t k = 0; k < s->n_seeds; k++) {
            const struct sim_result *r = &s->settings[i].runs[k].result;
            fprintf(out, "%" PRIu32 ",", i + 1);
            markup_cell(out, s->settings[i].label);
            fprintf(out, ",%" PRIu64, r->seed);
            number(out, r->measure.acc_mean);
            number(out, r->measure.acc_min);
            number(out, r->measure.acc_max);
            number(out, r->measure.loss);
            number(out, r->measure.consensus);
            fprintf(out,
                    ",%.9g,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.3f,%" PRIu64
                    ",%s,%s\n",
                    (double)r->virtual_us / 1e6, r->totals.node_updates, r->totals.bytes,
                    r->totals.messages, r->totals.lost, (double)r->run_us / 1e6, r->rss_bytes,
                    r->trace_sha256, r->weights_sha256);
        }
    end(out);
}

static void evaluations(FILE *out, const struct study *s)
{
    begin(out, "evaluations", "how accuracy, loss and consensus went",
          "setting,seed,cycle,virtual_s,node_updates,bytes,accuracy_mean,accuracy_min,accuracy_max,"
          "loss_mean,loss_min,loss_max,consensus");
    for (uint32_t i = 0; i < s->n_settings; i++)
        for (uint32_t k = 0; k < s->n_seeds; k++) {
            const struct study_run *run = &s->settings[i].runs[k];
            for (uint32_t at = 0; at < run->series.n; at++) {
                const struct series_row *row = &run->series.rows[at];
                const struct sim_measure *m = &row->measure;
                fprintf(out, "%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%.9g,%" PRIu64 ",%" PRIu64, i + 1,
                        run->result.seed, row->cycle, (double)row->virtual_us / 1e6,
                        row->node_updates, row->bytes);
                number(out, m->acc_mean);
                number(out, m->acc_min);
                number(out, m->acc_max);
                number(out, m->loss);
                number(out, m->loss_min);
                number(out, m->loss_max);
                number(out, m->consensus);
                fputc('\n', out);
            }
        }
    end(out);
}

static void peers(FILE *out, uint32_t setting, const struct details *d)
{
    for (uint32_t i = 0; i < d->n_peers; i++) {
        const struct details_peer *p = &d->peers[i];
        fprintf(out, "%" PRIu32 ",%" PRIu32, setting, p->id);
        number(out, p->accuracy);
        number(out, p->loss);
        fprintf(out, ",%" PRIu64 ",%" PRIu32 "\n", p->n_steps, p->n_samples);
    }
}

static void classes(FILE *out, uint32_t setting, const struct details *d)
{
    for (uint32_t i = 0; i < d->n_peers; i++)
        for (uint32_t c = 0; c < d->n_classes; c++) {
            uint32_t n = d->samples[i * d->n_classes + c];
            if (n == 0)
                continue;
            fprintf(out, "%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",", setting, d->peers[i].id, c);
            markup_cell(out, d->class_names[c]);
            fprintf(out, ",%" PRIu32 "\n", n);
        }
}

static void edges(FILE *out, uint32_t setting, const struct details *d)
{
    for (uint32_t e = 0; e < d->n_edges; e++)
        fprintf(out, "%" PRIu32 ",%" PRIu32 ",%" PRIu32 "\n", setting, d->peers[d->edges[e][0]].id,
                d->peers[d->edges[e][1]].id);
}

static void links(FILE *out, uint32_t setting, const struct details *d)
{
    for (uint32_t i = 0; i < d->n_links; i++)
        fprintf(out, "%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 "\n", setting, d->links[i].from,
                d->links[i].to, d->links[i].bytes);
}

static void ages(FILE *out, uint32_t setting, const struct details *d)
{
    for (uint32_t i = 0; i < RECORD_AGES_MAX; i++)
        if (d->ages[i] > 0)
            fprintf(out, "%" PRIu32 ",%" PRIu64 ",%" PRIu64 "\n", setting, record_age_us(i),
                    d->ages[i]);
}

static const struct {
    const char *name, *what, *columns;
    void (*write)(FILE *out, uint32_t setting, const struct details *d);
} tables[] = {
    {"peers", "single peers at the end", "setting,peer,accuracy,loss,steps,samples", peers},
    {"classes", "training samples of each class that a peer has", "setting,peer,class,name,samples",
     classes},
    {"edges", "the topology", "setting,a,b", edges},
    {"links", "what was sent over each link", "setting,from,to,bytes", links},
    {"staleness", "age of slices when they were mixed", "setting,age_us,slices", ages},
};

void report_tables(FILE *out, const struct study *s)
{
    runs(out, s);
    evaluations(out, s);
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        begin(out, tables[t].name, tables[t].what, tables[t].columns);
        for (uint32_t i = 0; i < s->n_settings; i++)
            if (s->settings[i].details != NULL)
                tables[t].write(out, i + 1, s->settings[i].details);
        end(out);
    }
}
