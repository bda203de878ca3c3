#include "sim/details.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/inner.h"
#include "sim/rounds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_record(struct sim *s)
{
    s->sample = MEM_NEW(struct record_sample, 1);
    record_sample_init(s->sample, &s->topology);
    s->records = MEM_NEW(struct record, s->config.n_threads);
    for (uint32_t i = 0; i < s->config.n_threads; i++) {
        record_init(&s->records[i], s->sample);
        if (s->workers != NULL)
            s->workers[i].record = &s->records[i];
    }
}

void sim_forget_records(struct sim *s)
{
    for (uint32_t i = 0; i < s->config.n_threads; i++)
        record_close(&s->records[i]);
    free(s->records);
    record_sample_close(s->sample);
    free(s->sample);
}

static void take_peers(struct details *d, struct sim *s)
{
    struct sim_score *scores = MEM_NEW(struct sim_score, s->sample->n);
    sim_score(s, s->sample->ids, s->sample->n, scores);
    d->n_peers = s->sample->n;
    d->peers = MEM_NEW(struct details_peer, d->n_peers);
    for (uint32_t i = 0; i < d->n_peers; i++) {
        uint32_t id = s->sample->ids[i];
        d->peers[i] = (struct details_peer){
            .id = id,
            .n_samples = split_shard(&s->split, id).n,
            .n_steps = s->rounds != NULL ? rounds_steps(s->rounds, id) : sim_node(s, id)->n_steps,
            .accuracy = scores[i].accuracy,
            .loss = scores[i].loss};
    }
    free(scores);
}

static void add_edge(struct details *d, uint32_t *max, uint32_t a, uint32_t b)
{
    if (d->n_edges == *max) {
        *max = 2 * *max + 256;
        d->edges = realloc(d->edges, *max * sizeof *d->edges);
        CHECK(d->edges != NULL);
    }
    d->edges[d->n_edges][0] = a;
    d->edges[d->n_edges++][1] = b;
}

static bool is_neighbour(const struct topology *t, uint32_t node, uint32_t other)
{
    for (uint32_t k = 0, degree = topology_degree(t, node); k < degree; k++)
        if (topology_neighbour(t, node, k) == other)
            return true;
    return false;
}

/* Each once: what leads both ways, from the smaller end. */
static void take_edges(struct details *d, const struct sim *s)
{
    const struct topology *t = &s->topology;
    uint32_t max = 0;
    for (uint32_t a = 0; a < d->n_peers; a++) {
        uint32_t from = d->peers[a].id, degree = topology_degree(t, from);
        if (t->kind == TOPOLOGY_RANDOM || t->kind == TOPOLOGY_COMPLETE) {
            for (uint32_t b = a + 1; b < d->n_peers; b++)
                add_edge(d, &max, a, b);
            continue;
        }
        for (uint32_t k = 0; k < degree; k++) {
            uint32_t to = topology_neighbour(t, from, k), b = s->sample->places[to];
            if (b != RECORD_NOBODY && (a < b || !is_neighbour(t, to, from)))
                add_edge(d, &max, a, b);
        }
    }
}

struct class_count {
    uint64_t n;
    uint32_t class;
};

static int compare_counts(const void *a, const void *b)
{
    const struct class_count *x = a, *y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return (x->class > y->class) - (x->class < y->class);
}

static int compare_classes(const void *a, const void *b)
{
    const struct class_count *x = a, *y = b;
    return (x->class > y->class) - (x->class < y->class);
}

/* The column of each class: its own for the most frequent, in their order, the last for the rest.
 * counts [n_peers, n_classes_all]. */
static uint32_t *choose_columns(const struct details *d, const uint32_t *counts)
{
    uint32_t n_all = d->n_classes_all;
    uint32_t n_own = d->n_classes < n_all ? d->n_classes - 1 : n_all;
    uint32_t *columns = MEM_NEW(uint32_t, n_all);
    struct class_count *order = MEM_NEW(struct class_count, n_all);
    for (uint32_t c = 0; c < n_all; c++) {
        order[c].class = c;
        for (uint32_t i = 0; i < d->n_peers; i++)
            order[c].n += counts[(size_t)i * n_all + c];
        columns[c] = d->n_classes - 1;
    }
    qsort(order, n_all, sizeof *order, compare_counts);
    qsort(order, n_own, sizeof *order, compare_classes);
    for (uint32_t k = 0; k < n_own; k++)
        columns[order[k].class] = k;
    free(order);
    return columns;
}

static char *class_name(const struct sim *s, uint32_t class)
{
    char *name = NULL;
    if (s->data.class_names != NULL)
        CHECK(asprintf(&name, "%.200s", s->data.class_names[class]) >= 0);
    else
        CHECK(asprintf(&name, "%" PRIu32, class) >= 0);
    return name;
}

static void take_classes(struct details *d, const struct sim *s)
{
    const struct dataset *train = &s->data.train;
    uint32_t n_all = d->n_classes_all = train->shape.n_classes;
    uint32_t n = d->n_classes = n_all < DETAILS_CLASSES_MAX ? n_all : DETAILS_CLASSES_MAX;
    if (n == 0)
        return;
    uint32_t *counts = MEM_NEW(uint32_t, (size_t)d->n_peers * n_all);
    for (uint32_t i = 0; i < d->n_peers; i++) {
        struct shard shard = split_shard(&s->split, d->peers[i].id);
        shard_classes(&shard, train, counts + (size_t)i * n_all);
    }
    uint32_t *columns = choose_columns(d, counts);
    d->samples = MEM_NEW(uint32_t, (size_t)d->n_peers * n);
    d->class_names = MEM_NEW(char *, n);
    for (uint32_t c = 0; c < n_all; c++) {
        for (uint32_t i = 0; i < d->n_peers; i++)
            d->samples[(size_t)i * n + columns[c]] += counts[(size_t)i * n_all + c];
        if (columns[c] < n - 1 || n == n_all)
            d->class_names[columns[c]] = class_name(s, c);
    }
    if (n < n_all)
        CHECK(asprintf(&d->class_names[n - 1], "%" PRIu32 " others", n_all - n + 1) >= 0);
    free(columns);
    free(counts);
}

static int compare_links(const void *a, const void *b)
{
    const struct record_link *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static void take_records(struct details *d, const struct sim *s)
{
    uint32_t n_threads = s->config.n_threads, n = 0;
    for (uint32_t w = 0; w < n_threads; w++)
        n += s->records[w].n_links;
    d->links = MEM_NEW(struct record_link, n);
    for (uint32_t w = 0; w < n_threads; w++) {
        const struct record *r = &s->records[w];
        d->bytes_unlisted += r->bytes_unlisted;
        for (uint32_t i = 0; i < 2 * RECORD_LINKS_MAX; i++)
            if (r->links[i].bytes > 0)
                d->links[d->n_links++] = r->links[i];
        for (uint32_t i = 0; i < RECORD_AGES_MAX; i++)
            d->ages[i] += r->ages[i];
    }
    qsort(d->links, d->n_links, sizeof *d->links, compare_links);
}

struct details *details_new(struct sim *s)
{
    struct details *d = MEM_NEW(struct details, 1);
    d->topology = s->topology.kind;
    d->columns = s->topology.columns;
    take_peers(d, s);
    take_edges(d, s);
    take_classes(d, s);
    take_records(d, s);
    return d;
}

void details_free(struct details *d)
{
    if (d == NULL)
        return;
    for (uint32_t c = 0; c < d->n_classes; c++)
        free(d->class_names[c]);
    free(d->class_names);
    free(d->samples);
    free(d->peers);
    free(d->edges);
    free(d->links);
    free(d);
}
