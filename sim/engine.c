/* Windows of virtual time.
 *
 * No message is faster than the network's floor, so what nodes do within one window of that length
 * cannot reach another node before the next: within it they are independent. Each thread owns a
 * range of nodes; in a window it runs those of them to which something happens, one after another,
 * each from the start of the window to its end. Mail to nodes of other threads is handed over at
 * the barrier between two windows. A node meets its letters in the order (arrival, src, number), so
 * it makes no difference who runs it, or after whom. */
#include "sim/check.h"
#include "sim/inner.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIMER = UINT32_MAX, /* instead of a letter */
    AHEAD = 6,          /* visits between asking the memory for a node and running it */
    FEW = 32            /* visits that are sorted by insertion */
};

/* ---- what happens in a window ---------------------------------------------------------------- */

int visit_compare(const void *a, const void *b, void *letters_due)
{
    const struct visit *x = a, *y = b;
    const struct letter *letters = letters_due;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->letter == TIMER || y->letter == TIMER)
        return (y->letter == TIMER) - (x->letter == TIMER);
    const struct letter *l = &letters[x->letter], *m = &letters[y->letter];
    if (l->arrival_us != m->arrival_us)
        return l->arrival_us < m->arrival_us ? -1 : 1;
    if ((l->parcel == PARCEL_NONE) != (m->parcel == PARCEL_NONE))
        return l->parcel == PARCEL_NONE ? -1 : 1;
    if (l->src != m->src)
        return l->src < m->src ? -1 : 1;
    return (l->number > m->number) - (l->number < m->number);
}

static void sort_few(struct visit *v, size_t n, struct letter *letters)
{
    for (size_t i = 1; i < n; i++) {
        struct visit visit = v[i];
        size_t at = i;
        while (at > 0 && visit_compare(&v[at - 1], &visit, letters) > 0) {
            v[at] = v[at - 1];
            at--;
        }
        v[at] = visit;
    }
}

static void make_room(struct worker *w, size_t n)
{
    if (n <= w->visits_max)
        return;
    free(w->visits);
    free(w->unsorted);
    free(w->starts);
    w->visits_max = 2 * n;
    w->visits = MEM_NEW(struct visit, w->visits_max);
    w->unsorted = MEM_NEW(struct visit, w->visits_max);
    w->starts = MEM_NEW(uint32_t, w->visits_max + 2);
}

/* The timers and letters that are due. Returns how many. */
static size_t list_visits(struct worker *w)
{
    const uint32_t *timers = w->timers_due.items;
    const struct letter *letters = w->letters_due.items;
    size_t n_timers = w->timers_due.n, n_letters = w->letters_due.n;
    make_room(w, n_timers + n_letters);
    for (size_t i = 0; i < n_timers; i++)
        w->visits[i] = (struct visit){.node = timers[i], .letter = TIMER};
    for (size_t i = 0; i < n_letters; i++)
        w->visits[n_timers + i] = (struct visit){.node = letters[i].dst, .letter = (uint32_t)i};
    return n_timers + n_letters;
}

/* Whether no node is visited twice. */
static bool all_differ(struct worker *w, size_t n)
{
    bool differ = true;
    for (size_t i = 0; i < n; i++) {
        uint32_t at = w->visits[i].node - w->first;
        uint64_t bit = UINT64_C(1) << at % 64;
        differ &= (w->seen[at / 64] & bit) == 0;
        w->seen[at / 64] |= bit;
    }
    for (size_t i = 0; i < n; i++)
        w->seen[(w->visits[i].node - w->first) / 64] = 0;
    return differ;
}

/* By node: dealt out to about as many stretches of nodes as there are visits, each then sorted for
 * itself. */
static void sort_visits(struct worker *w, size_t n)
{
    struct visit *listed = w->visits;
    w->visits = w->unsorted;
    w->unsorted = listed;
    struct letter *letters = w->letters_due.items;
    uint32_t shift = 0;
    while ((uint64_t)(w->end - w->first - 1) >> shift >= n)
        shift++;
    uint32_t n_stretches = ((w->end - w->first - 1) >> shift) + 1;
    memset(w->starts, 0, (n_stretches + 1) * sizeof *w->starts);
    for (size_t i = 0; i < n; i++)
        w->starts[((listed[i].node - w->first) >> shift) + 1]++;
    for (uint32_t k = 0; k < n_stretches; k++)
        w->starts[k + 1] += w->starts[k];
    for (size_t i = 0; i < n; i++)
        w->visits[w->starts[(listed[i].node - w->first) >> shift]++] = listed[i];
    for (uint32_t k = 0, from = 0; k < n_stretches; k++) {
        uint32_t to = w->starts[k];
        if (to - from > FEW)
            qsort_r(w->visits + from, to - from, sizeof *w->visits, visit_compare, letters);
        else
            sort_few(w->visits + from, to - from, letters);
        from = to;
    }
}

/* gcc takes a function that only prefetches for one without effect, and leaves out its calls. */
#define INLINE static inline __attribute__((always_inline))

INLINE void prefetch(const void *from, size_t bytes)
{
    enum { LINE = 64, MOST = 1024, ONCE = 0 }; /* once: not to stay in the cache */
    const char *at = from, *end = at + (bytes < MOST ? bytes : MOST);
    for (; end - at >= 2 * LINE; at += 2 * LINE) {
        __builtin_prefetch(at, 0, ONCE);
        __builtin_prefetch(at + LINE, 0, ONCE);
    }
    if (at < end)
        __builtin_prefetch(at, 0, ONCE);
}

INLINE void prefetch_visit(const struct worker *w, const struct visit *visit)
{
    const struct sim *s = w->sim;
    prefetch(sim_node(s, visit->node), s->stride);
    if (visit->letter == TIMER)
        return;
    const struct letter *letter = (const struct letter *)w->letters_due.items + visit->letter;
    if (letter->parcel != PARCEL_NONE)
        prefetch(parcel_at(&s->parcels, letter->parcel), s->parcels.stride);
}

/* The batch of the node after this one, whose record has come by now: it will step if its step
 * ends in this window, or, on-receive, if it gets a letter. */
static void expect_visit(struct worker *w, const struct visit *visit, uint64_t end_us)
{
    const struct sim *s = w->sim;
    bool steps = s->config.train == SIM_ON_RECEIVE ? visit->letter != TIMER
                                                   : sim_node(s, visit->node)->busy_us < end_us;
    if (steps)
        peer_expect(w, visit->node);
}

static void run_window(struct worker *w, uint64_t window)
{
    struct sim *s = w->sim;
    w->timers_due.n = w->letters_due.n = 0;
    calendar_take(&w->timers, window, &w->timers_due);
    calendar_take(&w->letters, window, &w->letters_due);
    size_t n = list_visits(w);
    /* Which node comes first does not matter, only what happens first to a node. And as they were
     * listed, like follows like: the processor foresees what each will do. */
    if (!all_differ(w, n))
        sort_visits(w, n);
    uint64_t end_us = (window + 1) * s->window_us;
    for (size_t i = 0; i < n && i < AHEAD; i++)
        prefetch_visit(w, &w->visits[i]);
    for (size_t from = 0, to; from < n; from = to) {
        uint32_t id = w->visits[from].node;
        size_t letters_from = from;
        for (to = from; to < n && w->visits[to].node == id; to++) {
            letters_from += w->visits[to].letter == TIMER;
            if (to + AHEAD < n)
                prefetch_visit(w, &w->visits[to + AHEAD]);
        }
        size_t n_letters = to - letters_from;
        if (s->way_in_us != NULL)
            n_letters = way_in_pass(w, id, w->visits + letters_from, n_letters, end_us);
        if (to < n)
            expect_visit(w, &w->visits[to], end_us);
        peer_run(w, id, w->letters_due.items, w->visits + letters_from, n_letters, end_us);
    }
}

/* ---- between windows ------------------------------------------------------------------------ */

static void add_letter(struct worker *w, const struct letter *letter)
{
    calendar_add(&w->letters, letter->arrival_us / w->sim->window_us, letter);
}

void engine_post(struct worker *w, const struct letter *letter)
{
    if (letter->dst >= w->first && letter->dst < w->end) {
        add_letter(w, letter);
        return;
    }
    const struct sim *s = w->sim;
    uint32_t to = (uint32_t)((uint64_t)letter->dst * s->config.n_threads / s->config.n_nodes);
    while (letter->dst >= s->workers[to].end)
        to++;
    while (letter->dst < s->workers[to].first)
        to--;
    struct letters *out = &w->out[w->turn][to];
    if (out->n == out->max) {
        out->max = out->max > 0 ? 2 * out->max : 256;
        out->items = realloc(out->items, out->max * sizeof *out->items);
        CHECK(out->items != NULL);
    }
    out->items[out->n++] = *letter;
    uint64_t window = letter->arrival_us / s->window_us;
    w->next[w->turn] = window < w->next[w->turn] ? window : w->next[w->turn];
}

void engine_set_timer(struct worker *w, uint32_t id, uint64_t window)
{
    calendar_add(&w->timers, window, &id);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Exchanges mail and agrees on the next window in which anything happens. What a thread writes for
 * the others alternates between two places, so that one barrier between windows is enough. */
static uint64_t meet(struct worker *w)
{
    struct sim *s = w->sim;
    uint32_t turn = w->turn, n = s->config.n_threads;
    w->next[turn] =
        least(w->next[turn], least(calendar_next(&w->timers), calendar_next(&w->letters)));
    barrier_wait(&s->barrier);
    uint64_t window = CALENDAR_EMPTY;
    for (uint32_t v = 0; v < n; v++) {
        const struct letters *in = &s->workers[v].out[turn][w->index];
        for (size_t i = 0; i < in->n; i++)
            add_letter(w, &in->items[i]);
        window = least(window, s->workers[v].next[turn]);
    }
    w->turn = !turn;
    w->next[w->turn] = CALENDAR_EMPTY;
    for (uint32_t v = 0; v < n; v++)
        w->out[w->turn][v].n = 0;
    return window;
}

static void run_windows(struct worker *w)
{
    struct sim *s = w->sim;
    for (;;) {
        uint64_t window = meet(w);
        if (window == CALENDAR_EMPTY || window * s->window_us >= s->until_us)
            return;
        if (s->check != NULL && check_failed_text(s->check) != NULL)
            return;
        run_window(w, window);
    }
}

static void *run(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        pthread_barrier_wait(&w->sim->gate);
        if (w->sim->stop)
            return NULL;
        run_windows(w);
        pthread_barrier_wait(&w->sim->gate);
    }
}

void sim_run_until(struct sim *s, uint64_t time_us)
{
    CHECK(s->rounds == NULL && time_us <= sim_end_us(s));
    s->until_us = time_us;
    pthread_barrier_wait(&s->gate);
    run_windows(&s->workers[0]);
    pthread_barrier_wait(&s->gate);
    s->now_us = time_us > s->now_us ? time_us : s->now_us;
    if (s->check != NULL)
        check_all(s);
}

/* ---- start and end -------------------------------------------------------------------------- */

void engine_init(struct sim *s)
{
    uint32_t n = s->config.n_threads;
    barrier_init(&s->barrier, n);
    CHECK(pthread_barrier_init(&s->gate, NULL, n) == 0);
    s->workers = MEM_NEW(struct worker, n);
    for (uint32_t i = 0; i < n; i++) {
        struct worker *w = &s->workers[i];
        w->sim = s;
        w->index = i;
        w->first = (uint32_t)((uint64_t)s->config.n_nodes * i / n);
        w->end = (uint32_t)((uint64_t)s->config.n_nodes * (i + 1) / n);
        w->next[0] = w->next[1] = CALENDAR_EMPTY;
        w->shelf = (struct parcel_shelf){.parcels = &s->parcels, .first = PARCEL_NONE};
        calendar_init(&w->timers, sizeof(uint32_t));
        calendar_init(&w->letters, sizeof(struct letter));
        flights_init(&w->flights, &s->config.network);
        workspace_init(&w->workspace, &s->learner_config);
        w->workspace.is_shared = true;
        w->workspace.is_timed = s->config.profile;
        w->learner = (struct learner){.config = &s->learner_config};
        w->seen = MEM_NEW(uint64_t, (w->end - w->first + 63) / 64);
        for (uint32_t id = w->first; id < w->end; id++)
            engine_set_timer(w, id, sim_node(s, id)->timer_window);
    }
    for (uint32_t i = 1; i < n; i++)
        CHECK(pthread_create(&s->workers[i].thread, NULL, run, &s->workers[i]) == 0);
}

void engine_close(struct sim *s)
{
    s->stop = true;
    pthread_barrier_wait(&s->gate);
    for (uint32_t i = 0; i < s->config.n_threads; i++) {
        struct worker *w = &s->workers[i];
        if (i > 0)
            CHECK(pthread_join(w->thread, NULL) == 0);
        calendar_close(&w->timers);
        calendar_close(&w->letters);
        flights_close(&w->flights);
        workspace_close(&w->workspace);
        free(w->timers_due.items);
        free(w->letters_due.items);
        free(w->visits);
        free(w->unsorted);
        free(w->starts);
        free(w->seen);
        for (uint32_t k = 0; k < 2 * SIM_THREADS_MAX; k++)
            free(w->out[k / SIM_THREADS_MAX][k % SIM_THREADS_MAX].items);
    }
    pthread_barrier_destroy(&s->gate);
    free(s->workers);
}
